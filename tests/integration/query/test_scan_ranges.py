"""Queries without a suitable index: in ranges, in segments that may have matches only."""

import random

import pytest

import query.planning.scan_ranges
from config.levels import Level
from query.planning.compile import Order
from query.planning.counter_hints import nearest_records, segments_with
from query.planning.scan_ranges import WHOLE, scan_ranges
from storage.database.read import Reader
from storage.filtering.filters import (
    AttrCompare,
    AttrEquals,
    Comparison,
    FieldEquals,
    FieldIn,
    Or,
    Text,
    TimeRange,
    all_of,
)
from storage.record.fields import ACTOR_ID, KIND, LEVEL, SOURCE_MODULE, Kind
from tests.integration.query.test_search import BASE_NS, record
from tests.support.querying import make_token

S = 10**9
LOGS = "/api/v1/logs"
RANGE = {"start": "2026-09-21T14:00:00Z", "end": "2026-09-21T16:00:00Z"}


@pytest.fixture
def small_ranges(monkeypatch):
    """Ranges of a few records, so that a page needs several of them."""
    monkeypatch.setattr(query.planning.scan_ranges, "FIRST_ROWS", 4)
    monkeypatch.setattr(query.planning.scan_ranges, "FACTOR", 2)


@pytest.fixture
async def words_by_second(store):
    """The messages of 200 records in five segments, by the second of each."""
    chance = random.Random(3)
    words = {}
    for _ in range(5):
        records = []
        for _ in range(40):
            second = chance.randrange(3600)
            while second in words:
                second += 1
            words[second] = chance.choice(["order placed", "order refused", "stock low"])
            level = chance.randrange(4)
            records.append(record(second * S, level=level, message=f"{words[second]} n{second}"))
        await store.put(*records)
        await store.roll("info")
    return words


@pytest.mark.parametrize("order", ["desc", "asc"])
@pytest.mark.parametrize("limit", [1, 7, 1000])
async def test_pages_of_words_are_the_whole_in_order(
    server, words_by_second, small_ranges, order, limit
):
    found = await server.walk(q="order refused", order=order, limit=limit, **RANGE)

    expected = sorted(
        (second for second, text in words_by_second.items() if text == "order refused"),
        reverse=order == "desc",
    )
    assert [item["message"] for item in found] == [f"order refused n{n}" for n in expected]


async def test_a_page_that_ends_with_a_range_knows_whether_more_follow(
    server, words_by_second, small_ranges
):
    count = len([text for text in words_by_second.values() if text == "stock low"])

    exact = await server.page(q='"stock low"', limit=count, **RANGE)
    short = await server.page(q='"stock low"', limit=count - 1, **RANGE)

    assert (len(exact["data"]), exact["nextCursor"]) == (count, None)
    assert len(short["data"]) == count - 1
    assert short["nextCursor"] is not None


@pytest.fixture
async def session(reader_pool):
    """The session of one query."""
    async with Reader(reader_pool, limit_s=5).session() as opened:
        yield opened


MINUTE = 60 * S
FIRST_MINUTE = BASE_NS // MINUTE * MINUTE


async def test_the_nearest_records_are_found_by_counters(store, session):
    for minute, count in ((0, 3), (5, 4), (60, 2)):
        for n in range(count):
            level = 3 if minute == 5 else 1
            at_ns = FIRST_MINUTE - BASE_NS + minute * MINUTE + n
            await store.put(record(at_ns, level=level))

    async def found(order, wanted, where=None, span=WHOLE):
        near = await nearest_records(session, where or Text("x"), span, order, wanted)
        return near and ((near.from_ns - FIRST_MINUTE) / MINUTE, near.length_ns / MINUTE)

    errors = all_of(FieldEquals(LEVEL, Level.ERROR), Text("x"))
    assert await found(Order.NEWEST, 1) == (61, 0.5)  # half of a minute with two
    assert await found(Order.NEWEST, 2) == (61, 1)
    assert await found(Order.NEWEST, 3) == (61, 56)
    assert await found(Order.NEWEST, 100) == (61, 61)
    assert await found(Order.OLDEST, 4) == (0, 6)
    assert await found(Order.NEWEST, 4, errors) == (6, 1)
    early = TimeRange(None, FIRST_MINUTE + 2 * MINUTE)
    assert await found(Order.NEWEST, 3, span=early) == (1, 1)
    assert await found(Order.NEWEST, 1, span=TimeRange(FIRST_MINUTE + 90 * MINUTE, None)) is None


@pytest.mark.parametrize(
    ("where", "is_cut"),
    [
        pytest.param(FieldEquals(SOURCE_MODULE, "shop"), False, id="walked in order anyway"),
        pytest.param(all_of(FieldEquals(ACTOR_ID, "u"), Text("y")), False, id="an index finds it"),
        pytest.param(Text("a1b2c3d4e5"), False, id="a needle is in none of the first"),
        pytest.param(Or((Text("a1b2"), Text("c3d4"))), False, id="so are two"),
        pytest.param(Text("card refused"), True, id="words"),
        pytest.param(AttrEquals("a", "b"), True, id="an attribute"),
        pytest.param(AttrCompare("a", Comparison.GREATER, "1"), True, id="a number"),
    ],
)
async def test_only_queries_that_scan_use_ranges(store, session, where, is_cut):
    await store.put(*(record(n) for n in range(9)))

    ranges = await scan_ranges(session, where, Order.NEWEST, None)

    ranges.first()
    assert ranges.is_last is not is_cut


async def test_segments_without_such_a_kind_or_module_are_skipped(store, server, session):
    await store.put(record(0, level=0, source_module="shop"), record(1, level=1))
    await store.put(record(2, level=2, kind="span", source_module="bank"))
    segments = {
        row["level"]: row["segment"]
        for row in await store.pool.fetch("SELECT level, segment FROM system_logs")
    }
    day = TimeRange(BASE_NS - 3600 * S, BASE_NS + 3600 * S)

    async def found(where, among=None):
        return await segments_with(session, where, among or segments.values())

    spans = await found(all_of(day, FieldEquals(KIND, Kind.SPAN)))
    shop = await found(FieldIn(SOURCE_MODULE, ("shop",)))
    late = await found(all_of(TimeRange(BASE_NS + 7200 * S, None), FieldEquals(KIND, Kind.SPAN)))
    logs = await found(FieldIn(KIND, (Kind.LOG, Kind.SPAN)))
    none = await found(FieldIn(SOURCE_MODULE, ("shop",)), [segments["WARN"]])

    assert spans == {segments["WARN"]}
    assert shop == {segments["DEBUG"]}
    assert late == none == frozenset()
    assert logs is None
    limited = make_token("MANAGER", source_modules=["bank"])
    assert len((await server.page(token=limited))["data"]) == 1
    assert (await server.page("/api/v1/traces"))["data"] == []
    assert len((await server.page(kind="span"))["data"]) == 1
    assert (await server.page(kind="span", sourceModule="shop"))["data"] == []


async def test_a_record_of_a_segment_that_is_new_is_found_by_its_module(store, server):
    await store.put(record(0, source_module="old"))
    assert (await server.page(sourceModule="new"))["data"] == []

    await store.roll("info")
    await store.put(record(1, source_module="new"))

    assert len((await server.page(sourceModule="new"))["data"]) == 1
