"""The interface of redaction: texts, values, attributes, records; never returns a secret.

Fails closed: anything that cannot be scanned (too long, too deep, an engine failure) is replaced by
a marker as a whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from config.errors import SetupError
from config.settings import RedactionSettings
from storage.record.canonical import canonical, order_of
from storage.record.record import Attribute, Hit, Value
from storage.redaction.finders.headers import authorization_value, cookie_value
from storage.redaction.finders.personal import is_email
from storage.redaction.recognition.keys import KeyNames, Kind
from storage.redaction.recognition.shapes import Span
from storage.redaction.replace import Replacements
from storage.redaction.rules import Rule, rules_of
from storage.redaction.scan import RuleSpan, Scanner
from storage.redaction.tokens import HmacKeys, marker
from storage.redaction.values import LEAST_CARD, Counts, Values

UNSCANNED: Final = "unscanned"
"""Marker for text that could not be scanned."""
_LONGEST_BYTES: Final = 8 * 2**20
_MEMO_ENTRIES: Final = 8192
_NO_HITS: Final[tuple[Hit, ...]] = ()
_NOTHING: Final[list[int]] = []
_UNSCANNED: Final[tuple[bytes, tuple[Hit, ...]]] = (marker(UNSCANNED).encode(), ((UNSCANNED, 1),))
_KEY_RULES: Final = {
    Kind.SECRET: "secret_field",
    Kind.DOUBTFUL: "secret_field",
    Kind.AUTHORIZATION: "authorization",
    Kind.COOKIE: "cookie",
    Kind.ACTOR: "email",
}


@dataclass(frozen=True, slots=True)
class CanaryFailure:
    """A rule that no longer finds its own canary."""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Preview:
    """The redacted form of a test payload, and the rules that matched."""

    result: Value
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class _Key:
    """Cached facts about an attribute's name."""

    safe: str
    json: bytes
    """The member's JSON before the value: `"key": `."""
    is_plain: bool
    is_actor: bool
    order: bytes
    hits: tuple[Hit, ...]


class Redactor:
    """The redactor of one process; its only state is a cache of names."""

    __slots__ = (
        "_custom",
        "_hmac",
        "_keys",
        "_names",
        "_numbers",
        "_replace",
        "_rules",
        "_scanner",
        "_values",
    )

    def __init__(self, settings: RedactionSettings, hmac_keys: HmacKeys) -> None:
        """Compile the rules and check each against its canary.

        Raises:
            SetupError: a rule, name or pattern in `settings` is invalid; the message names it.
        """
        chosen = rules_of(settings)
        self._rules = chosen.rules
        self._hmac = hmac_keys
        self._custom = {
            key.lower(): number for number, rule in enumerate(self._rules) for key in rule.keys
        }
        self._names = KeyNames(
            chosen.names,
            allow=settings.allow_keys,
            secret=settings.secret_keys,
            custom=self._custom,
        )
        self._scanner = Scanner(self._rules, self._names)
        self._replace = Replacements(self._rules, hmac_keys)
        self._numbers = {rule.name: number for number, rule in enumerate(self._rules)}
        self._values = Values(self._names, self._bytes, self._hide)
        self._keys: dict[str, _Key] = {}
        self.require_healthy()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force, in order of precedence."""
        return self._rules

    def text(self, text: str, hints: Sequence[int] | None = None) -> tuple[str, tuple[Hit, ...]]:
        """`text` without secrets, and the rules that matched, with counts.

        Args:
            text: any text.
            hints: result of the first pass over this text or one that contains it, if it was run.
        """
        safe, hits = self._bytes(text.encode("utf-8", "replace"), hints)
        return (safe.decode("utf-8", "replace"), hits) if hits else (text, hits)

    def value(self, key: str, value: Value) -> tuple[Value, tuple[Hit, ...]]:
        """`value` without secrets, judged by its content and by the name `key`."""
        counts: Counts = {}
        try:
            safe = self._values.redact(key, value, counts)
        except Exception:  # noqa: BLE001 (fails closed: nothing unscanned may pass)
            return _UNSCANNED[0].decode(), _UNSCANNED[1]
        return safe, tuple(counts.items())

    def attribute(self, key: str, value: Value) -> Attribute:
        """The attribute, safe in key and value, with its canonical JSON."""
        known = self._keys.get(key) or self._learn(key)
        safe, hits = self.value(key, value)
        json = known.json + canonical(safe)
        return Attribute(known.safe, safe, json, known.order, (*known.hits, *hits))

    def records(
        self, records: Sequence[tuple[str | None, Sequence[tuple[str, Value]]]]
    ) -> list[tuple[str | None, tuple[Hit, ...], list[Attribute]]]:
        """Redact the message and new attributes of several records, with one first pass for all.

        Hot path: loadtests/bench_redaction.py justifies its form.
        """
        texts: list[str] = []
        for text, fresh in records:
            texts.extend([value for _, value in fresh if isinstance(value, str)])
            if text is not None:
                texts.append(text)
        hints = self._hints_among(texts)
        results: list[tuple[str | None, tuple[Hit, ...], list[Attribute]]] = []
        place = 0
        for text, fresh in records:
            attributes: list[Attribute] = []
            for key, value in fresh:
                known = self._keys.get(key) or self._learn(key)
                seen: Sequence[int] | None = _NOTHING
                if isinstance(value, str):
                    seen = hints.get(place, _NOTHING)
                    place += 1
                if _is_harmless(known, value, seen):
                    json = known.json + canonical(value)
                    attributes.append(Attribute(known.safe, value, json, known.order, known.hits))
                else:
                    attributes.append(self.attribute(key, value))
            if text is None:
                results.append((None, _NO_HITS, attributes))
                continue
            seen = hints.get(place, _NOTHING)
            place += 1
            if seen is None or seen:
                results.append((*self.text(text, seen), attributes))
            else:
                results.append((text, _NO_HITS, attributes))
        return results

    def _hints_among(self, texts: list[str]) -> "Mapping[int, list[int] | None]":
        """The first pass; None where it failed, so that each text is scanned separately."""
        try:
            return self._scanner.hints_among(texts)
        except Exception:  # noqa: BLE001 (fails closed: each text is scanned separately)
            return dict.fromkeys(range(len(texts)))

    def test(self, payload: Value) -> Preview:
        """Preview the redaction of a text, or of attributes (a map); nothing is stored."""
        if isinstance(payload, str):
            return Preview(*self.text(payload))
        return Preview(*self.value("", payload))

    def self_test(self) -> list[CanaryFailure]:
        """Rules that do not redact their own canary; empty when all do."""
        return [
            CanaryFailure(rule.name, "does not redact its own canary")
            for number, rule in enumerate(self._rules)
            if rule.canary and not self._finds(number, rule.canary.encode())
        ]

    def require_healthy(self) -> None:
        """Raise SetupError when a rule does not find its own canary."""
        failures = self.self_test()
        if failures:
            raise SetupError(f"redaction rule {failures[0].rule!r} {failures[0].reason}")

    def _finds(self, number: int, canary: bytes) -> bool:
        try:
            hints = self._scanner.hints(canary)
            found = any(rule == number for _, _, rule in self._scanner.spans(canary, hints))
        except Exception:  # noqa: BLE001 (an engine failure is a failed canary)
            return False
        return found and self._bytes(canary)[0] != canary

    def _learn(self, key: str) -> _Key:
        """Classify a name once; names are few, and too many of them only clear the cache."""
        safe, hits = self.text(key)
        if len(self._keys) >= _MEMO_ENTRIES:
            self._keys.clear()
        kind = self._names.kind(key)
        json = canonical(safe) + b": "
        known = _Key(safe, json, kind is Kind.PLAIN, kind is Kind.ACTOR, order_of(safe), hits)
        self._keys[key] = known
        return known

    def _bytes(
        self, raw: bytes, hints: Sequence[int] | None = None
    ) -> tuple[bytes, tuple[Hit, ...]]:
        if len(raw) > _LONGEST_BYTES:
            return _UNSCANNED
        try:
            if hints is None:
                hints = self._scanner.hints(raw)
            if not hints:
                return raw, _NO_HITS
            spans = self._scanner.spans(raw, hints)
            return self._replace(raw, spans) if spans else (raw, _NO_HITS)
        except Exception:  # noqa: BLE001 (fails closed: nothing unscanned may pass)
            return _UNSCANNED

    def _hide(self, kind: Kind, key: str, raw: bytes) -> tuple[bytes, tuple[Hit, ...]]:
        """Replace a value that is secret because of its name."""
        if kind is Kind.CUSTOM:
            return self._replace.whole(raw, self._custom[key.lower()])
        number = self._numbers.get(_KEY_RULES[kind])
        if number is None:
            return self._bytes(raw)
        if kind is Kind.ACTOR:
            return self._actor(raw)
        if kind is Kind.AUTHORIZATION:
            return self._parts(raw, number, authorization_value(raw))
        if kind is Kind.COOKIE and b"=" in raw:
            return self._parts(raw, number, cookie_value(raw))
        return self._replace.whole(raw, number)

    def _actor(self, raw: bytes) -> tuple[bytes, tuple[Hit, ...]]:
        """Replace an address by a joinable token; scan an opaque id like other text."""
        if not is_email(raw):
            return self._bytes(raw)
        return self._hmac.token(raw.strip().lower()).encode(), (("email", 1),)

    def _parts(
        self, raw: bytes, number: int, found: Iterable[Span]
    ) -> tuple[bytes, tuple[Hit, ...]]:
        """Replace the spans in `found` and those that the text rules find."""
        spans: list[RuleSpan] = [(start, end, number) for start, end in found]
        hints = self._scanner.hints(raw)
        if hints:
            spans.extend(self._scanner.spans(raw, hints))
        return self._replace(raw, spans) if spans else (raw, _NO_HITS)


def _is_harmless(known: _Key, value: Value, hints: Sequence[int] | None) -> bool:
    """Whether the first pass over the value (`hints`) rules out a secret."""
    if isinstance(value, str):
        if hints is None or hints:
            return False
        return known.is_plain or (known.is_actor and "@" not in value)
    if not known.is_plain or isinstance(value, bool):
        return False
    return isinstance(value, (int, float)) and abs(value) < LEAST_CARD
