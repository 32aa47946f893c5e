"""Segments that are packed, missing or damaged while they are read."""

import asyncio
import json
import random

import pytest

from query.planning.compile import Order
from query.planning.export import Export
from query.planning.packed.filtering import Wanted, key_tuple
from query.planning.packed.pages import PageScan
from query.planning.packed.reading import PackReader
from query.planning.pages import Pages, Query, key_of, plan
from storage.database.read import Reader, Streams
from storage.filtering.filters import EVERYTHING, Text
from tests.integration.query.test_paging import Arrivals
from tests.integration.query.test_search import record
from tests.integration.query.test_tail import tail
from tests.support.querying import query_server

pytestmark = pytest.mark.leaves_only
MS = 1_000_000


async def fill(store, count, *, rolls=3):
    """Records in several segments, some at the same time."""
    chance = random.Random(5)
    for roll in range(rolls):
        await store.put(
            *[
                record(chance.choice([0, 1, n * MS]), message=f"m{roll}.{n}", level=n % 2 + 1)
                for n in range(count)
            ]
        )
        for name in ("info", "warn"):
            await store.roll(name)
    return {f"m{roll}.{n}" for roll in range(rolls) for n in range(count)}


def files_of(packing, class_name):
    return sorted((packing.store.directory / class_name).glob("*.parquet"))


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_cursor_stays_good_across_packing(store, server, pack, order):
    there = await fill(store, 10)

    page = await server.page(order=order, limit=7)
    found = [item["message"] for item in page["data"]]
    await pack()
    while page["nextCursor"]:
        page = await server.page(order=order, limit=7, cursor=page["nextCursor"])
        found += [item["message"] for item in page["data"]]

    assert len(found) == len(there)
    assert set(found) == there


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_cursor_stays_good_across_merging(store, server, pack, merge, order):
    there = await fill(store, 10, rolls=6)
    await pack()
    await server.catalogue.refresh()

    page = await server.page(order=order, limit=9)
    found = [item["message"] for item in page["data"]]
    await merge()
    while page["nextCursor"]:
        page = await server.page(order=order, limit=9, cursor=page["nextCursor"])
        assert "partial" not in page
        found += [item["message"] for item in page["data"]]

    assert len(found) == len(there)
    assert set(found) == there


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("is_packed", [True, False])
async def test_an_export_across_merging_has_each_record_once(  # noqa: PLR0917 - fixtures
    store, server, reader_pool, packing, pack, merge, order, is_packed
):
    there = await fill(store, 10, rolls=6)
    if is_packed:
        await pack()
    await server.catalogue.refresh()
    pages = Pages(server.catalogue, PackReader(packing.store))
    export = Export(Reader(reader_pool, limit_s=10), pages, Streams())

    pieces = export.pieces(EVERYTHING, order)
    found = (await anext(pieces)).rows
    if not is_packed:
        await pack()
    await merge()
    async for piece in pieces:
        found += piece.rows

    assert sorted(row["message"] for row in found) == sorted(there)


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("knows_it", [True, False])
async def test_an_export_across_packing_has_each_record_once(  # noqa: PLR0917 - fixtures
    store, server, reader_pool, packing, pack, monkeypatch, order, knows_it
):
    monkeypatch.setattr("query.planning.export.PIECE_ROWS", 3)
    there = await fill(store, 10)
    pages = Pages(server.catalogue, PackReader(packing.store))
    export = Export(Reader(reader_pool, limit_s=10), pages, Streams())

    pieces = export.pieces(EVERYTHING, order)
    found = (await anext(pieces)).rows
    await pack()
    if knows_it:
        await server.catalogue.refresh()
    async for piece in pieces:
        found += piece.rows

    assert sorted(row["message"] for row in found) == sorted(there)


async def test_an_export_reads_packs_that_are_removed_meanwhile(  # noqa: PLR0917 - fixtures
    store, server, reader_pool, packing, pack, owner_pool
):
    there = await fill(store, 10, rolls=1)
    await pack()
    await server.catalogue.refresh()
    pages = Pages(server.catalogue, PackReader(packing.store))
    export = Export(Reader(reader_pool, limit_s=10), pages, Streams())

    pieces = export.pieces(EVERYTHING, Order.NEWEST)
    found = (await anext(pieces)).rows
    # The other segment expires.
    await owner_pool.execute("UPDATE segments SET state = 'dropped' WHERE state = 'packed'")
    for path in packing.store.directory.glob("*/*.parquet"):
        path.unlink()
    rest = [row async for piece in pieces for row in piece.rows]

    assert found
    assert not rest
    assert {row["message"] for row in found} < there


async def test_the_live_tail_reads_what_was_packed_before_it_looked(
    store, server, pack, monkeypatch
):
    from query.live.tail import LiveTail

    looks, before = asyncio.Event(), LiveTail._deliver

    async def later(self, *given, **rest):
        await looks.wait()
        await before(self, *given, **rest)

    monkeypatch.setattr(LiveTail, "_deliver", later)
    reader, other = await tail(server), await tail(server, q="b")
    await store.put(record(1, message="a"), record(2, message="b", level=3))
    await asyncio.sleep(0.3)
    await pack()
    looks.set()

    assert await reader.messages(2) == ["a", "b"]
    assert await other.messages(1) == ["b"]


async def test_a_flood_in_a_pack_is_cut_and_counted(store, server, pack, monkeypatch):
    monkeypatch.setattr("query.live.tail.MAX_ROWS", 4)
    reader = await tail(server)
    await store.put(record(0, message="first"))
    _, first, _ = await reader.event()
    await store.put(*(record(n, message=f"m{n}") for n in range(10)))
    await pack()

    again = await tail(server, last=first)

    assert await again.messages(3) == ["m0", "m1", "m2"]
    assert (await again.event())[2] == {"count": 7}


async def test_what_was_packed_meanwhile_is_replayed_without_its_parts(
    store, server, pack, owner_pool
):
    reader = await tail(server)
    await store.put(record(1, message="a"), record(2, message="b"))
    _, first, _ = await reader.event()
    await pack()
    await owner_pool.execute("DELETE FROM ingest_parts")
    await server.catalogue.refresh()
    await store.put(record(3, message="c"))

    assert await (await tail(server, last=first)).messages(2) == ["b", "c"]


async def test_without_a_folder_of_packs_the_segments_are_named(store, database, reader_pool, pack):
    await fill(store, 4, rolls=1)
    await pack()
    async with query_server(database.dsn, reader_pool) as server:
        page = await server.page()

    assert page["data"] == []
    assert page["partial"]["segments"] == 2


async def test_pages_beside_a_writer_and_a_packer(store, server, pack, owner_pool, packing):
    arrivals = Arrivals(store, 1)
    for _ in range(10):
        await arrivals.request()
    there = {row["message"] for row in await store.pool.fetch("SELECT message FROM system_logs")}
    arrivals.left = 20

    async def busy():
        while arrivals.left:
            await arrivals.request()
            async with owner_pool.acquire() as owner:
                await packing.pack(owner)
            await asyncio.sleep(0.2)

    task = asyncio.create_task(busy())
    try:
        found = await server.walk(limit=5)
    finally:
        arrivals.left = 0
        await task

    messages = [item["message"] for item in found]
    assert len(messages) == len(set(messages))
    assert there <= set(messages)


async def test_out_of_time_certain_rows_are_returned(store, server, pack, reader_pool, packing):
    await fill(store, 30, rolls=4)
    await pack()
    await server.catalogue.refresh()
    packs = PackReader(packing.store)
    pages = Pages(server.catalogue, packs)
    query = Query(Text("m"), Order.NEWEST, 1000)
    async with Reader(reader_pool, limit_s=10).session() as session:
        whole = (await pages.read(session, query)).rows
        parts = plan(await pages.leaves(session), query.where, query.order)
        parts = [part for part in parts if part.leaf.is_packed]
    keys = [key_tuple(key_of(row)) for row in whole]
    sizes = set()
    for steps in range(40):
        scan = PageScan(packs, parts, Wanted(query.order, 1000, None, query.columns))
        for _ in range(steps):
            scan.step()
        scan.cut()
        while not scan.step():
            pass
        found = sorted([key for key, _ in scan.rows], reverse=True)
        assert found == keys[: len(found)]
        assert scan.has_more == bool(scan.left and found)
        sizes.add(len(found))
    assert len(keys) in sizes


async def test_a_query_without_time_left_says_so(store, server, pack, monkeypatch):
    await fill(store, 3, rolls=1)
    await pack()
    await server.catalogue.refresh()

    async def never(*_):
        return False

    monkeypatch.setattr(PackReader, "finish", never)
    response = await server.get("/api/v1/logs")

    assert response.status == 503
    assert (await response.json())["type"].endswith("query_timeout")


async def test_too_many_rows_to_scan_are_said_to_be_missing(store, server, pack, monkeypatch):
    await fill(store, 20, rolls=3)
    await pack()
    await server.catalogue.refresh()
    monkeypatch.setattr("query.planning.pages.MAX_SCANNED_ROWS", 15)
    monkeypatch.setattr("query.planning.counting.MAX_SCANNED_ROWS", 15)

    page = await server.page(q="message:/m.*z/", start="2026-09-01T00:00:00Z")
    counted = await server.page("/api/v1/logs/stats", q="/m/", start="2026-09-01T00:00:00Z")

    assert page["data"] == []
    assert page["nextCursor"] is None
    assert "too many records" in page["partial"]["detail"]
    assert "too many records" in counted["partial"]["detail"]


async def test_every_kind_of_export_is_the_same(store, server, pack):
    await fill(store, 10, rolls=1)
    await store.put(record(5, trace_id=b"t" * 16, metadata=b'{"attributes": {"k": [1, "x"]}}'))
    formats = ("ndjson", "json", "csv", "otlp")

    def shown(text):
        return sorted(line.rstrip(",") for line in text.strip("[]\n").splitlines())

    before = {
        name: shown(await (await server.get("/api/v1/logs/export", format=name)).text())
        for name in formats
    }
    await pack()
    await server.catalogue.refresh()

    for name in formats:
        text = await (await server.get("/api/v1/logs/export", format=name)).text()
        if name != "otlp":
            assert shown(text) == before[name]
        else:
            assert len(json.dumps(text)) > 100
