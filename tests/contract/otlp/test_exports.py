"""Whole exports through the real codec: points 1, 2, 48, 49, 94 to 96, 135 to 137."""

import gzip
import json

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest as Logs,
)
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest as Traces,
)

from config.settings import LimitSettings, MappingSettings, RedactionSettings
from otlp_receiver.codec import Codec
from storage.redaction.redactor import Redactor
from storage.redaction.tokens import HmacKeys
from tests.contract.otlp.server import JSON, PROTOBUF, Outcome, running

LOGS, TRACES = "/v1/logs", "/v1/traces"
NOW_NS = 1_780_000_000_000_000_000
ARRIVAL_NS = NOW_NS + 10**9


class CodecSink:
    """The pipeline without its spool: decode, redact, map, keep in memory."""

    def __init__(self) -> None:
        redactor = Redactor(RedactionSettings(), HmacKeys({"t": b"k" * 32}, current="t"))
        self.codec = Codec(redactor, LimitSettings(), MappingSettings())
        self.records = []

    async def ingest(self, signal, encoding, body, key):
        """As the pipeline's."""
        export = self.codec.decode(signal, encoding, body)
        redacted = self.codec.redact(export)
        batch = self.codec.map(redacted, received_unix_ns=ARRIVAL_NS, key=key)
        self.records.extend(batch.records)
        return Outcome(
            received=batch.received,
            rejected=batch.rejected,
            rejected_at=batch.rejected_at,
            warnings=batch.warnings,
            replaced_characters=batch.replaced_characters,
        )


@pytest.fixture
async def receiver():
    """A receiver with the codec as its sink."""
    async with running(sink=CodecSink()) as receiver:
        yield receiver


def logs(count=1, **fields):
    """An export of this many log records."""
    export = Logs()
    records = export.resource_logs.add().scope_logs.add().log_records
    for number in range(count):
        record = records.add(time_unix_nano=NOW_NS + number, **fields)
        record.body.string_value = f"paid {number}"
    return export


def spans(count=1):
    """An export of this many spans."""
    export = Traces()
    found = export.resource_spans.add().scope_spans.add().spans
    for number in range(count):
        found.add(
            trace_id=b"t" * 16,
            span_id=(number + 1).to_bytes(8, "big"),
            name="pay",
            start_time_unix_nano=NOW_NS,
            end_time_unix_nano=NOW_NS + 1 + number,
        )
    return export


@pytest.mark.parametrize(
    ("path", "export"),
    [
        pytest.param(LOGS, logs(), id="1"),
        pytest.param(TRACES, spans(), id="2"),
        pytest.param(LOGS, logs(10_000), id="48-logs"),
        pytest.param(TRACES, spans(5_000), id="48-spans"),
    ],
)
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_exports_of_any_count_are_accepted(receiver, path, export, coding):
    """1, 2, 48: the number of records is not limited."""
    body = export.SerializeToString()
    if coding == "gzip":
        body = gzip.compress(body)

    reply = await receiver.post(path, body, Content_Encoding=coding)

    sent = (
        export.resource_logs[0].scope_logs[0].log_records
        if path == LOGS
        else (export.resource_spans[0].scope_spans[0].spans)
    )
    assert (reply.status, reply.body) == (200, b"")
    assert len(receiver.sink.records) == len(sent)


@pytest.mark.parametrize("odd", ["message", "attributes", "key"])
async def test_point_049_large_single_values_are_accepted(receiver, odd):
    """49: a message of 1 MiB, 1000 attributes, a key of 70,000 characters; others are stored."""
    export = logs(2)
    record = export.resource_logs[0].scope_logs[0].log_records[0]
    if odd == "message":
        record.body.string_value = "x" * 2**20
    for number in range(1000 if odd == "attributes" else 0):
        record.attributes.add(key=f"k{number}").value.int_value = number
    if odd == "key":
        record.attributes.add(key="k" * 70_000).value.string_value = "v"

    reply = await receiver.post(LOGS, export.SerializeToString())

    assert reply.status == 200
    assert len(receiver.sink.records) == 2
    if odd == "message":
        assert len(receiver.sink.records[0].message) == 2**20


@pytest.mark.parametrize("path", [LOGS, TRACES])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param(PROTOBUF, b"", id="94-protobuf"),
        pytest.param(JSON, b"{}", id="94-json"),
        pytest.param(JSON, b'{"resourceLogs":[],"resourceSpans":[]}', id="94-lists"),
        pytest.param(PROTOBUF, bytes.fromhex("0a00"), id="95-resource"),
        pytest.param(PROTOBUF, bytes.fromhex("0a021200"), id="95-scope"),
        pytest.param(
            JSON, b'{"resourceLogs":[{"scopeLogs":[{}]}],"resourceSpans":[{}]}', id="95-json"
        ),
    ],
)
async def test_exports_without_records_are_accepted(receiver, path, kind, body):
    """94, 95: 200, nothing stored, partial_success unset."""
    reply = await receiver.post(path, body, Content_Type=kind)

    assert (reply.status, reply.body) == (200, b"" if kind == PROTOBUF else b"{}")
    assert receiver.sink.records == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param(PROTOBUF, bytes.fromhex("0a0412021200"), id="96-protobuf"),
        pytest.param(JSON, b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}', id="96-json"),
    ],
)
async def test_a_record_of_defaults_only_is_a_record(receiver, kind, body):
    """96: stored with the time of its arrival."""
    reply = await receiver.post(LOGS, body, Content_Type=kind)

    assert reply.status == 200
    (record,) = receiver.sink.records
    assert record.message == ""
    assert record.created_unix_ns == ARRIVAL_NS


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (PROTOBUF, b"\xff\xff\xff"),
        (PROTOBUF, logs().SerializeToString()[:-3]),
        (PROTOBUF, b'{"resourceLogs":[]}'),
        (JSON, b'{"resourceLogs":'),
        (JSON, b"[]"),
        (JSON, b'{"resourceLogs":"x"}'),
        (JSON, b'{"resourceLogs":[]} x'),
    ],
)
async def test_an_invalid_export_is_400_with_its_location(receiver, kind, body):
    """135 to 138: in the request's encoding, without repeating raw bytes."""
    reply = await receiver.post(LOGS, body, Content_Type=kind)

    assert (reply.status, reply.headers["content-type"]) == (400, kind)
    assert reply.rpc.message.startswith("bad_payload: ")
    assert reply.violations
    reply.body.decode("utf-8", "strict" if kind == JSON else "replace")


async def test_point_137_the_field_path_is_reported(receiver):
    """137: it helps to find the place in the sender."""
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [{}, "text"]}]}]})

    reply = await receiver.post(LOGS, body.encode(), Content_Type=JSON)

    if reply.status == 400:
        assert "logRecords[1]" in reply.violations[0][0]
    else:
        assert "partialSuccess" in json.loads(reply.body)


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
async def test_points_101_and_133_implausible_times_are_stored_with_a_warning(receiver, kind):
    """101, 133: nothing is rejected, and the response says what to check."""
    export = logs(3)
    for record, time_ns in zip(
        export.resource_logs[0].scope_logs[0].log_records, (1, 2**64 - 1, NOW_NS), strict=True
    ):
        record.time_unix_nano = time_ns
    body = export.SerializeToString() if kind == PROTOBUF else json_format.MessageToJson(export)

    reply = await receiver.post(LOGS, body.encode() if kind == JSON else body, Content_Type=kind)

    message = (
        ExportLogsServiceResponse.FromString(reply.body).partial_success.error_message
        if kind == PROTOBUF
        else json.loads(reply.body)["partialSuccess"]["errorMessage"]
    )
    assert message.startswith("2 records have timestamps more than 400 days before or more than")
    assert b"ejected" not in reply.body
    assert len(receiver.sink.records) == 3


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
@pytest.mark.parametrize("ahead_s", [0, 290, 310, 3610, 86_390])
async def test_clocks_more_than_five_minutes_ahead_are_a_warning(receiver, kind, ahead_s):
    """133: nothing is rejected, and the sender learns by how much its clock is wrong."""
    export = logs(3)
    for record, ahead in zip(
        export.resource_logs[0].scope_logs[0].log_records, (0, ahead_s, ahead_s), strict=True
    ):
        record.time_unix_nano = NOW_NS + ahead * 10**9
    body = export.SerializeToString() if kind == PROTOBUF else json_format.MessageToJson(export)

    reply = await receiver.post(LOGS, body.encode() if kind == JSON else body, Content_Type=kind)

    expected = f"2 records are dated up to {ahead_s // 60} minutes after their arrival"
    assert (expected.encode() in reply.body) == (ahead_s > 300)
    assert b"ejected" not in reply.body
    assert len(receiver.sink.records) == 3


async def test_point_132_a_rejection_names_the_first_invalid_record(receiver):
    """132: only the first, however many there are."""
    records = [{"body": {"stringValue": "good"}}, *["no record"] * 1000]
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).encode()

    reply = await receiver.post(LOGS, body, Content_Type=JSON)

    message = json.loads(reply.body)["partialSuccess"]["errorMessage"]
    first = "resourceLogs[0].scopeLogs[0].logRecords[1]"
    assert f"1000 bad_value (first: {first}): no object stands where a" in message
    assert len(message) < 400


async def test_point_133_unreadable_values_are_a_warning(receiver):
    """133: nothing is rejected; only the first is named, however many there are."""
    records = [{"body": {"stringValue": "good"}}, *[{"body": {"intValue": "x"}}] * 1000]
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).encode()

    reply = await receiver.post(LOGS, body, Content_Type=JSON)

    partial = json.loads(reply.body)["partialSuccess"]
    assert "rejectedLogRecords" not in partial
    assert "1000 values" in partial["errorMessage"]
    assert "logRecords[1].body.intValue" in partial["errorMessage"]
    assert len(receiver.sink.records) == 1001
