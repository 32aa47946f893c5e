"""Records as OTLP/JSON lines, the format of the Collector's file exporter and receiver.

One line has the logs, or the spans, of one piece of the export, grouped by resource and scope.
Times, ids and enums follow opentelemetry-proto's JSON mapping: 64-bit integers are strings, ids
hex. Log rows derived from a span's exception event are omitted: the span has the event.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import orjson

from storage.database.read import NO_STREAM, Row, Stream
from storage.record.times import microseconds_of

Document: TypeAlias = dict[str, Any]

_SPAN_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUSES = ("UNSET", "OK", "ERROR")
_INT64 = 2**63


def otlp_lines(rows: Sequence[Row], streams: Mapping[int, Stream]) -> bytes:
    """The rows as lines; b"" if none can be represented in OTLP."""
    logs: dict[int, list[Document]] = {}
    spans: dict[int, list[Document]] = {}
    for row in rows:
        metadata = orjson.loads(row["metadata"])
        if row["kind"] == "s":
            spans.setdefault(row["stream_id"], []).append(_span(row, metadata))
        elif not _is_derived(metadata):
            logs.setdefault(row["stream_id"], []).append(_log(row, metadata))
    lines = []
    if logs:
        lines.append({"resourceLogs": _grouped(logs, streams, "scopeLogs", "logRecords")})
    if spans:
        lines.append({"resourceSpans": _grouped(spans, streams, "scopeSpans", "spans")})
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def _is_derived(metadata: Document) -> bool:
    """Whether the row was derived from an exception event: logs as sent have a severity."""
    return metadata.get("level_source") == "exception" and "severity_number" not in (
        metadata.get("otel") or {}
    )


def _grouped(
    items: Mapping[int, list[Document]], streams: Mapping[int, Stream], scopes: str, name: str
) -> list[Document]:
    found = []
    for stream_id, members in items.items():
        stream = streams.get(stream_id, NO_STREAM)
        scope = orjson.loads(stream.scope)
        group: Document = {"scope": _scope(scope), name: members}
        if stream.scope_schema_url:
            group["schemaUrl"] = stream.scope_schema_url
        resource: Document = {
            "resource": {"attributes": _attributes(orjson.loads(stream.resource))},
            scopes: [group],
        }
        if stream.resource_schema_url:
            resource["schemaUrl"] = stream.resource_schema_url
        found.append(resource)
    return found


def _scope(scope: Document) -> Document:
    found: Document = {"name": scope.get("name", ""), "version": scope.get("version", "")}
    if scope.get("attributes"):
        found["attributes"] = _attributes(scope["attributes"])
    return found


def _log(row: Row, metadata: Document) -> Document:
    otel = metadata.get("otel") or {}
    body = metadata.get("body")
    record: Document = {
        "timeUnixNano": str(_created_ns(row)),
        "observedTimeUnixNano": str(otel.get("observed_ns") or _received_ns(row)),
        "severityNumber": row["severity_number"],
        "severityText": otel.get("severity_text", ""),
        "body": _value(row["message"] if body is None else body),
        "attributes": _attributes(metadata.get("attributes") or {}),
        "flags": otel.get("flags", 0),
    }
    if otel.get("event_name"):
        record["eventName"] = otel["event_name"]
    return record | _ids(row)


def _span(row: Row, metadata: Document) -> Document:
    span = metadata.get("span") or {}
    start_ns = span.get("start_ns") or _created_ns(row)
    status = span.get("status") or {}
    record: Document = {
        "name": span.get("name", row["action"]),
        "kind": _number(_SPAN_KINDS, span.get("kind"), span.get("kind_number")),
        "startTimeUnixNano": str(start_ns),
        "endTimeUnixNano": str(span.get("end_ns") or start_ns + (row["duration_ns"] or 0)),
        "attributes": _attributes(metadata.get("attributes") or {}),
        "status": {
            "code": _number(_STATUSES, status.get("code"), status.get("code_number")),
            "message": status.get("message", ""),
        },
        "events": [_event(event) for event in span.get("events", ())],
        "links": [_link(link) for link in span.get("links", ())],
        "flags": span.get("flags", 0),
    }
    if span.get("trace_state"):
        record["traceState"] = span["trace_state"]
    if row["parent_span_id"]:
        record["parentSpanId"] = row["parent_span_id"].hex()
    return record | _ids(row)


def _event(event: Document) -> Document:
    return {
        "name": event.get("name", ""),
        "timeUnixNano": str(event.get("time_ns", 0)),
        "attributes": _attributes(event.get("attributes") or {}),
    }


def _link(link: Document) -> Document:
    return {
        "traceId": link.get("trace_id", ""),
        "spanId": link.get("span_id", ""),
        "traceState": link.get("trace_state", ""),
        "attributes": _attributes(link.get("attributes") or {}),
    }


def _ids(row: Row) -> Document:
    found: Document = {}
    if row["trace_id"]:
        found["traceId"] = row["trace_id"].hex
    if row["span_id"]:
        found["spanId"] = row["span_id"].hex()
    return found


def _created_ns(row: Row) -> int:
    return microseconds_of(row["created_at"]) * 1000 + int(row["created_ns"])


def _received_ns(row: Row) -> int:
    return microseconds_of(row["received_at"]) * 1000


def _number(names: Sequence[str], name: str | None, number: int | None) -> int:
    if number is not None:
        return number
    return names.index(name) if name in names else 0


def _attributes(members: Mapping[str, Any]) -> list[Document]:
    return [{"key": key, "value": _value(value)} for key, value in members.items()]


def _value(value: Any) -> Document:
    for kind, form in _VALUES:
        if isinstance(value, kind):
            return form(value)
    return {}


def _int(value: int) -> Document:
    if -_INT64 <= value < _INT64:
        return {"intValue": str(value)}
    return {"doubleValue": float(value)}


def _list(values: Iterable[Any]) -> Document:
    return {"arrayValue": {"values": [_value(value) for value in values]}}


_VALUES: tuple[tuple[type, Callable[[Any], Document]], ...] = (
    (str, lambda text: {"stringValue": text}),
    (bool, lambda flag: {"boolValue": flag}),
    (int, _int),
    (float, lambda number: {"doubleValue": number}),
    (list, _list),
    (dict, lambda members: {"kvlistValue": {"values": _attributes(members)}}),
)
"""The first match wins; a bool is an int too."""
