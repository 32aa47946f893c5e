"""The fields of OTLP/JSON messages: names, enums, and readers that report the path of an error.

Source: opentelemetry-proto; field names in lowerCamelCase, snake_case is accepted as well.
"""

from collections.abc import Callable
from typing import Any

from otlp_receiver.json.values import WrongValue, enum, hex_id, text, uint32, uint64

Object = dict[str, Any]
Reader = Callable[[object], Any]


def names(*camel: str) -> dict[str, str]:
    """Map every accepted spelling of the names to lowerCamelCase.

    >>> names("traceId")
    {'trace_id': 'traceId', 'traceId': 'traceId'}
    """
    snake = {"".join([f"_{c.lower()}" if c.isupper() else c for c in name]): name for name in camel}
    return {**snake, **{name: name for name in camel}}


def _enum(prefix: str, *values: str) -> dict[str, int]:
    return {f"{prefix}_{name}": number for number, name in enumerate(values)}


SEVERITIES = _enum(
    "SEVERITY_NUMBER",
    "UNSPECIFIED",
    *(
        name + ("" if step == 1 else str(step))
        for name in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
        for step in range(1, 5)
    ),
)
SPAN_KINDS = _enum(
    "SPAN_KIND", "UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"
)
STATUS_CODES = _enum("STATUS_CODE", "UNSET", "OK", "ERROR")


def _severity(value: object) -> int:
    return enum(value, SEVERITIES)


def _span_kind(value: object) -> int:
    return enum(value, SPAN_KINDS)


def _status_code(value: object) -> int:
    return enum(value, STATUS_CODES)


LOG: dict[str, Reader] = {
    "severityNumber": _severity,
    "severityText": text,
    "flags": uint32,
    "eventName": text,
    "droppedAttributesCount": uint32,
    "timeUnixNano": uint64,
    "observedTimeUnixNano": uint64,
    "traceId": hex_id,
    "spanId": hex_id,
}
"""Scalar fields of a LogRecord."""
SPAN: dict[str, Reader] = {
    "traceId": hex_id,
    "spanId": hex_id,
    "parentSpanId": hex_id,
    "traceState": text,
    "flags": uint32,
    "name": text,
    "kind": _span_kind,
    "startTimeUnixNano": uint64,
    "endTimeUnixNano": uint64,
    "droppedAttributesCount": uint32,
    "droppedEventsCount": uint32,
    "droppedLinksCount": uint32,
}
STATUS: dict[str, Reader] = {"code": _status_code, "message": text}
EVENT: dict[str, Reader] = {
    "timeUnixNano": uint64,
    "name": text,
    "droppedAttributesCount": uint32,
}
LINK: dict[str, Reader] = {
    "traceId": hex_id,
    "spanId": hex_id,
    "traceState": text,
    "flags": uint32,
    "droppedAttributesCount": uint32,
}
RESOURCE: dict[str, Reader] = {"droppedAttributesCount": uint32}
SCOPE: dict[str, Reader] = {"name": text, "version": text, "droppedAttributesCount": uint32}

LOG_NAMES = names(*LOG, "body", "attributes")
LOG_CAMEL = frozenset(LOG_NAMES.values())
NAMES = names(
    *SPAN,
    *STATUS,
    *EVENT,
    *SCOPE,
    "attributes",
    "events",
    "links",
    "status",
    "resource",
    "scope",
    "schemaUrl",
    "resourceLogs",
    "resourceSpans",
    "scopeLogs",
    "scopeSpans",
    "logRecords",
    "spans",
)
"""Names of all other messages; no name is ambiguous."""


def renamed(raw: Object, known: dict[str, str]) -> Object:
    """The known fields by lowerCamelCase name; unknown ones are ignored."""
    return {known[name]: value for name, value in raw.items() if name in known}


def values_of(fields: Object, readers: dict[str, Reader], where: str = "") -> list[Any]:
    """The fields in the order of `readers`. Raises WrongValue; the path begins with `where`."""
    values = []
    for name, read in readers.items():
        try:
            values.append(read(fields.get(name)))
        except WrongValue as wrong:
            wrong.where = f"{where}{name}"
            raise
    return values


def at_fault(fields: Object, readers: dict[str, Reader]) -> str:
    """The first invalid field, found by reading all of them again."""
    return next(name for name, read in readers.items() if not _reads(read, fields.get(name)))


def _reads(read: Reader, value: object) -> bool:
    try:
        read(value)
    except WrongValue:
        return False
    return True


def object_of(raw: object, where: str) -> Object:
    """A message's fields; null is an empty message."""
    if raw is None:
        return {}
    if type(raw) is not dict:
        raise WrongValue("not an object", where)
    return renamed(raw, NAMES)


def list_of(fields: Object, name: str, where: str = "") -> list[object]:
    """A repeated field; null is an empty list."""
    items = fields.get(name)
    if items is None:
        return []
    if type(items) is not list:
        raise WrongValue("not a list", f"{where}{name}")
    return items
