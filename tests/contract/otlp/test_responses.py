"""Responses: points 131 to 140, and 143, 144: handling of internal errors."""

import asyncio
import json
import logging

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from config.errors import OpslogError
from otlp_receiver.errors import BadPayload
from otlp_receiver.export import Signal
from storage.errors import DatabaseUnavailable, SpoolFull
from tests.contract.otlp.server import JSON, PROTOBUF, MemorySink, Outcome, running
from tests.support.waiting import until

RESPONSES = {"/v1/logs": ExportLogsServiceResponse, "/v1/traces": ExportTraceServiceResponse}
REJECTED = {"/v1/logs": "rejected_log_records", "/v1/traces": "rejected_spans"}
both_signals = pytest.mark.parametrize("path", RESPONSES)
both_encodings = pytest.mark.parametrize("kind", [PROTOBUF, JSON])


async def respond(outcome, path="/v1/logs", kind=PROTOBUF):
    """The response of a receiver whose sink returns this outcome."""
    async with running(sink=MemorySink(outcome)) as receiver:
        return await receiver.post(path, b"abc", Content_Type=kind)


def partial_success(reply, path):
    """(rejected, message), parsed by the official classes."""
    kind = RESPONSES[path]
    if reply.headers["content-type"] == PROTOBUF:
        response = kind.FromString(reply.body)
    else:
        response = json_format.Parse(reply.body, kind())
    partial = response.partial_success
    return getattr(partial, REJECTED[path]), partial.error_message


@both_signals
@pytest.mark.parametrize(("kind", "body"), [(PROTOBUF, b""), (JSON, b"{}")])
async def test_point_131_full_success_leaves_partial_success_unset(path, kind, body):
    """131: zero bytes of protobuf, an empty object of JSON."""
    reply = await respond(Outcome(), path, kind)

    assert (reply.status, reply.body) == (200, body)


@both_signals
@both_encodings
async def test_point_132_rejections_are_reported(path, kind):
    """132: how many, why, and what to do."""
    outcome = Outcome(received=300, rejected={"below_min_level": 200, "bad_value": 1})

    reply = await respond(outcome, path, kind)
    rejected, message = partial_success(reply, path)

    assert reply.status == 200
    assert rejected == 201
    assert message.startswith("201 of 300 ")
    assert "200 below_min_level: the level is below" in message
    assert "1 bad_value: " in message


async def test_point_132_the_json_names_are_the_specifications():
    """79, 132: lowerCamelCase, 64-bit integers as strings."""
    logs = json.loads((await respond(Outcome(rejected={"bad_value": 3}), "/v1/logs", JSON)).body)
    spans = json.loads((await respond(Outcome(rejected={"bad_value": 3}), "/v1/traces", JSON)).body)

    assert logs["partialSuccess"]["rejectedLogRecords"] == "3"
    assert spans["partialSuccess"]["rejectedSpans"] == "3"
    assert "errorMessage" in logs["partialSuccess"]


@both_signals
@both_encodings
async def test_point_133_a_warning_rejects_nothing(path, kind):
    """133: a message and a count of 0."""
    reply = await respond(Outcome(warnings=["3 records have times of tomorrow"]), path, kind)

    assert partial_success(reply, path) == (0, "3 records have times of tomorrow")


@both_encodings
@pytest.mark.parametrize(
    "error", [SpoolFull(used_bytes=1, limit_bytes=1, free_bytes=0), DatabaseUnavailable("away")]
)
async def test_point_134_transient_errors_are_never_a_partial_success(kind, error):
    """134: 503, since senders do not retry after a 200."""
    reply = await respond(error, kind=kind)

    assert reply.status == 503
    assert reply.rpc.code == 14


@both_encodings
async def test_points_135_to_139_an_invalid_export_is_reported_with_its_location(kind):
    """135: 400; 136: a Status in the request's encoding; 137: what; 138: where; 139: gRPC's code."""
    error = BadPayload(
        "a string is expected", where="resourceLogs[0].scopeLogs[2].logRecords[7].body"
    )

    reply = await respond(error, kind=kind)

    assert (reply.status, reply.headers["content-type"]) == (400, kind)
    assert reply.rpc.message == "bad_payload: a string is expected"
    assert reply.violations == [(error.where, reply.rpc.message)]
    assert reply.rpc.code == 3
    assert "retry-after" not in reply.headers


async def test_point_136_the_json_status_is_the_official_one():
    """136: parsed by the class that the Collector's clients use."""
    from google.rpc import error_details_pb2, status_pb2

    assert error_details_pb2.BadRequest.DESCRIPTOR.full_name == "google.rpc.BadRequest"
    reply = await respond(BadPayload("no", where="a.b"), kind=JSON)

    status = json_format.Parse(reply.body, status_pb2.Status())

    detail = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(detail)
    assert detail.field_violations[0].field == "a.b"


async def test_point_140_the_response_waits_for_the_disk():
    """140: not a byte of it before the sink has returned."""
    sink = MemorySink(gate=asyncio.Event())
    async with running(sink=sink) as receiver:
        posted = asyncio.create_task(receiver.post(body=b"abc"))
        await until(lambda: sink.waiting == 1)
        await asyncio.sleep(0.05)
        assert not posted.done()

        sink.gate.set()
        assert (await posted).status == 200


@both_encodings
@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError(), RecursionError(), MemoryError(), TimeoutError(), KeyError("SECRET"),
     OpslogError("unnamed"), AssertionError("SECRET"), UnicodeDecodeError("utf-8", b"SECRET", 0, 1, "x")],
)  # fmt: skip
async def test_point_143_an_internal_error_is_503_and_logged_without_the_payload(
    kind, error, caplog
):
    """143, 165: senders drop a batch on 500; an error's message may quote data."""
    reply = await respond(error, kind=kind)

    assert (reply.status, reply.headers["content-type"]) == (503, kind)
    assert 1 <= int(reply.headers["retry-after"]) <= 3
    assert "SECRET" not in reply.rpc.message + caplog.text
    if not isinstance(error, OpslogError):
        assert type(error).__name__ in caplog.text
        assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_point_144_a_body_that_fails_repeatedly_is_rejected_permanently():
    """144: after three times, and only that body."""
    async with running(sink=MemorySink(ZeroDivisionError())) as receiver:
        statuses = [(await receiver.post(body=b"poison")).status for _ in range(4)]
        other = await receiver.post(body=b"other")

    assert statuses == [503, 503, 400, 400]
    assert other.status == 503


async def test_a_connection_error_of_the_sink_is_an_internal_error():
    """PostgreSQL has disconnected, not the sender."""
    reply = await respond(ConnectionResetError("peer"))

    assert reply.status == 503


@both_encodings
async def test_an_explanation_stores_nothing_and_is_json(kind):
    """The same payload at another path."""
    requested = []

    async def explain(*given):
        requested.append(given)
        return b'{"records": []}'

    async with running(explain=explain) as receiver:
        reply = await receiver.post("/v1/traces:explain", b"abc", Content_Type=kind)

    assert (reply.status, reply.body) == (200, b'{"records": []}')
    assert reply.headers["content-type"] == JSON
    assert reply.headers["cache-control"] == "no-store"  # T59
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert requested[0][0::2] == (Signal.TRACES, b"abc")
    assert receiver.sink.got == []


async def test_an_explanation_of_an_invalid_body_fails_like_an_export():
    """400 with the location."""

    async def explain(*_):
        raise BadPayload("no", where="a.b")

    async with running(explain=explain) as receiver:
        reply = await receiver.post("/v1/logs:explain", b"abc")

    assert (reply.status, reply.violations[0][0]) == (400, "a.b")
