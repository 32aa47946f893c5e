"""Private OTLP message classes that do not reject a record for invalid UTF-8 or deep nesting.

opentelemetry-proto's descriptors, copied into a private pool with every `string` as `bytes`
(protobuf rejects a whole request for one invalid UTF-8 byte) and the fields of RAW left undecoded
(protobuf rejects more than 100 levels; wire.py has its own limit, and most are cached by bytes).
"""

from types import ModuleType
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

RAW = frozenset({
    "LogRecord.attributes",
    "LogRecord.body",
    "Span.attributes",
    "Span.Event.attributes",
    "Span.Link.attributes",
    "ResourceLogs.resource",
    "ResourceSpans.resource",
    "ScopeLogs.scope",
    "ScopeSpans.scope",
})  # fmt: skip
"""Changed to `repeated bytes`; joining the occurrences of a singular field merges them."""

_RECORDS = frozenset({"ScopeLogs.log_records", "ScopeSpans.spans"})
"""Changed as well in a second pool, for requests of which some records cannot be decoded."""

_OLD_SCOPES = 1000
"""instrumentation_library_logs/_spans of 2021: same structure as scope_logs; the Collector still
accepts it (opentelemetry-collector, pdata/internal/otlp)."""

_Field = descriptor_pb2.FieldDescriptorProto


def _loosen(message: descriptor_pb2.DescriptorProto, path: str, raw: frozenset[str]) -> None:
    for field in message.field:
        if field.type == _Field.TYPE_STRING:
            field.type = _Field.TYPE_BYTES
        if f"{path}.{field.name}" in raw:
            field.type = _Field.TYPE_BYTES
            field.label = _Field.LABEL_REPEATED
            field.ClearField("type_name")
    for nested in message.nested_type:
        _loosen(nested, f"{path}.{nested.name}", raw)
    scopes = next((f for f in message.field if f.name in {"scope_logs", "scope_spans"}), None)
    if scopes is not None:
        old = message.field.add()
        old.CopyFrom(scopes)
        old.name, old.number, old.json_name = "old_scopes", _OLD_SCOPES, "oldScopes"
        del message.reserved_range[:]


def _private_pool(raw: frozenset[str]) -> descriptor_pool.DescriptorPool:
    modules: tuple[ModuleType, ...] = (
        common_pb2,
        resource_pb2,
        logs_pb2,
        trace_pb2,
        logs_service_pb2,
        trace_service_pb2,
    )
    pool = descriptor_pool.DescriptorPool()
    for module in modules:
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in file.message_type:
            _loosen(message, message.name, raw)
        pool.AddSerializedFile(file.SerializeToString())
    return pool


_POOL = _private_pool(RAW)
_RAW_POOL = _private_pool(RAW | _RECORDS)


def _message_class(name: str, pool: descriptor_pool.DescriptorPool = _POOL) -> Any:
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"opentelemetry.proto.{name}")
    )


LogsRequest = _message_class("collector.logs.v1.ExportLogsServiceRequest")
TracesRequest = _message_class("collector.trace.v1.ExportTraceServiceRequest")
RawLogsRequest = _message_class("collector.logs.v1.ExportLogsServiceRequest", _RAW_POOL)
RawTracesRequest = _message_class("collector.trace.v1.ExportTraceServiceRequest", _RAW_POOL)
"""The same with the records as bytes."""
LogRecord = _message_class("logs.v1.LogRecord")
Span = _message_class("trace.v1.Span")
