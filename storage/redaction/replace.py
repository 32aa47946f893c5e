"""Replaces spans by markers: overlaps are merged, the rule of highest precedence is reported."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final, TypeAlias

from storage.record.record import Hit
from storage.redaction.rules import Rule
from storage.redaction.scan import TOO_DENSE, RuleSpan
from storage.redaction.tokens import HmacKeys, marker

Replacer: TypeAlias = Callable[[bytes], bytes]

_DONE: Final = re.compile(
    rb"\[REDACTED:[a-z0-9_]{1,64}(?::\d{0,4})?\]|hmac:[a-z0-9-]{1,32}:[0-9a-f]{32}(?![0-9a-f])"
)
_LETTER: Final = re.compile(rb"[A-Za-z0-9\x80-\xff]")

DENSE: Final = "too_dense"
"""Marker for a text with more secrets than can be separated in bounded time."""


def replacer(rule: Rule, keys: HmacKeys) -> Replacer:
    """The function that replaces a match of `rule`."""
    fixed = marker(rule.name).encode()
    if rule.replacement == "hmac":
        return lambda match: keys.token(match).encode()
    if rule.replacement == "last4":
        return lambda match: marker(f"{rule.name}:{_last_digits(match)}").encode()
    if rule.replacement == "drop":
        return lambda match: b""  # noqa: ARG005 (one signature for all)
    return lambda match: fixed  # noqa: ARG005 (one signature for all)


def _last_digits(match: bytes) -> str:
    return "".join(character for character in match.decode() if character.isdigit())[-4:]


class Replacements:
    """The replacers of a rule set, by rule number."""

    __slots__ = ("_make", "_password_then_host", "names")

    def __init__(self, rules: Sequence[Rule], keys: HmacKeys) -> None:
        self.names = [rule.name for rule in rules] + [DENSE]
        self._password_then_host = tuple(
            number for number, name in enumerate(self.names) if name in {"uri_password", "email"}
        )
        dense = marker(DENSE).encode()
        self._make: list[Replacer] = [replacer(rule, keys) for rule in rules]
        self._make.append(lambda match: dense)  # noqa: ARG005 (one signature for all)

    def __call__(self, raw: bytes, spans: list[RuleSpan]) -> tuple[bytes, tuple[Hit, ...]]:
        """`raw` with `spans` replaced, and the rules that matched, with counts."""
        if b"[REDACTED:" in raw or b"hmac:" in raw:
            spans = _unredacted(raw, spans)
        if len(spans) == 1:
            start, end, number = spans[0]
            safe = raw[:start] + self._make[number](raw[start:end]) + raw[end:]
            return safe, ((self.names[number], 1),)
        parts: list[bytes] = []
        counts: dict[str, int] = {}
        position = 0
        for start, end, number in joined(spans, self._password_then_host):
            parts.append(raw[position:start])
            parts.append(self._make[number](raw[start:end]))
            name = self.names[number]
            counts[name] = counts.get(name, 0) + 1
            position = end
        parts.append(raw[position:])
        return b"".join(parts), tuple(counts.items())

    def whole(self, raw: bytes, number: int) -> tuple[bytes, tuple[Hit, ...]]:
        """The replacement for a value that is secret as a whole."""
        return self._make[number](raw), ((self.names[number], 1),)


def _unredacted(raw: bytes, spans: list[RuleSpan]) -> list[RuleSpan]:
    """The spans that contain more than opslog's own markers and tokens.

    This makes redaction idempotent. A span that cuts a marker is extended to all of it.
    """
    done = [match.span() for match in _DONE.finditer(raw)]
    starts = [start for start, _ in done]
    remaining = []
    for begin, end, number in spans:
        first = bisect_right(starts, begin)
        first -= first > 0 and done[first - 1][1] > begin
        start, position, left = begin, begin, b""
        for at, stop in done[first : bisect_left(starts, end)]:
            left += raw[position : max(position, at)]
            start, position = min(start, at), max(position, stop)
        if _LETTER.search(left + raw[position : max(position, end)]):
            remaining.append((start, max(end, position), number))
    return remaining


def joined(spans: list[RuleSpan], password_then_host: tuple[int, ...] = ()) -> list[RuleSpan]:
    """Sorted, disjoint spans; overlapping ones are merged, with the rule of higher precedence.

    Of two rules in `password_then_host` the first ends at the `@` of a URI, where the second took
    the end of a password and a host for an address; the host stays.
    """
    spans.sort(key=itemgetter(0, 2))
    result: list[RuleSpan] = []
    last_start, last_end, last_rule = -1, -1, TOO_DENSE
    for start, end, rule in spans:
        if start < last_end:
            if (last_rule, rule) != password_then_host:
                last_end = max(last_end, end)
            last_rule = min(last_rule, rule)
            result[-1] = (last_start, last_end, last_rule)
        else:
            last_start, last_end, last_rule = start, end, rule
            result.append((start, end, rule))
    return result
