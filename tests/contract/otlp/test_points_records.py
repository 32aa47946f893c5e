"""Points about records, shared by both encodings: 77, 93, 114, 117, 120."""

import json

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import EntityRef, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otlp_receiver.export import Encoding
from tests.contract.otlp.server import JSON, running
from tests.contract.otlp.test_exports import CodecSink
from tests.support.telemetry import NOW_NS, log, logs_json, logs_proto, metadata_of, stored

PATHS = ["/v1/logs", "/v1/traces"]


@pytest.mark.parametrize("path", PATHS)
async def test_point_077_an_empty_body_is_not_json(path):
    """77: it has no telemetry; nothing is stored, and there is no retry."""
    async with running(sink=CodecSink()) as receiver:
        reply = await receiver.post(path, b"", Content_Type=JSON)

        assert reply.status in {200, 400}
        assert reply.headers["content-type"] == JSON
        assert receiver.sink.records == []


def whole_protobuf() -> ExportLogsServiceRequest:
    """Every count and schema URL in one export."""
    request = logs_proto(LogRecord(time_unix_nano=NOW_NS, dropped_attributes_count=3))
    group = request.resource_logs[0]
    group.schema_url = "https://example.org/resource"
    group.resource.dropped_attributes_count = 4
    group.resource.attributes.append(KeyValue(key="service.name"))
    group.resource.entity_refs.append(EntityRef(type="service", id_keys=["service.name"]))
    group.scope_logs[0].schema_url = "https://example.org/scope"
    group.scope_logs[0].scope.dropped_attributes_count = 5
    return request


def test_points_93_and_117_dropped_counts_and_schema_urls_are_kept():
    """93, 117: with entity_refs, which are accepted and not stored."""
    batch = stored(whole_protobuf().SerializeToString(), encoding=Encoding.PROTOBUF)

    (record,), (stream,) = batch.records, batch.streams.values()
    assert metadata_of(record)["otel"]["dropped_attributes_count"] == 3
    assert stream.resource_schema_url == "https://example.org/resource"
    assert stream.scope_schema_url == "https://example.org/scope"
    assert b"4" in stream.resource + stream.scope
    assert b"5" in stream.scope


@pytest.mark.parametrize(
    "sent",
    [{"key": "", "value": {"stringValue": "x"}}, {"key": "k"}, {"value": {}}, {}, {"key": None}],
)
def test_point_114_an_attribute_may_lack_key_and_value(sent):
    """114: the record is kept; no key is "", no value is null."""
    document = json.loads(logs_json(log(body="kept")))
    document["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["attributes"] = [sent]

    (record,) = stored(json.dumps(document).encode()).records

    kept = metadata_of(record).get("attributes", {})
    assert record.message == "kept"
    assert set(kept) <= {"", "k"}
    assert set(kept.values()) <= {"x", None}


@pytest.mark.parametrize("trace", [b"", bytes(16), b"short", b"l" * 17])
@pytest.mark.parametrize("span", [b"", bytes(8), b"short", b"l" * 9])
def test_point_120_records_with_invalid_ids_are_stored(trace, span):
    """120: empty, all zero or of the wrong length: stored, not associated."""
    request = logs_proto(LogRecord(time_unix_nano=NOW_NS, trace_id=trace, span_id=span))

    (record,) = stored(request.SerializeToString(), encoding=Encoding.PROTOBUF).records

    assert (record.trace_id, record.span_id) == (None, None)


def test_point_120_a_valid_trace_id_with_an_invalid_span_id_is_kept():
    """120: half an association is better than none."""
    request = logs_proto(LogRecord(time_unix_nano=NOW_NS, trace_id=b"t" * 16, span_id=b"bad"))

    (record,) = stored(request.SerializeToString(), encoding=Encoding.PROTOBUF).records

    assert record.trace_id == b"t" * 16
    assert record.span_id is None
