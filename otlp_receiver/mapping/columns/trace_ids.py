"""traceId and spanId: from the record's fields, else from attributes or body members.

Sources: opentelemetry-proto logs.proto: all zeros or a wrong length is invalid, then the record "is
not associated with a trace"; compatibility/logging_trace_context.md for the names.
"""

from storage.record.record import Attribute, Value

TRACE_KEY, SPAN_KEY, PARENT_KEYS = "trace_id", "span_id", ("parent_span_id", "ParentId")
TRACE_BYTES, SPAN_BYTES = 16, 8
NO_TRACE, NO_SPAN = bytes(TRACE_BYTES), bytes(SPAN_BYTES)


def valid(raw: bytes, size: int) -> bool:
    """Whether `raw` is a valid id: of this size, and not all zeros."""
    return len(raw) == size and any(raw)


def from_hex(value: Value, size: int) -> bytes | None:
    """An id in hex (dashes allowed, case-insensitive), or None.

    >>> from_hex("4BF92F35-77B3-4DA6-A3CE-929D0E0E4736", 16).hex()
    '4bf92f3577b34da6a3ce929d0e0e4736'
    """
    if type(value) is not str or len(value) > 4 * size:
        return None
    try:
        raw = bytes.fromhex(value.replace("-", ""))
    except ValueError:
        return None
    return raw if valid(raw, size) else None


def named_id(
    key: str, size: int, attributes: list[Attribute], place: int | None, body: Value
) -> tuple[bytes | None, str]:
    """(id, source) by name: from the record's attributes, then from its body."""
    if place is not None:
        found = from_hex(attributes[place].value, size)
        if found is not None:
            return found, key
    if isinstance(body, dict):
        found = from_hex(body.get(key), size)
        if found is not None:
            return found, f"body.{key}"
    return None, ""
