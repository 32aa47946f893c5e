"""A batch of 8,192 records, one of them with every problematic value, written by COPY.

Each value is one that PostgreSQL refuses, or that exporters lose batches over; the neighbours must
be stored whole, and metadata must come back byte by byte.
"""

import io
import os

import asyncpg
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otlp_receiver.export import Encoding, Signal
from storage.record.classes import classify
from storage.record.columns import COPY_COLUMNS
from storage.record.copy_binary import HEADER, TRAILER, encode
from storage.segments.rollover import enter_segments, open_segment
from tests.support.telemetry import (
    NOW_NS,
    attributes_proto,
    log,
    logs_json,
    metadata_of,
    stored,
)
from tests.unit.otlp_receiver.protobuf.test_wire import nested, sized, tag, text, varint

RECORDS = 8192

ODD_BYTES = b"".join([
    sized(6, sized(1, b"nul\x00") + sized(2, sized(1, b"a\x00b"))),
    sized(6, sized(1, b"latin\xe9") + sized(2, sized(1, b"caf\xe9"))),
    sized(6, sized(1, b"surrogate") + sized(2, sized(1, b"\xed\xa0\x80"))),
    sized(6, b""),
    sized(6, sized(1, b"twice") + sized(2, text("first"))),
    sized(6, sized(1, b"twice") + sized(2, text("last"))),
    sized(6, sized(1, b"deep") + sized(2, nested(20_000, text("x"), 6))),
    sized(6, sized(1, b"k" * 70_000) + sized(2, text("long key"))),
    sized(6, sized(1, b"wide") + sized(2, sized(1, b"w" * (2 << 20)))),
    tag(1, 1) + (2**64 - 1).to_bytes(8, "little"),
    tag(2, 0) + varint(2**64 - 5),
    sized(3, b"\x00\xff"),
    sized(5, sized(1, b"m\x00" + "\U0001f600\u2028\uffff".encode() + b"\xff" * 3 + b"x" * 3_000_000)),
    sized(9, b"short"),
    sized(10, bytes(8)),
    sized(12, b"e" * 500),
])  # fmt: skip
"""As bytes, because protobuf's classes refuse to write most of it."""

ODD_ATTRIBUTES = {
    "nan": float("nan"),
    "inf": [float("inf"), float("-inf")],
    "large": 1.7976931348623157e308,
    "small": 5e-324,
    "minus zero": -0.0,
    "int64": [2**63 - 1, -(2**63)],
    "bytes": bytes(range(256)),
    "user.id": "u" * 8000,
    "resource.id": os.urandom(4000).hex(),
    "resource.type": "t" * 80,
    "correlation.id": "c" * 8000,
    "client.address": "not an address",
    "source.module": "m" * 80,
    "": {"": [None, {}, []]},
    'quote"\\': '\b\f\n\r\t\x01\x1f\x7f"\\/',
}


def odd_request() -> bytes:
    """8,191 ordinary records with one problematic record in the middle."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for n in range(RECORDS - 1):
        record = records.add(time_unix_nano=NOW_NS, severity_number=9)
        record.body.string_value = f"ordinary {n}"
        record.attributes.extend(attributes_proto({"n": n}))
    odd = ODD_BYTES + b"".join(
        [sized(6, pair.SerializeToString()) for pair in attributes_proto(ODD_ATTRIBUTES)]
    )
    inner = b"".join([sized(2, record.SerializeToString()) for record in records[:4000]])
    inner += sized(2, odd)
    inner += b"".join([sized(2, record.SerializeToString()) for record in records[4000:]])
    return sized(1, sized(2, inner))


async def copied(conn: asyncpg.Connection, batch) -> int:
    """Store a batch as the writer does; return the number of rows afterwards."""
    await conn.execute("SET TIME ZONE 'UTC'")
    parts = encode(
        batch,
        batch_id=1,
        received_unix_ns=NOW_NS,
        ingest_key_id=0,
        classify=classify,
        secret=os.urandom(16),
    )
    for part in parts:
        await open_segment(conn, part.class_name)
        async with conn.transaction():
            segment = (await enter_segments(conn, [part.class_name]))[part.class_name]
            await conn.copy_to_table(
                f"system_logs_s{segment}",
                source=io.BytesIO(HEADER + part.copy_bytes + TRAILER),
                columns=COPY_COLUMNS,
                format="binary",
            )
    return await conn.fetchval("SELECT count(*) FROM system_logs")


@pytest.fixture
async def owner(database):
    """A connection that may read and write."""
    conn = await asyncpg.connect(database.owner_dsn)
    yield conn
    await conn.close()


async def test_a_batch_with_every_problematic_value_is_stored_completely(owner):
    """Nothing is rejected or lost, and the count of replaced characters is exact."""
    batch = stored(odd_request(), Signal.LOGS, Encoding.PROTOBUF)

    assert (len(batch.records), batch.rejected) == (RECORDS, {})
    assert await copied(owner, batch) == RECORDS
    odd = batch.records[4000]
    row = await owner.fetchrow(
        "SELECT *, metadata::text AS document FROM system_logs WHERE position = 4000"
    )
    assert row["document"].encode() == odd.metadata
    assert row["message"] == odd.message
    assert len(odd.message.encode()) <= 2**20
    assert (row["trace_id"], row["span_id"], row["ip_address"]) == (None, None, None)
    assert len(row["action"]) == 100
    assert len(row["actor_id"]) == 255
    metadata = metadata_of(odd)
    assert metadata["attributes"]["twice"] == "last"
    assert metadata["attributes"]["int64"] == [2**63 - 1, -(2**63)]
    assert metadata["otel"]["cut"]["message"] > 3_000_000
    assert metadata["otel"]["replaced_characters"] == batch.replaced_characters == 13
    assert metadata["time_quality"] == "future"
    assert await owner.fetchval("SELECT count(*) FROM system_logs WHERE message LIKE 'ordinary %'")


async def test_problematic_values_of_json_are_stored_as_well(owner):
    """Only possible in JSON: lone surrogates, integers beyond 64 bits, JavaScript's numbers."""
    odd = log(
        [
            {"key": "js", "value": {"intValue": 1e300}},
            {"key": "big", "value": {"intValue": 2**70}},
            {"key": "null", "value": {"doubleValue": None}},
            {"key": "lone\ud800", "value": {"stringValue": "\udc00"}},
            {"key": "nul\0", "value": {"stringValue": "\0"}},
        ],
        body="\ud83d",
    )
    ordinary = [log({"n": n}, body=f"ordinary {n}") for n in range(100)]

    batch = stored(logs_json(*ordinary, odd, log({"x": 1})))

    assert await copied(owner, batch) == 102
    document = await owner.fetchval("SELECT metadata::text FROM system_logs WHERE position = 100")
    assert document.encode() == batch.records[100].metadata
    assert batch.replaced_characters == 5
