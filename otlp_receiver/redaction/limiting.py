"""Attribute limits (settings, limits.*): longer values are truncated and marked, never rejected."""

from collections.abc import Sequence
from typing import Protocol

from config.settings import LimitSettings
from otlp_receiver.export import Pair
from otlp_receiver.mapping.columns.texts import cut, fit
from storage.record.record import Attribute, Hit, Value


class RedactorLike(Protocol):
    """The methods of storage.redaction.redactor.Redactor that the codec uses."""

    def text(self, text: str) -> tuple[str, tuple[Hit, ...]]:
        """Redact a single text."""

    def attribute(self, key: str, value: Value) -> Attribute:
        """Redact a key and its value."""

    def records(
        self, requests: Sequence[tuple[str | None, Sequence[Pair]]]
    ) -> list[tuple[str | None, tuple[Hit, ...], list[Attribute]]]:
        """Redact messages, each with some attributes, in one pass."""


class Limiter:
    """Truncates redacted attributes; creates the new ones through the redactor, like all others."""

    def __init__(self, redactor: RedactorLike, limits: LimitSettings) -> None:
        self._redactor = redactor
        self._limits = limits
        self.least = min(limits.key_bytes, limits.value_bytes)
        """Size of an attribute's JSON up to which it is certainly within the limits."""

    def shorten(self, attribute: Attribute, sizes: dict[str, int]) -> Attribute:
        """Truncate the attribute to the limits; original sizes go to `sizes`, by key.

        It is already redacted, so redacting the rest again changes nothing.
        """
        limits = self._limits
        key = attribute.key
        size = len(key.encode())
        if size > limits.key_bytes:
            key = fit(key, limits.key_bytes // 4)  # characters take up to four bytes
            sizes[f"{key} (key)"] = size
        cuts: list[int] = []
        value = _short(attribute.value, limits.value_bytes, cuts)
        if cuts:
            sizes[key] = sum(cuts)
        return self._redactor.attribute(key, value) if sizes else attribute


def _short(value: Value, max_bytes: int, cuts: list[int]) -> Value:
    """`value` with texts and byte strings truncated to `max_bytes`; original sizes go to `cuts`."""
    if isinstance(value, str):
        size = len(value) if value.isascii() else len(value.encode())
        if size > max_bytes:
            cuts.append(size)
            return cut(value, max_bytes)
        return value
    if isinstance(value, bytes) and len(value) > max_bytes:
        cuts.append(len(value))
        return value[:max_bytes]
    if isinstance(value, list):
        return [_short(item, max_bytes, cuts) for item in value]
    if isinstance(value, dict):
        return {key: _short(item, max_bytes, cuts) for key, item in value.items()}
    return value
