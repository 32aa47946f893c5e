"""Exports end to end: two receivers on one port, down to the database rows."""

import json
import random
import signal
import string
import time
from contextlib import contextmanager

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from tests.fuzz.targets import field
from tests.support.product import Product
from tests.support.senders import numbered_body
from tests.support.telemetry import log, logs_json, span, spans_json

pytestmark = pytest.mark.slow

PROTOBUF, JSON = "application/x-protobuf", "application/json"
RECORDS = 8192
ODD_PLACE = 4000


@pytest.fixture(scope="module")
def product():
    """Opslog with both receivers ready."""
    with Product.running(OPSLOG_OTLP__RECEIVERS="2") as product:
        product.wait(lambda: product.find("receiver-1"), 60)
        yield product


def batches(product: Product, where: str = "true") -> list[dict]:
    """Rows of ingest_batches that came from senders, oldest first."""
    names = ("batch_id", "spool_id", "duplicate_of", "received", "stored", "duplicate", "dead")
    rows = product.sql(
        f"SELECT {', '.join(names)} FROM ingest_batches"
        f" WHERE signal <> 'audit' AND {where} ORDER BY stored_at, batch_id"
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


# -- one odd record among 8,192 -------------------------------------------------------------


def long_text(seed: int, length: int) -> str:
    """Text that does not compress, so that a B-tree would have to store it in full."""
    return "".join(random.Random(seed).choices(string.ascii_letters + string.digits, k=length))


ODD_ATTRIBUTES = {
    "nul": "a\0b",
    "nul\0key": 1,
    "nan": float("nan"),
    "infinity": float("inf"),
    "infinities": [float("-inf"), {"deep": float("nan")}],
    "huge": 1e308,
    "tiny": 5e-324,
    "minus_zero": -0.0,
    "bytes": b"\0\xff",
    "least": -(2**63),
    "most": 2**63 - 1,
    "": None,
    "long": "x" * (2 * 2**20),
    "k" * 70_000: "long key",
    "source.module": "m" * 500,
    "action": "a" * 500,
    "client.address": "not an address",
    "resource.type": long_text(1, 8000),
    "resource.id": long_text(2, 8000),
    "user.id": long_text(3, 8000),
    "correlation_id": long_text(4, 8000),
}


def nested(depth: int) -> bytes:
    """An AnyValue of lists in lists."""
    raw = field(1, b"leaf")
    for _ in range(depth):
        raw = field(5, field(1, raw))
    return raw


def odd_protobuf() -> bytes:
    """The batch; the problematic record has bytes that the official classes do not write."""
    from tests.support.telemetry import attributes_proto

    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    now = time.time_ns()
    for number in range(RECORDS):
        record = records.add(time_unix_nano=now + number, severity_number=9)
        record.body.string_value = f"protobuf {number}"
    odd = records[ODD_PLACE]
    odd.time_unix_nano = 2**64 - 1
    odd.attributes.extend(attributes_proto(ODD_ATTRIBUTES))
    odd.attributes.extend(attributes_proto({"twice": 1}))
    odd.attributes.extend(attributes_proto({"twice": 2}))
    odd.trace_id, odd.span_id, odd.severity_number = b"short", b"", 99
    raw = odd.SerializeToString()
    raw += field(6, field(1, b"surrogate") + field(2, field(1, b"\xed\xa0\x80 caf\xe9")))
    raw += field(6, field(1, b"surrogate \xed\xa0\x80") + field(2, b""))
    raw += field(6, field(1, b"nest") + field(2, nested(20_000)))
    rows = [raw if n == ODD_PLACE else r.SerializeToString() for n, r in enumerate(records)]
    return field(1, field(2, b"".join([field(2, row) for row in rows])))


def odd_json() -> bytes:
    """The same as OTLP/JSON, with values that protobuf cannot represent."""
    now = time.time_ns()
    records = [
        log(timeUnixNano=str(now + number), severityNumber=9, body=f"json {number}")
        for number in range(RECORDS)
    ]
    odd = log(
        ODD_ATTRIBUTES,
        timeUnixNano=str(2**64 - 1),
        severityNumber=99,
        body=f"json {ODD_PLACE}",
        traceId="short",
        spanId="",
    )
    odd["attributes"] += [
        {"key": "twice", "value": {"intValue": 1}},
        {"key": "twice", "value": {"intValue": 2}},
        {"key": "surrogate", "value": {"stringValue": "\ud800"}},
        {"key": "surrogate \ud800", "value": {}},
        {"key": "js", "value": {"intValue": 1e300}},
        {"key": "none", "value": {"doubleValue": None}},
        {"key": "beyond", "value": {"doubleValue": "@beyond@"}},
        {"key": "nest", "value": _nested_json(200)},
    ]
    records[ODD_PLACE] = odd
    return logs_json(*records).replace(b'"@beyond@"', b"1e400")


def _nested_json(depth: int) -> dict:
    value: dict = {"stringValue": "leaf"}
    for _ in range(depth):
        value = {"arrayValue": {"values": [value]}}
    return value


@pytest.mark.parametrize(("kind", "make"), [(PROTOBUF, odd_protobuf), (JSON, odd_json)])
def test_a_batch_with_every_problematic_value_in_one_record_is_stored_completely(
    product, kind, make
):
    """Points 76, 86, 100, 109, 121 and section 5 of what PostgreSQL refuses: 8,192 of 8,192."""
    body = make()

    status, _, reply = product.export(body, content_type=kind)

    assert status == 200
    response = ExportLogsServiceResponse()
    if kind == PROTOBUF:
        response.ParseFromString(reply)
    else:
        json_format.Parse(reply, response)
    assert response.partial_success.rejected_log_records == 0
    assert response.partial_success.error_message.startswith("1 records have timestamps")
    name = "protobuf" if kind == PROTOBUF else "json"
    count = f"SELECT count(DISTINCT message) FROM system_logs WHERE message ~ '^{name} [0-9]+$'"
    product.wait(lambda: product.sql(count)[0][0] == RECORDS, 60)
    ((metadata, resource_id, actor_id, address),) = product.sql(
        "SELECT metadata, resource_id, actor_id, ip_address FROM system_logs"
        f" WHERE message = '{name} {ODD_PLACE}'"
    )
    attributes = json.loads(metadata)["attributes"]
    assert attributes["nul"] == "a\N{REPLACEMENT CHARACTER}b"
    assert (attributes["nan"], attributes["infinity"]) == ("NaN", "Infinity")
    assert (attributes["most"], attributes["twice"]) == (2**63 - 1, 2)
    assert attributes["client.address"] == "not an address"
    assert address is None
    assert max(len(resource_id), len(actor_id)) < 2600
    assert batches(product, f"received = {RECORDS}")[-1]["dead"] == 0


# -- the same request again -----------------------------------------------------------------


@contextmanager
def alone(product: Product, name: str):
    """Only this receiver accepts connections."""
    other = {"receiver-0": "receiver-1", "receiver-1": "receiver-0"}[name]
    product.wait(lambda: product.find(name), 60)
    product.kill(other, signal.SIGSTOP)
    try:
        yield
    finally:
        product.kill(other, signal.SIGCONT)


def duplicate_rows(product: Product) -> int:
    """From the metrics, which are updated once a second."""
    token = {"Authorization": f"Bearer {product.token()}"}
    _, _, text = product.request("/metrics", headers=token)
    lines = [line for line in text.decode().splitlines() if line.startswith(DUPLICATES)]
    return sum(int(float(line.rpartition(" ")[2])) for line in lines)


DUPLICATES = "opslog_writer_duplicate_rows_total"


def test_point_123_the_same_request_is_stored_once_across_receivers_and_restarts(product):
    """123, F62: recorded in ingest_batches and in the metrics."""
    body = numbered_body("again", 0, 0, 25)
    counted = duplicate_rows(product)
    earlier = len(batches(product))

    for name in ("receiver-0", "receiver-1", "receiver-1"):
        with alone(product, name):
            assert product.export(body)[0] == 200
    product.wait(lambda: len(batches(product)) == earlier + 3, 30)
    product.wait(lambda: duplicate_rows(product) == counted + 50, 30)
    assert product.stop() == 0
    product.start()
    assert product.export(body)[0] == 200
    product.wait(lambda: len(batches(product)) == earlier + 4, 30)

    found = sorted(batches(product)[earlier:], key=lambda batch: batch["duplicate"])
    first, *copies = found
    assert (first["stored"], first["duplicate"], first["duplicate_of"]) == (25, 0, None)
    assert [copy["duplicate"] for copy in copies] == [25, 25, 25]
    assert {copy["stored"] for copy in copies} == {0}
    assert {copy["duplicate_of"] for copy in copies} == {first["batch_id"]}
    assert len({batch["spool_id"] for batch in found}) == 2
    assert product.sql("SELECT count(*) FROM system_logs WHERE source_module = 'again'") == [(25,)]


def test_a_request_whose_records_have_no_time_is_never_a_duplicate(product):
    """Point 123: equal bytes are then not the same events."""
    body = logs_json({"body": {"stringValue": "tick"}})

    assert [product.export(body, content_type=JSON)[0] for _ in range(2)] == [200, 200]

    ticks = "SELECT count(*) FROM system_logs WHERE message = 'tick'"
    product.wait(lambda: product.sql(ticks) == [(2,)], 30)


# -- logs and spans -------------------------------------------------------------------------


def test_point_130_logs_and_spans_are_joined_by_their_trace(product):
    """130: in any order of arrival, and also if one of them is missing."""
    now = time.time_ns()
    traced = {"traceId": "ab" * 16, "spanId": "cd" * 8}
    early = logs_json(log(body="before", timeUnixNano=str(now), **traced))
    spans = spans_json(span(**traced, startTimeUnixNano=str(now), endTimeUnixNano=str(now + 5)))
    orphan = logs_json(log(body="alone", timeUnixNano=str(now), traceId="ef" * 16))

    for body, signal_name in ((early, "logs"), (spans, "traces"), (orphan, "logs")):
        assert product.export(body, signal_name, JSON)[0] == 200

    def of(trace: str) -> list[dict]:
        return product.get(f"/api/v1/logs/trace/{trace}")["data"]

    product.wait(lambda: len(of("ab" * 16)) == 2, 30)
    product.wait(lambda: len(of("ef" * 16)) == 1, 30)
    assert {record["kind"] for record in of("ab" * 16)} == {"log", "span"}
