"""traceId and spanId: from the record's fields, else from attributes or body members.

Sources: opentelemetry-proto logs.proto: all zeros or a wrong length is invalid, then the record "is
not associated with a trace"; compatibility/logging_trace_context.md for the names. Other names:
OpenTelemetry's loggers in Python, Java and .NET, ECS, Datadog ("Correlate Logs and Traces"), Google
Cloud (LogEntry), W3C Trace Context.
"""

from collections.abc import Callable
from typing import TypeAlias

from otlp_receiver.mapping.columns.names import Named, plain
from otlp_receiver.mapping.columns.texts import Places
from storage.record.record import Attribute, Value

TRACE_BYTES, SPAN_BYTES = 16, 8
NO_TRACE, NO_SPAN = bytes(TRACE_BYTES), bytes(SPAN_BYTES)


def valid(raw: bytes, size: int) -> bool:
    """Whether `raw` is a valid id: of this size, and not all zeros."""
    return len(raw) == size and any(raw)


def from_hex(value: Value, size: int) -> bytes | None:
    """An id in hex (dashes allowed, case-insensitive), or None.

    A trace id of 64 bits, as of B3, is padded with zeros on the left.

    >>> from_hex("4BF92F35-77B3-4DA6-A3CE-929D0E0E4736", 16).hex()
    '4bf92f3577b34da6a3ce929d0e0e4736'
    """
    if type(value) is not str or len(value) > 4 * size:
        return None
    try:
        raw = bytes.fromhex(value.replace("-", ""))
    except ValueError:
        return None
    if size == TRACE_BYTES and len(raw) == SPAN_BYTES:
        raw = raw.rjust(TRACE_BYTES, b"\0")
    return raw if valid(raw, size) else None


def _decimal(value: Value, size: int) -> bytes | None:
    """Datadog's ids are decimal, traces of 128 bits in hex.

    >>> _decimal("1234567890123456789", 8).hex()
    '112210f47de98115'
    """
    if type(value) is str and len(value) == 2 * TRACE_BYTES:
        return from_hex(value, size)
    text = str(value) if type(value) is int else value
    if type(text) is not str or not (text.isascii() and text.isdigit()) or len(text) > _MAX_DIGITS:
        return None
    number = int(text)
    return number.to_bytes(size, "big") if 0 < number < 256**size else None


def _after_slash(value: Value, size: int) -> bytes | None:
    """Google Cloud's name of a trace: `projects/PROJECT/traces/ID`."""
    return from_hex(value.rpartition("/")[2], size) if type(value) is str else None


def _of_traceparent(value: Value, size: int) -> bytes | None:
    """W3C Trace Context: `00-TRACE-SPAN-FLAGS`."""
    parts = value.split("-") if type(value) is str else []
    return from_hex(parts[1 if size == TRACE_BYTES else 2], size) if len(parts) >= 4 else None


Reader: TypeAlias = Callable[[Value, int], bytes | None]

TRACE_NAMES: dict[str, Reader] = {
    "traceid": from_hex,
    "oteltraceid": from_hex,
    "logginggoogleapiscom/trace": _after_slash,
    "ddtraceid": _decimal,
    "traceparent": _of_traceparent,
}
"""Attributes and body members with a trace id, by plain name (names.py), best first."""
SPAN_NAMES: dict[str, Reader] = {
    "spanid": from_hex,
    "otelspanid": from_hex,
    "logginggoogleapiscom/spanid": from_hex,
    "ddspanid": _decimal,
    "traceparent": _of_traceparent,
}
PARENT_NAMES = ("parentspanid", "parentid")
"""Attributes of a span with the id of its parent; always hex."""
_MAX_DIGITS = 39
"""Of 128 bits."""


def named_id(
    names: dict[str, Reader], size: int, where: tuple[list[Attribute], Places, Named]
) -> tuple[bytes | None, str]:
    """(id, source) by name: from the record's attributes, then from its body.

    `where`: the attributes, the positions of those with an id, the members of the body.
    """
    attributes, places, members = where
    for place, key in places:
        found = names[plain(key)](attributes[place].value, size)
        if found is not None:
            return found, key
    if members:
        for name, read in names.items():
            key, value = members.get(name, ("", None))
            found = read(value, size) if key else None
            if found is not None:
                return found, f"body.{key}"
    return None, ""
