"""Telemetry for tests of the codec: the same content as OTLP/JSON and as protobuf, and a codec.

Python values stand for AnyValues: None, bool, int, float, str, bytes, list, dict.
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from config.levels import Level
from config.settings import LimitSettings, MappingSettings
from otlp_receiver.codec import Codec
from otlp_receiver.export import Encoding, Signal
from storage.record.canonical import member, order_of
from storage.record.record import RECORD_FIELDS, Attribute, Hit, Record, RedactedBatch, Value

NOW_NS = 1_700_000_000_000_000_000
"""When everything arrives."""

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID = "00f067aa0ba902b7"


class PlainRedactor:
    """Redacts the word "hunter2" everywhere, and nothing else."""

    def text(self, text: str) -> tuple[str, tuple[Hit, ...]]:
        """A text."""
        count = text.count("hunter2")
        return text.replace("hunter2", "[hidden]"), (("password", count),) if count else ()

    def attribute(self, key: str, value: Value) -> Attribute:
        """An attribute; its key and all texts in its value."""
        hits: list[Hit] = []
        safe_key, safe = self._any(key, hits), self._any(value, hits)
        assert isinstance(safe_key, str)
        total = sum(count for _, count in hits)
        return Attribute(
            safe_key,
            safe,
            member(safe_key, safe),
            order_of(safe_key),
            (("password", total),) if total else (),
        )

    def records(
        self, messages: Sequence[tuple[str | None, Sequence[tuple[str, Value]]]]
    ) -> list[tuple[str | None, tuple[Hit, ...], list[Attribute]]]:
        """Messages and attributes."""
        return [
            (
                *(self.text(text) if text is not None else (None, ())),
                [self.attribute(key, value) for key, value in fresh],
            )
            for text, fresh in messages
        ]

    def _any(self, value: Value, hits: list[Hit]) -> Value:
        if isinstance(value, str):
            safe, found = self.text(value)
            hits.extend(found)
            return safe
        if isinstance(value, list):
            return [self._any(item, hits) for item in value]
        if isinstance(value, dict):
            return {str(self._any(key, hits)): self._any(item, hits) for key, item in value.items()}
        return value


@dataclass(frozen=True)
class Key:
    """An ingest key."""

    id: int = 0
    attributes: tuple[tuple[str, Value], ...] = ()
    min_level: Level | None = None


def make_codec(limits: dict[str, int] | None = None, **mapping: Any) -> Codec:
    """A codec with fresh memos."""
    return Codec(PlainRedactor(), LimitSettings(**(limits or {})), MappingSettings(**mapping))


def any_json(value: Value) -> dict[str, Any]:
    """An AnyValue in OTLP/JSON."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if isfinite(value) else _not_finite(value)}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bytes):
        return {"bytesValue": b64encode(value).decode()}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_json(item) for item in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": attributes_json(value)}}
    return {}


def _not_finite(value: float) -> str:
    if isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


Attributes = dict[str, Value] | list[Any]
"""Attributes as pairs, to allow duplicate keys."""


def attributes_json(attributes: Attributes) -> list[Any]:
    """Attributes in OTLP/JSON."""
    pairs = attributes.items() if isinstance(attributes, dict) else attributes
    return [
        {"key": pair[0], "value": any_json(pair[1])} if isinstance(pair, tuple) else pair
        for pair in pairs
    ]


def any_proto(value: Value) -> AnyValue:
    """An AnyValue in protobuf."""
    result = AnyValue()
    if isinstance(value, bool):
        result.bool_value = value
    elif isinstance(value, int):
        result.int_value = value
    elif isinstance(value, float):
        result.double_value = value
    elif isinstance(value, str):
        result.string_value = value
    elif isinstance(value, bytes):
        result.bytes_value = value
    elif isinstance(value, list):
        result.array_value.SetInParent()
        result.array_value.values.extend([any_proto(item) for item in value])
    elif isinstance(value, dict):
        result.kvlist_value.SetInParent()
        result.kvlist_value.values.extend(attributes_proto(value))
    return result


def attributes_proto(attributes: dict[str, Value]) -> list[KeyValue]:
    """Attributes in protobuf."""
    return [KeyValue(key=key, value=any_proto(value)) for key, value in attributes.items()]


def logs_json(
    *records: Any,
    resource: dict[str, Value] | None = None,
    scope: dict[str, Any] | None = None,
) -> bytes:
    """An export of log records, each a LogRecord in OTLP/JSON."""
    envelope = {
        "resource": {"attributes": attributes_json(resource or {})},
        "scopeLogs": [{"scope": scope or {}, "logRecords": list(records)}],
    }
    return json.dumps({"resourceLogs": [envelope]}).encode()


def spans_json(
    *spans: Any,
    resource: dict[str, Value] | None = None,
    scope: dict[str, Any] | None = None,
) -> bytes:
    """An export of spans, each a Span in OTLP/JSON."""
    envelope = {
        "resource": {"attributes": attributes_json(resource or {})},
        "scopeSpans": [{"scope": scope or {}, "spans": list(spans)}],
    }
    return json.dumps({"resourceSpans": [envelope]}).encode()


def log(attributes: Attributes | None = None, **fields: Any) -> dict[str, Any]:
    """A LogRecord in OTLP/JSON, a second old; `body` as a Python value."""
    if "body" in fields:
        fields["body"] = any_json(fields["body"])
    return {
        "timeUnixNano": str(NOW_NS - 10**9),
        "attributes": attributes_json(attributes or {}),
        **fields,
    }


def span(attributes: Attributes | None = None, **fields: Any) -> dict[str, Any]:
    """A Span in OTLP/JSON that began a second ago and took 12.3 ms."""
    return {
        "traceId": TRACE_ID,
        "spanId": SPAN_ID,
        "name": "GET /orders",
        "startTimeUnixNano": str(NOW_NS - 10**9),
        "endTimeUnixNano": str(NOW_NS - 10**9 + 12_300_000),
        "attributes": attributes_json(attributes or {}),
        **fields,
    }


def stored(
    body: bytes,
    signal: Signal = Signal.LOGS,
    encoding: Encoding = Encoding.JSON,
    *,
    codec: Codec | None = None,
    key: Key | None = None,
) -> RedactedBatch:
    """The result of an export that arrives at NOW_NS."""
    codec = codec or make_codec()
    redacted = codec.redact(codec.decode(signal, encoding, body))
    return codec.map(redacted, received_unix_ns=NOW_NS, key=key or Key())


def one_log(
    attributes: Attributes | None = None,
    *,
    resource: dict[str, Value] | None = None,
    scope: dict[str, Any] | None = None,
    codec: Codec | None = None,
    **fields: Any,
) -> Record:
    """The record of one log record."""
    body = logs_json(log(attributes, **fields), resource=resource, scope=scope)
    (record,) = stored(body, codec=codec).records
    return record


def spans(*sent: Any, codec: Codec | None = None, **around: Any) -> list[Record]:
    """The records of spans."""
    return stored(spans_json(*sent, **around), Signal.TRACES, codec=codec).records


def metadata_of(record: Record) -> dict[str, Any]:
    """The record's metadata as objects."""
    metadata: dict[str, Any] = json.loads(record.metadata)
    return metadata


def columns_of(record: Record) -> dict[str, object]:
    """All columns of a record but its id, which is random in part."""
    return {name: getattr(record, name) for name in RECORD_FIELDS if name != "id"}


def logs_proto(*records: Any, resource: dict[str, Value] | None = None) -> ExportLogsServiceRequest:
    """An export of protobuf LogRecords."""
    request = ExportLogsServiceRequest()
    envelope = request.resource_logs.add()
    envelope.resource.attributes.extend(attributes_proto(resource or {}))
    envelope.scope_logs.add().log_records.extend(records)
    return request


def spans_proto(*sent: Any) -> ExportTraceServiceRequest:
    """An export of protobuf Spans."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.extend(sent)
    return request
