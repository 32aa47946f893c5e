"""The fields of OTLP/JSON messages: names, enums, and how each is read.

What cannot be read costs the field only: its text and its path are noted in the record's tally.

Source: opentelemetry-proto; field names in lowerCamelCase, snake_case is accepted as well.
"""

from collections.abc import Callable
from typing import Any

from otlp_receiver.json.text import compact
from otlp_receiver.json.values import WrongValue, enum, hex_id, text, uint32, uint64
from otlp_receiver.tally import Tally

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
    """Numbers by name, with the prefix and without."""
    numbers = {name: number for number, name in enumerate(values)}
    return {**numbers, **{f"{prefix}_{name}": number for name, number in numbers.items()}}


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

ENVELOPES: dict[str, tuple[str, str, str]] = {
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
    "profiles": ("resourceProfiles", "scopeProfiles", "profiles"),
}
"""Repeated fields of resources, scopes and records, by signal."""

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
    *(name for names_ in ENVELOPES.values() for name in names_),
)
"""Names of all other messages; no name is ambiguous."""


def renamed(raw: Object, known: dict[str, str]) -> Object:
    """The known fields by lowerCamelCase name; unknown ones are ignored."""
    return {known[name]: value for name, value in raw.items() if name in known}


def values_of(
    fields: Object, readers: dict[str, Reader], tally: Tally, where: str = ""
) -> list[Any]:
    """The fields in the order of `readers`; one that cannot be read is noted, see `_kept`."""
    values = []
    for name, read in readers.items():
        value = fields.get(name)
        try:
            values.append(read(value))
        except WrongValue as wrong:
            values.append(_kept(read, value, f"{where}{name}", str(wrong), tally))
    return values


def _kept(read: Reader, sent: object, where: str, problem: str, tally: Tally) -> Any:
    """The text of a number or a flag in a field for texts; otherwise the field's default."""
    if read is text and not isinstance(sent, (dict, list)):
        tally.note(where, problem)
        return compact(sent)
    tally.note(where, problem, compact(sent))
    return read(None)


def object_of(raw: object, tally: Tally, where: str) -> Object:
    """A message's fields; null is an empty message, and so is what is none, with a note."""
    if raw is None:
        return {}
    if type(raw) is not dict:
        tally.note(where, "not an object", compact(raw))
        return {}
    return renamed(raw, NAMES)


def list_of(fields: Object, name: str, tally: Tally, where: str = "") -> list[object]:
    """A repeated field; null is an empty list, and so is what is none, with a note."""
    items = fields.get(name)
    if items is None:
        return []
    if type(items) is not list:
        tally.note(f"{where}{name}", "not a list", compact(items))
        return []
    return items
