"""Packs that are rewritten while they are read: each record comes once, a purged one at most once."""

import asyncio
from datetime import UTC, datetime

import pytest

from query.planning.compile import Order
from query.planning.export import Export
from query.planning.packed.reading import PackReader
from query.planning.pages import Pages
from retention.expiry.run import expire
from retention.holding.holds import HoldRequest, add
from retention.packing.unpack import unpack
from retention.purging.execution import run_confirmed_purges
from retention.purging.purge import PurgeRequest, confirm, request_purge
from storage.database.read import Reader, Streams
from storage.filtering.filters import EVERYTHING, AttrEquals
from tests.integration.query.test_search import record
from tests.integration.query.test_tail import tail

pytestmark = pytest.mark.leaves_only
LEAK = AttrEquals("leak", "yes")
LEAKED = b'{"attributes": {"leak": "yes"}}'


@pytest.fixture
def purge(database, reader_pool, owner_pool, retention):
    """Purge the leaked records."""

    async def run():
        chosen = await retention()
        async with reader_pool.acquire() as reading, owner_pool.acquire() as writing:
            request = PurgeRequest(LEAK, "attr.leak=yes", "a secret", "me")
            preview = await request_purge(reading, writing, chosen, request)
            await confirm(writing, LEAK, preview.token, by="me")
        (report,) = await run_confirmed_purges(database.dsn, chosen)
        assert (report.outcome, report.note) == ("done", "")
        return report.rows

    return run


async def fill_leaking(store, *, rolls=3):
    """Records of two classes in several segments; (those that stay, those that are purged)."""
    stay, leaked = set(), set()
    for roll in range(rolls):
        records = []
        for n in range(12):
            name, leaks = f"m{roll}.{n}", n % 3 == 0
            (leaked if leaks else stay).add(name)
            more = {"metadata": LEAKED} if leaks else {}
            records.append(record(roll * 1000 + n, message=name, level=n % 2 + 1, **more))
        await store.put(*records)
        for class_name in ("info", "warn"):
            await store.roll(class_name)
    return stay, leaked


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("knows_it", [True, False])
async def test_an_export_across_a_purge(  # noqa: PLR0917 - fixtures
    store, server, reader_pool, packing, pack, purge, monkeypatch, order, knows_it
):
    monkeypatch.setattr("query.planning.export.PIECE_ROWS", 5)
    stay, leaked = await fill_leaking(store)
    await pack()
    await server.catalogue.refresh()
    pages = Pages(server.catalogue, PackReader(packing.store))
    export = Export(Reader(reader_pool, limit_s=10), pages, Streams())

    pieces = export.pieces(EVERYTHING, order)
    found = [row["message"] for row in (await anext(pieces)).rows]
    assert await purge() == len(leaked)
    if knows_it:
        await server.catalogue.refresh()
    async for piece in pieces:
        found += [row["message"] for row in piece.rows]

    assert len(found) == len(set(found))
    assert stay <= set(found) <= stay | leaked
    assert set(found) != stay | leaked


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("is_packed", [True, False])
async def test_pages_across_a_purge(  # noqa: PLR0917 - fixtures
    store, server, pack, purge, order, is_packed
):
    stay, leaked = await fill_leaking(store)
    if is_packed:
        await pack()
        await server.catalogue.refresh()

    page = await server.page(order=order, limit=5)
    found = [item["message"] for item in page["data"]]
    assert await purge() == len(leaked)
    while page["nextCursor"]:
        page = await server.page(order=order, limit=5, cursor=page["nextCursor"])
        assert "partial" not in page
        found += [item["message"] for item in page["data"]]

    assert len(found) == len(set(found))
    assert stay <= set(found) <= stay | leaked
    assert (await server.page(limit=100, q="leak:yes"))["data"] == []


@pytest.mark.parametrize("order", list(Order))
async def test_an_export_across_a_purge_of_what_was_merged(  # noqa: PLR0917 - fixtures
    store, server, reader_pool, packing, pack, purge, merge, monkeypatch, order
):
    """Its records are in a pack with others, and its own files stay for an hour."""
    monkeypatch.setattr("query.planning.export.PIECE_ROWS", 5)
    stay, leaked = await fill_leaking(store, rolls=6)
    await pack()
    await server.catalogue.refresh()
    pages = Pages(server.catalogue, PackReader(packing.store))
    export = Export(Reader(reader_pool, limit_s=10), pages, Streams())

    pieces = export.pieces(EVERYTHING, order)
    found = [row["message"] for row in (await anext(pieces)).rows]
    await merge()
    await purge()
    async for piece in pieces:
        found += [row["message"] for row in piece.rows]

    assert len(found) == len(set(found))
    assert stay <= set(found) <= stay | leaked


@pytest.mark.parametrize("order", list(Order))
async def test_an_export_across_unpacking(  # noqa: PLR0917 - fixtures
    store, server, reader_pool, packing, pack, owner_pool, monkeypatch, order
):
    monkeypatch.setattr("query.planning.export.PIECE_ROWS", 5)
    stay, leaked = await fill_leaking(store)
    await pack()
    await server.catalogue.refresh()
    pages = Pages(server.catalogue, PackReader(packing.store))
    export = Export(Reader(reader_pool, limit_s=10), pages, Streams())

    pieces = export.pieces(EVERYTHING, order)
    found = [row["message"] for row in (await anext(pieces)).rows]
    async with owner_pool.acquire() as conn:
        for (segment,) in await conn.fetch("SELECT segment FROM segments WHERE state = 'packed'"):
            await unpack(conn, packing.store, segment, by="me")
    async for piece in pieces:
        found += [row["message"] for row in piece.rows]

    assert sorted(found) == sorted(stay | leaked)


@pytest.mark.parametrize("order", list(Order))
async def test_an_export_across_the_expiry_of_segments_with_held_records(  # noqa: PLR0917
    store, server, reader_pool, packing, pack, database, owner_pool, retention, monkeypatch, order
):
    monkeypatch.setattr("query.planning.export.PIECE_ROWS", 5)
    for roll in range(2):
        await store.put(
            *[
                record(n, message=f"a{roll}.{n}", level=0, metadata=LEAKED if n % 2 else b"{}")
                for n in range(12)
            ]
        )
        await store.roll("debug")
    await pack()
    await server.catalogue.refresh()
    pages = Pages(server.catalogue, PackReader(packing.store))
    export = Export(Reader(reader_pool, limit_s=10), pages, Streams())

    pieces = export.pieces(EVERYTHING, order)
    found = [row["message"] for row in (await anext(pieces)).rows]
    await hold_and_expire(database, owner_pool, await retention())
    async for piece in pieces:
        found += [row["message"] for row in piece.rows]

    held = {f"a{roll}.{n}" for roll in range(2) for n in range(1, 12, 2)}
    assert len(found) == len(set(found))
    assert held <= set(found)


async def hold_and_expire(database, owner_pool, chosen):
    """Hold the leaked records of class debug, all of which expire."""
    async with owner_pool.acquire() as conn:
        await add(conn, HoldRequest("case", LEAK, "attr.leak=yes", "why", "me"))
        await conn.execute(
            "UPDATE segments SET min_received_at = min_received_at - interval '8 days',"
            " max_received_at = max_received_at - interval '8 days' WHERE class = 'debug'"
        )
    report = await expire(database.dsn, chosen, trigger="test")
    assert report.outcome == "done"


async def test_a_live_tail_while_a_hold_keeps_some_records(  # noqa: PLR0917 - fixtures
    store, server, pack, database, owner_pool, retention
):
    """Held records move to a pack of their own, the others go; nothing comes twice."""
    reader = await tail(server)
    names = [f"a{n}" for n in range(6)]
    for n, name in enumerate(names):
        more = {"metadata": LEAKED} if n % 2 else {}
        await store.put(record(n, message=name, level=0, **more))
    _, first, data = await reader.event()
    await store.roll("debug")
    await pack()
    seen = [data["message"], *await reader.messages(5)]
    await hold_and_expire(database, owner_pool, await retention())
    await server.catalogue.refresh()
    await store.put(record(9, message="last", level=0))
    seen += await reader.messages(1)
    assert seen == [*names, "last"]
    again = await tail(server, last=first)
    replayed = await again.messages(1)
    while replayed[-1] != "last":
        replayed += await again.messages(1)
    assert len(replayed) == len(set(replayed))
    assert {"last"} <= set(replayed) <= {"last", *names[1:]}
    page = await server.page(limit=100, start=datetime(2026, 1, 1, tzinfo=UTC).isoformat())
    assert sorted(item["message"] for item in page["data"]) == ["a1", "a3", "a5", "last"]


async def test_queries_beside_purges_and_merges(store, server, pack, purge, merge):
    """Twenty walks over all pages while everything is rewritten: no record twice, none missing."""
    stay, _ = await fill_leaking(store, rolls=6)
    await pack()
    await server.catalogue.refresh()
    is_done = asyncio.Event()

    async def rewrite():
        await purge()
        await merge()
        is_done.set()

    task = asyncio.create_task(rewrite())
    walks = 0
    while walks < 3 or not is_done.is_set():
        found = [item["message"] for item in await server.walk(limit=9)]
        assert len(found) == len(set(found))
        assert stay <= set(found)
        walks += 1
    await task
    assert {item["message"] for item in await server.walk(limit=9)} == stay
