"""The records that a program sent, in the format that the API should return.

One JSON object a line on standard output, all keys of a record but `id` and `receivedAt`. The
times, ids, resource and scope are read from the SDK; what a rule of the mapping decides (level,
action, message, …) is report by the program, where it says more than the rule's default.
What it cannot know is `{"$between": [a, b]}` (a number, or a time in ns) or `{"$pattern": "…"}`.
"""

import base64
import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor

Fields = dict[str, Any]

LEVELS = ("DEBUG", "DEBUG", "INFO", "WARN", "ERROR", "CRITICAL")
STATUSES = ("UNSET", "OK", "ERROR")
NUMBERS = {
    logging.DEBUG: (5, "DEBUG"),
    logging.INFO: (9, "INFO"),
    logging.WARNING: (13, "WARN"),
    logging.ERROR: (17, "ERROR"),
    logging.CRITICAL: (21, "FATAL"),
}
"""What the SDK makes of Python's levels."""

# opentelemetry-proto, SpanFlags: "has is_remote" is always set by this SDK, "is remote" on top.
LOCAL, REMOTE = 0x100, 0x300


def report(record: Fields) -> None:
    """Report one record to the test."""
    print(json.dumps(record), flush=True)


def rfc3339(unix_ns: int) -> str:
    """A time in the API's format, with nanoseconds."""
    seconds, ns = divmod(unix_ns, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{ns:09}Z"


def plain(value: Any) -> Any:
    """An attribute or body as JSON."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def scope_of(scope: Any) -> Fields:
    """An instrumentation scope."""
    members: Fields = {"name": scope.name, "version": scope.version or ""}
    if scope.attributes:
        members["attributes"] = plain(scope.attributes)
    return members


def schema_urls_of(resource: Any, scope: Any) -> Fields:
    """The members of `metadata.otel` for both schemas."""
    urls = {
        "resource_schema_url": resource.schema_url,
        "schema_url": getattr(scope, "schema_url", None),
    }
    return {name: url for name, url in urls.items() if url}


def record_of(kind: str, attributes: Any, resource: Any, scope: Any) -> Fields:
    """A record for which only the service, the attributes and their origin are known."""
    return {
        "kind": kind,
        "level": "INFO",
        "sourceModule": resource.attributes["service.name"],
        "action": "log",
        **dict.fromkeys(("resourceId", "resourceType", "actorId", "ipAddress", "correlationId")),
        **dict.fromkeys(("traceId", "spanId", "parentSpanId", "durationNs")),
        "metadata": {
            "attributes": plain(attributes or {}),
            "resource": plain(resource.attributes),
            "scope": scope_of(scope),
            **dict.fromkeys(("body", "span", "exception")),
            "otel": schema_urls_of(resource, scope),
            "redaction": [],
        },
    }


def exception_of(attributes: Mapping[str, Any]) -> Fields | None:
    """`metadata.exception` of exception.* attributes."""
    found = {
        name: attributes[f"exception.{name}"]
        for name in ("type", "message", "stacktrace")
        if f"exception.{name}" in attributes
    }
    return found or None


class LoggingAccount(logging.Handler):
    """Reports every record that Python's logging passes to a handler, where the SDK is hidden."""

    def __init__(self) -> None:
        super().__init__()
        self.next: tuple[Fields, Fields] = ({}, {})
        """Attributes and fields of the next record."""

    def emit(self, record: logging.LogRecord) -> None:
        """Called within the program's own call."""
        (attributes, fields), self.next = self.next, ({}, {})
        scope = SimpleNamespace(name=record.name, version=None, attributes=None)
        reported = record_of("log", attributes, trace.get_tracer_provider().resource, scope)
        number, text = NUMBERS[record.levelno]
        now_ns = time.time_ns()
        reported.update(
            createdAt=rfc3339(int(record.created * 1e9)),
            level=LEVELS[(number - 1) // 4],
            message=record.getMessage(),
        )
        reported["metadata"]["exception"] = exception_of(attributes)
        reported["metadata"]["otel"] = {
            "severity_number": number,
            "severity_text": text,
            # The SDK's handler comes a moment before or after this one.
            "observed_ns": {"$between": [now_ns - 10**9, now_ns + 10**9]},
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            reported.update(traceId=f"{context.trace_id:032x}", spanId=f"{context.span_id:016x}")
            reported["metadata"]["otel"]["flags"] = int(context.trace_flags)
        report({**reported, **fields})


class LogAccount(LogRecordProcessor):
    """Reports every log record that the SDK exports."""

    def __init__(self) -> None:
        self.next: Fields = {}
        """Fields of the next record; those of its metadata under their own names."""

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Called within the program's own call."""
        sent = log_record.log_record
        fields, self.next = self.next, {}
        record = record_of(
            "log", sent.attributes, log_record.resource, log_record.instrumentation_scope
        )
        number = sent.severity_number.value if sent.severity_number else 0
        record["createdAt"] = rfc3339(sent.timestamp or sent.observed_timestamp)
        record["level"] = LEVELS[(number - 1) // 4] if number else "INFO"
        if sent.trace_id:
            record.update(traceId=f"{sent.trace_id:032x}", spanId=f"{sent.span_id:016x}")
        metadata = record["metadata"]
        if isinstance(sent.body, str):
            record["message"] = sent.body
        else:
            metadata["body"] = plain(sent.body)
        if sent.event_name:
            record["action"] = metadata["otel"]["event_name"] = sent.event_name
        metadata["exception"] = exception_of(sent.attributes)
        if metadata["exception"] and not sent.event_name:
            record["action"] = "exception"
        metadata["otel"].update(severity_number=number, observed_ns=sent.observed_timestamp)
        if sent.severity_text:
            metadata["otel"]["severity_text"] = sent.severity_text
        if int(sent.trace_flags):
            metadata["otel"]["flags"] = int(sent.trace_flags)
        if log_record.dropped_attributes:
            metadata["otel"]["dropped_attributes_count"] = log_record.dropped_attributes
        metadata.update(fields.pop("metadata", {}))
        report({**record, **fields})

    def shutdown(self) -> None:
        """Nothing to do."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing to do."""
        return True


class SpanAccount(SpanProcessor):
    """Reports every span, and the rows derived from its exception events."""

    def __init__(self, fields: dict[str, Fields]) -> None:
        self._fields = fields
        """Span name to what the rules make of its attributes."""

    def on_end(self, span: ReadableSpan) -> None:
        """Called when the program leaves the span."""
        report_span(span, self._fields.get(span.name, {}))


def report_span(span: ReadableSpan, fields: Fields) -> None:
    """Report an ended span and its derived rows; `fields` as in LogAccount.next."""
    record = record_of("span", span.attributes, span.resource, span.instrumentation_scope)
    status = STATUSES[span.status.status_code.value]
    duration = span.end_time - span.start_time
    record.update(
        createdAt=rfc3339(span.start_time),
        durationNs=duration,
        level="ERROR" if status == "ERROR" else "INFO",
        action=span.name,
        message=f"{span.name} {status} {duration / 1e6:.1f} ms",
        traceId=f"{span.context.trace_id:032x}",
        spanId=f"{span.context.span_id:016x}",
        parentSpanId=f"{span.parent.span_id:016x}" if span.parent else None,
    )
    metadata = record["metadata"]
    metadata["span"] = span_of(span)
    if status == "ERROR":
        metadata["level_source"] = "span_status"
    report({**record, **fields})
    for event in span.events:
        if event.name == "exception":
            report(derived_of(event, record, span))


def span_of(span: ReadableSpan) -> Fields:
    """`metadata.span`: the span as sent, without zeros and empty texts."""
    status: Fields = {"code": STATUSES[span.status.status_code.value]}
    if span.status.description:
        status["message"] = span.status.description
    members: Fields = {
        "name": span.name,
        "kind": span.kind.name,
        "status": status,
        "start_ns": span.start_time,
        "end_ns": span.end_time,
        "flags": REMOTE if span.parent and span.parent.is_remote else LOCAL,
        "trace_state": ",".join(f"{k}={v}" for k, v in span.context.trace_state.items()),
        "events": [event_of(event) for event in span.events],
        "links": [link_of(link) for link in span.links],
        "dropped_attributes_count": span.dropped_attributes,
        "dropped_events_count": span.dropped_events,
        "dropped_links_count": span.dropped_links,
    }
    return {name: value for name, value in members.items() if value}


def event_of(event: Event) -> Fields:
    """One of `metadata.span.events`."""
    members: Fields = {"name": event.name, "time_ns": event.timestamp}
    if event.attributes:
        members["attributes"] = plain(event.attributes)
    return members


def link_of(link: Any) -> Fields:
    """One of `metadata.span.links`."""
    members: Fields = {
        "trace_id": f"{link.context.trace_id:032x}",
        "span_id": f"{link.context.span_id:016x}",
        "flags": REMOTE if link.context.is_remote else LOCAL,
    }
    if link.attributes:
        members["attributes"] = plain(link.attributes)
    return members


def derived_of(event: Event, parent: Fields, span: ReadableSpan) -> Fields:
    """The ERROR row that an exception event becomes."""
    record = record_of("log", event.attributes, span.resource, span.instrumentation_scope)
    kept = ("sourceModule", "actorId", "ipAddress", "correlationId", "traceId", "spanId")
    record.update({name: parent[name] for name in kept})
    attributes = record["metadata"]["attributes"]
    record.update(
        createdAt=rfc3339(event.timestamp),
        level="ERROR",
        action="exception",
        message=f"{attributes['exception.type']}: {attributes['exception.message']}",
    )
    record["metadata"].update(exception=exception_of(attributes), level_source="exception")
    return record
