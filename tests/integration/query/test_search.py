"""Records are found by every parameter, in order, with every field as it was stored."""

import json
import os
import uuid
from datetime import UTC, datetime

import pytest

from query.api.records.models import LogPage, LogRecord
from tests.support.records import make_record

MS = 1_000_000
BASE_NS = 1_790_000_000_123_000_000
"""2026-09-21T14:13:20.123Z"""


def uuid7(created_ns: int) -> bytes:
    """An id as the mapping creates it."""
    return (created_ns // MS).to_bytes(6, "big") + b"\x70" + os.urandom(9)


def record(offset_ns=0, **fields):
    """A record that happened some nanoseconds after BASE_NS."""
    created = BASE_NS + offset_ns
    return make_record(**({"created_unix_ns": created, "id": uuid7(created)} | fields))


FULL = {
    "kind": "span",
    "level": 3,
    "severity_number": 17,
    "duration_ns": 2**60 + 1,
    "trace_id": bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736"),
    "span_id": bytes.fromhex("00f067aa0ba902b7"),
    "parent_span_id": bytes.fromhex("00f067aa0ba902b6"),
    "ip_address": bytes([203, 0, 113, 9]),
    "source_module": "payments",
    "action": "order.pay",
    "resource_type": "order",
    "resource_id": "o-17",
    "actor_id": "u-42",
    "correlation_id": "c-1",
    "message": 'quote " and ünïcode ☃ \U0001f600',
    "metadata": b'{"body": {"a": [1, 2.5]}, "attributes": {"big": 9007199254740993, "text": "5"}}',
}


async def test_a_record_comes_back_with_every_field(store, server):
    full = record(789, **FULL)
    await store.put(full)

    response = await server.get("/api/v1/logs")

    page = LogPage.model_validate_json(await response.text())
    assert page.next_cursor is None
    found = json.loads(await response.text())["data"][0]
    received = found.pop("receivedAt")
    assert abs(datetime.fromisoformat(received) - datetime.now(UTC)).total_seconds() < 60
    assert found == {
        "id": str(uuid.UUID(bytes=full.id)),
        "kind": "span",
        "level": "ERROR",
        "sourceModule": "payments",
        "action": "order.pay",
        "resourceId": "o-17",
        "resourceType": "order",
        "actorId": "u-42",
        "ipAddress": "203.0.113.9",
        "correlationId": "c-1",
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
        "spanId": "00f067aa0ba902b7",
        "parentSpanId": "00f067aa0ba902b6",
        "message": 'quote " and ünïcode ☃ \U0001f600',
        "createdAt": "2026-09-21T14:13:20.123000789Z",
        "durationNs": 2**60 + 1,
        "metadata": {
            "attributes": {"big": 9007199254740993, "text": "5"},
            "body": {"a": [1, 2.5]},
            "span": None,
            "exception": None,
            "otel": {},
            "redaction": [],
            "resource": {"service.name": "checkout"},
            "scope": {"name": "shop"},
        },
    }


async def test_a_bare_record_has_all_members(store, server):
    await store.put(record())

    (found,) = (await server.page())["data"]

    assert set(found) == {f.alias for f in LogRecord.model_fields.values()}
    assert found["traceId"] is found["actorId"] is found["ipAddress"] is found["durationNs"] is None
    assert found["metadata"]["attributes"] == {}


HITS = [
    {"level": "ERROR"},
    {"level": ["DEBUG", "error"]},
    {"minLevel": "WARN"},
    {"kind": "span"},
    {"kind": ["span", "log"]},
    {"sourceModule": "payments"},
    {"sourceModule": ["x", "payments"]},
    {"action": "order.pay"},
    {"resourceId": "o-17"},
    {"resourceType": "order"},
    {"actorId": "u-42"},
    {"ipAddress": "203.0.113.9"},
    {"ipAddress": "203.0.113.0/24"},
    {"ipAddress": "::ffff:203.0.113.9"},
    {"correlationId": "c-1"},
    {"traceId": "4bf92f3577b34da6a3ce929d0e0e4736"},
    {"traceId": "4BF92F35-77b3-4da6-a3ce-929d0e0e4736"},
    {"spanId": "00F067AA0BA902B7"},
    {"attr.text": "5"},
    {"attr.big": "9007199254740993"},
    {"attr.big": ["1", "9007199254740993"]},
    {"resource.service.name": "checkout"},
    {"start": "2026-09-21T14:13:20.123000789Z"},
    {"end": "2026-09-21T14:13:20.123000790Z"},
    {"start": "2026-09-21T16:13:20.123000789+02:00", "end": "2026-09-21T14:13:21Z"},
]
MISSES = [
    {"level": "WARN"},
    {"minLevel": "CRITICAL"},
    {"kind": "log"},
    {"sourceModule": "Payments"},
    {"ipAddress": "203.0.112.0/24"},
    {"ipAddress": "::/0"},
    {"correlationId": "C-1"},
    {"traceId": "4bf92f3577b34da6a3ce929d0e0e4737"},
    {"attr.text": "6"},
    {"attr.none": "5"},
    {"attr.text": ""},
    {"resource.service.name": "shop"},
    {"resource.none": "1"},
    {"start": "2026-09-21T14:13:20.123000790Z"},
    {"end": "2026-09-21T14:13:20.123000789Z"},
    {"level": "ERROR", "sourceModule": "checkout"},
]


async def test_every_parameter_selects_and_leaves_out(store, server):
    await store.put(record(789, **FULL))

    for parameters in HITS:
        assert len((await server.page(**parameters))["data"]) == 1, parameters
    for parameters in MISSES:
        assert (await server.page(**parameters))["data"] == [], parameters


async def test_an_attribute_matches_its_number_and_its_text(store, server):
    for value in (b"5", b'"5"', b"5.0", b"true", b'"true"', b"[5]"):
        await store.put(record(metadata=b'{"attributes": {"n": %s}}' % value))

    assert len((await server.page(**{"attr.n": "5"}))["data"]) == 3
    assert len((await server.page(**{"attr.n": "true"}))["data"]) == 2


async def test_an_actor_is_found_by_its_stored_value(store, server):
    await store.put(record(actor_id="hmac:user.id"))

    assert len((await server.page(actorId="jane@example.com"))["data"]) == 1


async def test_ties_in_time_keep_the_order_of_their_request(store, server):
    await store.put(*[record(message=str(n)) for n in range(5)])
    await store.put(*[record(message=str(n)) for n in range(5, 10)])

    newest = [item["message"] for item in (await server.page())["data"]]
    oldest = [item["message"] for item in (await server.page(order="asc"))["data"]]

    assert oldest == [str(n) for n in range(10)]
    assert newest == oldest[::-1]


async def test_records_of_all_levels_and_segments_come_in_one_order(store, server):
    offsets = [7, 3, 9, 1, 5, 8, 2, 6, 0, 4]
    for number, offset in enumerate(offsets):
        await store.put(record(offset * MS, level=number % 5, message=str(offset)))
        await store.roll(("debug", "info", "warn", "error", "critical")[number % 5])
    await server.catalogue.refresh()

    for limit in (1, 3, 10, 1000):
        found = await server.walk(limit=limit)
        assert [item["message"] for item in found] == [str(n) for n in range(9, -1, -1)]
        found = await server.walk(limit=limit, order="asc")
        assert [item["message"] for item in found] == [str(n) for n in range(10)]


async def test_a_segment_missing_in_the_cached_catalogue_is_read(store, server, monkeypatch):
    await store.put(record(message="old"))
    await server.catalogue.refresh()
    known = server.catalogue.segments()
    for _ in range(3):  # more than were made ahead of time
        await store.roll("info")
    await store.put(record(MS, message="new"))
    stale = [known, known]
    read = type(server.catalogue).segments
    monkeypatch.setattr(
        type(server.catalogue), "segments", lambda self: stale.pop() if stale else read(self)
    )

    found = await server.page()

    assert [item["message"] for item in found["data"]] == ["new", "old"]


async def test_a_segment_that_was_dropped_meanwhile_does_no_harm(store, server, owner_pool):
    await store.put(record(message="old"))
    number = await store.pool.fetchval("SELECT opslog_open_segment('info')")
    await store.roll("info")
    await store.put(record(MS, message="new"))
    await server.catalogue.refresh()
    await owner_pool.execute(f"ALTER TABLE system_logs DETACH PARTITION system_logs_s{number}")
    await owner_pool.execute(f"DROP TABLE system_logs_s{number}")
    async with owner_pool.acquire() as connection, connection.transaction():
        await connection.execute("ALTER TABLE segments DISABLE TRIGGER tell_catalogue")
        await connection.execute("UPDATE segments SET state = 'dropped' WHERE segment = $1", number)
        await connection.execute("ALTER TABLE segments ENABLE TRIGGER tell_catalogue")

    found = await server.page()

    assert [item["message"] for item in found["data"]] == ["new"]


async def test_records_with_odd_times_are_found_in_closed_segments(store, server):
    await store.put(
        record(message="plain"),
        record(message="1971", created_unix_ns=365 * 86400 * 10**9, odd_time=True),
        record(message="2554", created_unix_ns=2**64 - 1, odd_time=True),
    )
    await store.roll("info")
    await server.catalogue.refresh()

    old = await server.page(end="1980-01-01T00:00:00Z")
    late = await server.page(start="2500-01-01T00:00:00Z", end="2600-01-01T00:00:00Z")

    assert [item["message"] for item in old["data"]] == ["1971"]
    assert [item["message"] for item in late["data"]] == ["2554"]
    assert late["data"][0]["createdAt"] == "2554-07-21T23:34:33.709551615Z"


async def test_without_an_end_a_search_ends_now(store, server):
    await store.put(record(10**9 * 86400 * 365 * 20, message="in twenty years", odd_time=True))

    assert (await server.page())["data"] == []
    assert len((await server.page(end="2100-01-01T00:00:00Z"))["data"]) == 1


async def test_one_record_by_its_id_whatever_segment_it_is_in(store, server):
    records = [record(n * MS, level=n % 5, message=str(n)) for n in range(20)]
    for item in records:
        await store.put(item)
    await store.roll("info")
    await server.catalogue.refresh()

    for item in records:
        found = await server.page(f"/api/v1/logs/{uuid.UUID(bytes=item.id)}")
        assert found["message"] == item.message
    missing = await server.get(f"/api/v1/logs/{uuid.UUID(bytes=uuid7(BASE_NS))}")
    assert missing.status == 404
    assert (await missing.json())["type"] == "/errors/not_found"


async def test_a_trace_needs_no_time_range_and_comes_oldest_first(store, server):
    trace = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")
    await store.put(
        record(3, trace_id=trace, message="late"),
        record(1, trace_id=trace, message="early", kind="span", level=3),
        record(2, message="other"),
        record(0, trace_id=trace, message="2554", created_unix_ns=2**64 - 1, odd_time=True),
    )

    found = await server.page(f"/api/v1/logs/trace/{trace.hex()}")

    assert [item["message"] for item in found["data"]] == ["early", "late", "2554"]
    assert len(await server.walk(path=f"/api/v1/logs/trace/{trace.hex()}", limit=1)) == 3


async def test_the_next_page_is_linked(store, server):
    await store.put(record(1), record(2))

    response = await server.get("/api/v1/logs", limit=1, sourceModule="checkout")

    cursor = (await response.json())["nextCursor"]
    assert response.headers["Link"] == (
        f'</api/v1/logs?limit=1&sourceModule=checkout&cursor={cursor}>; rel="next"'
    )


async def test_an_empty_store_returns_an_empty_page(server):
    assert await server.page() == {"data": [], "nextCursor": None}
    empty = await server.page(**{"resource.a": "b"})
    assert (empty["data"], empty["nextCursor"]) == ([], None)


HOSTILE = [
    *("' OR 1=1 --", '"; DROP TABLE system_logs; --', "a' UNION SELECT 1 --", "%", "_", "\\"),
    *("$1", "{}", '{"a": 1}', "[]", "é\U0001f600", "null", "1e999999", "-0", "NaN", "' || '"),
]


@pytest.mark.parametrize(
    "name",
    ["sourceModule", "action", "resourceId", "actorId", "correlationId", "attr.a'b", 'attr."; --'],
)
async def test_hostile_values_are_only_values(store, server, name):
    await store.put(record())

    for value in HOSTILE:
        assert (await server.page(**{name: value}))["data"] == [], value
