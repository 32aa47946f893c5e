"""Spans become markers: overlaps are joined, the rule of highest precedence names the result."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final, TypeAlias

from storage.record import Hit
from storage.redaction.rules import Rule
from storage.redaction.scan import TOO_DENSE, RuleSpan
from storage.redaction.tokens import HmacKeys, marker

Replacer: TypeAlias = Callable[[bytes], bytes]

DENSE: Final = "too_dense"
"""Marker of a text in which more is secret than can be told apart in bounded time."""


def replacer(rule: Rule, keys: HmacKeys) -> Replacer:
    """What `rule` puts in the place of a match."""
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
    """The replacers of a rule set, by the rules' numbers."""

    __slots__ = ("_make", "names")

    def __init__(self, rules: Sequence[Rule], keys: HmacKeys) -> None:
        self.names = [rule.name for rule in rules] + [DENSE]
        dense = marker(DENSE).encode()
        self._make: list[Replacer] = [replacer(rule, keys) for rule in rules]
        self._make.append(lambda match: dense)  # noqa: ARG005 (one signature for all)

    def __call__(self, raw: bytes, spans: list[RuleSpan]) -> tuple[bytes, tuple[Hit, ...]]:
        """`raw` without what `spans` cover, and which rules did it how often."""
        parts: list[bytes] = []
        counts: dict[str, int] = {}
        position = 0
        for start, end, number in joined(spans):
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


def joined(spans: list[RuleSpan]) -> list[RuleSpan]:
    """Spans in order and apart; overlapping ones become one, with the rule that comes first."""
    if len(spans) == 1:
        return spans
    spans.sort(key=itemgetter(0))
    result: list[RuleSpan] = []
    last_start, last_end, last_rule = -1, -1, TOO_DENSE
    for start, end, rule in spans:
        if start < last_end:
            last_end = max(last_end, end)
            last_rule = min(last_rule, rule)
            result[-1] = (last_start, last_end, last_rule)
        else:
            last_start, last_end, last_rule = start, end, rule
            result.append((start, end, rule))
    return result
