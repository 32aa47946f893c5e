"""Structured values: every string of a map or list, and what the names around it say.

{"auth": {"password": "x"}}               a name beside the value
[{"name": "DB_PASSWORD", "value": "x"}]   a name in a sibling (Kubernetes, headers, forms)
["mysql", "--password", "x"]              a flag before it
{"kty": "RSA", "d": "…"}                  private parts of a JSON web key (RFC 7517)
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from storage.record import Hit, Value
from storage.redaction.keys import KeyNames, Kind
from storage.redaction.pairs import is_secret

Text: TypeAlias = Callable[[bytes], tuple[bytes, tuple[Hit, ...]]]
"""Scans a text."""
Hide: TypeAlias = Callable[[Kind, bytes], tuple[bytes, tuple[Hit, ...]]]
"""Replaces a value that is secret for its name's sake."""
Counts: TypeAlias = dict[str, int]

TOO_DEEP: Final = "[REDACTED:unscanned]"
_DEEPEST: Final = 100
_LEAST_CARD: Final = 10**12
_NAME_FIELDS: Final = ("name", "key", "header", "field", "Name", "Key", "k")
_VALUE_FIELDS: Final = ("value", "val", "Value", "v", "content")
_JWK_PRIVATE: Final = frozenset(("d", "p", "q", "dp", "dq", "qi", "k", "oth"))
_INHERITED: Final = frozenset((Kind.SECRET, Kind.AUTHORIZATION, Kind.COOKIE))


class Values:
    """Walks values; made once with the functions that scan and hide."""

    __slots__ = ("_hide", "_names", "_text")

    def __init__(self, names: KeyNames, text: Text, hide: Hide) -> None:
        self._names = names
        self._text = text
        self._hide = hide

    def redact(self, key: str, value: Value, counts: Counts) -> Value:
        """`value` without secrets; `counts` grows by what was hidden."""
        return self._any(self._names.kind(key), key, value, 0, counts)

    def _any(self, kind: Kind, key: str, value: Value, depth: int, counts: Counts) -> Value:
        if isinstance(value, str):
            return self._string(kind, key, value.encode("utf-8", "replace"), counts).decode()
        if isinstance(value, bytes):
            return self._string(kind, key, value, counts)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            return self._number(kind, key, value, counts)
        if depth >= _DEEPEST:
            counts["unscanned"] = counts.get("unscanned", 0) + 1
            return TOO_DEEP
        if isinstance(value, list):
            return self._list(kind, key, value, depth + 1, counts)
        return self._map(kind, value, depth + 1, counts)

    def _string(self, kind: Kind, key: str, raw: bytes, counts: Counts) -> bytes:
        if kind is not Kind.PLAIN and self._is_secret(kind, key, raw):
            raw, hits = self._hide(kind, raw)
        else:
            raw, hits = self._text(raw)
        for rule, count in hits:
            counts[rule] = counts.get(rule, 0) + count
        return raw

    def _is_secret(self, kind: Kind, key: str, raw: bytes) -> bool:
        if kind is Kind.ACTOR or kind is Kind.AUTHORIZATION or kind is Kind.COOKIE:
            return True
        return is_secret(self._names, key, kind, raw)

    def _number(self, kind: Kind, key: str, value: float, counts: Counts) -> Value:
        by_name = kind is Kind.SECRET or kind is Kind.DOUBTFUL
        if not by_name and abs(value) < _LEAST_CARD:
            return value
        raw = str(int(value) if isinstance(value, int) or value.is_integer() else value).encode()
        secret = by_name and is_secret(self._names, key, kind, raw)
        safe, hits = self._hide(Kind.SECRET, raw) if secret else self._text(raw)
        if not hits:
            return value
        for rule, count in hits:
            counts[rule] = counts.get(rule, 0) + count
        return safe.decode()

    def _list(self, kind: Kind, key: str, items: list[Value], depth: int, counts: Counts) -> Value:
        result: list[Value] = []
        flagged = kind
        for item in items:
            result.append(self._any(flagged, key, item, depth, counts))
            flagged = kind
            if (
                kind is Kind.PLAIN
                and isinstance(item, str)
                and item.startswith("-")
                and "=" not in item
            ):
                flagged = self._names.kind(item.lstrip("-"))
        return result

    def _map(self, kind: Kind, items: dict[str, Value], depth: int, counts: Counts) -> Value:
        named = self._named(items)
        is_jwk = "kty" in items
        result: dict[str, Value] = {}
        for name, value in items.items():
            own = self._names.kind(name)
            if (
                own is Kind.PLAIN
                and kind in _INHERITED
                and not self._names.is_beside(name.encode())
            ):
                own = kind
            if named is not Kind.PLAIN and name in _VALUE_FIELDS:
                own = named
            if is_jwk and name in _JWK_PRIVATE:
                own = Kind.SECRET
            raw, hits = self._text(name.encode("utf-8", "replace"))
            for rule, count in hits:
                counts[rule] = counts.get(rule, 0) + count
            result[raw.decode()] = self._any(own, name, value, depth, counts)
        return result

    def _named(self, items: dict[str, Value]) -> Kind:
        """What a sibling says of the value: {"name": "DB_PASSWORD", "value": …}."""
        for field in _NAME_FIELDS:
            name = items.get(field)
            if isinstance(name, str) and any(other in items for other in _VALUE_FIELDS):
                return self._names.kind(name)
        return Kind.PLAIN
