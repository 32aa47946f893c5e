"""Structured values: every string of a map or list, judged by the names around it.

{"auth": {"password": "x"}}               the key of the value
[{"name": "DB_PASSWORD", "value": "x"}]   a name in a sibling (Kubernetes, headers, forms)
["mysql", "--password", "x"]              a flag before it
{"kty": "RSA", "d": "…"}                  private parts of a JSON web key (RFC 7517)
"""

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from storage.record.record import Hit, Value
from storage.redaction.finders.pairs import is_secret
from storage.redaction.recognition.cards import speaks_of_cards
from storage.redaction.recognition.keys import KeyNames, Kind

Text: TypeAlias = Callable[[bytes], tuple[bytes, tuple[Hit, ...]]]
"""Scans a text."""
Hide: TypeAlias = Callable[[Kind, str, bytes], tuple[bytes, tuple[Hit, ...]]]
"""Replaces a value that is secret because of its name."""
Counts: TypeAlias = dict[str, int]

TOO_DEEP: Final = "[REDACTED:unscanned]"
_DEEPEST: Final = 100
_CARD_DIGITS: Final = range(13, 20)
_MOST_NAME_BYTES: Final = 64
LEAST_CARD: Final = 10**12
"""A smaller number has too few digits for a card."""
_NAME_FIELDS: Final = ("name", "key", "header", "field", "Name", "Key", "k")
_VALUE_FIELDS: Final = ("value", "val", "Value", "v", "content")
# {"ParameterKey": "DbPassword", "ParameterValue": …}, {"variable_name": …, "variable_value": …}
_PREFIXED_NAME: Final = re.compile(r"(\w{1,24})(?:[kK]ey|[nN]ame)")
_NAME_LIKE: Final = re.compile(r"[\w.\-]{1,64}")
_MOST_MEMBERS: Final = 8
_LEAST_NUMBER: Final = 1000
_USERS: Final = frozenset(("user", "username", "login", "email", "User", "Username"))
_JWK_PRIVATE: Final = frozenset(("d", "p", "q", "dp", "dq", "qi", "k", "oth"))
_INHERITED: Final = frozenset((Kind.SECRET, Kind.AUTHORIZATION, Kind.COOKIE, Kind.CUSTOM))
_JUDGED_LATER: Final = frozenset((Kind.ACTOR, Kind.AUTHORIZATION, Kind.COOKIE, Kind.CUSTOM))
_NUMBERS: Final = frozenset((Kind.SECRET, Kind.DOUBTFUL, Kind.CUSTOM))
_LEAST_HEADER_BYTES: Final = 16


class Values:
    """Traverses values; created once with the functions that scan and hide."""

    __slots__ = ("_hide", "_names", "_text")

    def __init__(self, names: KeyNames, text: Text, hide: Hide) -> None:
        self._names = names
        self._text = text
        self._hide = hide

    def redact(self, key: str, value: Value, counts: Counts) -> Value:
        """`value` without secrets; adds the matches to `counts`."""
        return self._any(self._names.kind(key), key, value, 0, counts)

    def _any(self, kind: Kind, key: str, value: Value, depth: int, counts: Counts) -> Value:
        if isinstance(value, str):
            safe: Value = self._string(kind, key, value.encode("utf-8", "replace"), counts).decode()
        elif isinstance(value, bytes):
            safe = self._string(kind, key, value, counts)
        elif value is None or isinstance(value, bool):
            safe = value
        elif isinstance(value, (int, float)):
            safe = self._number(kind, key, value, counts)
        elif depth >= _DEEPEST:
            counts["unscanned"] = counts.get("unscanned", 0) + 1
            safe = TOO_DEEP
        elif isinstance(value, list):
            safe = self._list(kind, key, value, depth + 1, counts)
        else:
            safe = self._map(kind, key, value, depth + 1, counts)
        return safe

    def _string(self, kind: Kind, key: str, raw: bytes, counts: Counts) -> bytes:
        if kind is not Kind.PLAIN and self._is_secret(kind, key, raw):
            raw, hits = self._hide(kind, key, raw)
        elif raw.isdigit() and len(raw) in _CARD_DIGITS:
            raw, hits = self._digits(key, raw)
        else:
            raw, hits = self._text(raw)
        for rule, count in hits:
            counts[rule] = counts.get(rule, 0) + count
        return raw

    def _is_secret(self, kind: Kind, key: str, raw: bytes) -> bool:
        if kind in _JUDGED_LATER:
            return True
        return is_secret(self._names, key, kind, raw)

    def _number(self, kind: Kind, key: str, value: Value, counts: Counts) -> Value:
        # With a parameter of type float, compiled code would convert integers to floats.
        assert isinstance(value, (int, float))
        by_name = kind in _NUMBERS
        if not by_name and abs(value) < LEAST_CARD:
            return value
        raw = str(int(value) if isinstance(value, int) or value.is_integer() else value).encode()
        secret = kind is Kind.CUSTOM or (by_name and is_secret(self._names, key, kind, raw))
        safe, hits = self._hide(kind, key, raw) if secret else self._digits(key, raw)
        if not hits:
            return value
        for rule, count in hits:
            counts[rule] = counts.get(rule, 0) + count
        return safe.decode()

    def _digits(self, key: str, raw: bytes) -> tuple[bytes, tuple[Hit, ...]]:
        """Scan a number beside its name, which says whether it may be a card's."""
        name = key.encode("utf-8", "replace")[-_MOST_NAME_BYTES:] + b"="
        safe, hits = self._text(name + raw)
        if hits and not safe.startswith(name):
            return self._text(raw)
        return safe[len(name) :], hits

    def _list(self, kind: Kind, key: str, items: list[Value], depth: int, counts: Counts) -> Value:
        result: list[Value] = []
        before: Value = None
        command = self._command(items) if kind is Kind.PLAIN else None
        for place, item in enumerate(items):
            own, name = kind, key
            if kind is Kind.PLAIN and isinstance(before, str) and isinstance(item, str):
                own, name = self._after(before, item, is_pair=len(items) == 2), before
            safe = self._any(own, name, item, depth, counts)
            if command is not None and safe == item and command[place] != item:
                safe = command[place]
                counts["command_password"] = counts.get("command_password", 0) + 1
            result.append(safe)
            before = item
        return result

    def _command(self, items: list[Value]) -> list[str] | None:
        """Arguments redacted by the rules for command lines: ["mysql", "-pSECRET"]."""
        texts = [item for item in items if isinstance(item, str)]
        if len(texts) != len(items) or not any(text.startswith("-") for text in texts):
            return None
        line = " ".join(text.replace(" ", "\0") for text in texts)
        safe, hits = self._text(line.encode("utf-8", "replace"))
        words = safe.decode("utf-8", "replace").split(" ")
        if not hits or len(words) != len(texts):
            return None
        return [word.replace("\0", " ") for word in words]

    def _after(self, before: str, item: str, *, is_pair: bool) -> Kind:
        """The kind of an item according to the previous one: a flag, or the name of a header."""
        if before.startswith("-") and "=" not in before:
            return self._names.kind(before.lstrip("-"))
        if _NAME_LIKE.fullmatch(before) is None:
            return Kind.PLAIN
        kind = self._names.kind(before)
        if is_pair and kind is Kind.SECRET:
            return Kind.DOUBTFUL
        if kind is Kind.AUTHORIZATION or kind is Kind.COOKIE:
            return kind if len(item) >= _LEAST_HEADER_BYTES else Kind.PLAIN
        return kind if kind is Kind.SECRET and "-" in before else Kind.PLAIN

    def _map(
        self, kind: Kind, key: str, items: dict[str, Value], depth: int, counts: Counts
    ) -> Value:
        named, value_fields = self._named(items)
        if key.startswith("/"):
            kind = Kind.PLAIN  # a path: {"/token": {"post": …}}
        is_jwk = "kty" in items
        is_card = speaks_of_cards(key)
        result: dict[str, Value] = {}
        for name, value in items.items():
            own, label = self._names.kind(name), name
            if (
                own is Kind.PLAIN
                and kind in _INHERITED
                and not self._names.is_beside(name.encode())
            ):
                own, label = kind, key
                if isinstance(value, int) and value < _LEAST_NUMBER:
                    own = Kind.PLAIN  # {"password": {"history": 5}}
            if own is Kind.DOUBTFUL and name.lower() == "pass" and not _USERS.isdisjoint(items):
                own = Kind.SECRET
            if named is not Kind.PLAIN and name in value_fields:
                own = named
            # {"card": {"number": …}}
            label = f"{key}.{name}" if is_card and own is Kind.PLAIN else label
            if is_jwk and name in _JWK_PRIVATE:
                own = Kind.SECRET
            raw, hits = self._text(name.encode("utf-8", "replace"))
            for rule, count in hits:
                counts[rule] = counts.get(rule, 0) + count
            safe = raw.decode()
            if hits and safe in result:
                safe = f"{safe} {len(result)}"
            result[safe] = self._any(own, label, value, depth, counts)
        return result

    def _named(self, items: dict[str, Value]) -> tuple[Kind, tuple[str, ...]]:
        """The kind of a value according to its sibling: {"name": "DB_PASSWORD", "value": …}."""
        for field in _NAME_FIELDS:
            name = items.get(field)
            if isinstance(name, str) and any(other in items for other in _VALUE_FIELDS):
                return self._names.kind(name), _VALUE_FIELDS
        if len(items) <= _MOST_MEMBERS:
            for field, name in items.items():
                prefixed = _PREFIXED_NAME.fullmatch(field)
                if prefixed is not None and isinstance(name, str):
                    fields = (f"{prefixed[1]}Value", f"{prefixed[1]}value")
                    return self._names.kind(name), fields
        return Kind.PLAIN, ()
