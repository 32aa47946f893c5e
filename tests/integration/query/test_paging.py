"""Paging while records arrive: nothing is skipped or repeated."""

import asyncio
import contextlib
import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from query.planning.compile import Order
from query.planning.pages import Pages, Query
from storage.database.read import Reader
from storage.database.statements import statement
from storage.filtering.filters import EVERYTHING, FieldEquals, Text
from storage.record.fields import ACTOR_ID
from storage.segments.catalogue import Segment
from tests.integration.query.test_search import BASE_NS, record
from tests.support.querying import Storehouse, query_server

MS = 1_000_000


class Arrivals:
    """Stores requests of records with random times and levels, and rolls segments over."""

    def __init__(self, store, seed):
        self.store = store
        self.seed = seed
        self.chance = random.Random(seed)
        self.count = 0
        self.left = 1_000_000
        """Requests that are still to come."""

    async def request(self) -> None:
        if not self.left:
            return
        self.left -= 1
        records = []
        for _ in range(self.chance.randint(1, 8)):
            self.count += 1
            # few distinct times, so that ties are the rule; late ones among them
            offset = self.chance.choice([0, 1, 999, 1000, 5 * MS, self.chance.randrange(10**10)])
            level = self.chance.randrange(5)
            records.append(record(offset, level=level, message=f"{self.seed}.{self.count}"))
        await self.store.put(*records)
        if self.chance.random() < 0.2:
            await self.store.roll(self.chance.choice(["debug", "info", "warn", "error"]))

    async def for_ever(self) -> None:
        while True:
            await self.request()


async def walk(server, order, limit, between):
    """Messages of all pages; `between` runs after each page."""
    found, cursor = [], {}
    while True:
        page = await server.page(order=order, limit=limit, **cursor)
        found += [item["message"] for item in page["data"]]
        if page["nextCursor"] is None:
            return found
        cursor = {"cursor": page["nextCursor"]}
        await between()


@pytest.mark.parametrize("order", ["desc", "asc"])
async def test_every_record_of_the_first_page_is_found_once_while_others_arrive(
    store, server, order
):
    for seed in range(3):
        arrivals = Arrivals(store, seed)
        for _ in range(6):
            await arrivals.request()
        there = {
            row["message"] for row in await store.pool.fetch("SELECT message FROM system_logs")
        }

        arrivals.left = 10  # else a walk in small steps would never catch up

        found = await walk(server, order, arrivals.chance.randint(2, 9), arrivals.request)

        assert len(found) == len(set(found))
        assert there <= set(found), there - set(found)


@pytest.mark.leaves_only  # test_packed.py has one beside a packer
async def test_a_walk_beside_a_busy_writer_ends_and_misses_nothing(store, server):
    arrivals = Arrivals(store, 1)
    for _ in range(20):
        await arrivals.request()
    there = {row["message"] for row in await store.pool.fetch("SELECT message FROM system_logs")}
    busy = asyncio.create_task(arrivals.for_ever())
    try:
        async with asyncio.timeout(30):
            found = await walk(server, "desc", 7, lambda: asyncio.sleep(0))
    finally:
        busy.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await busy

    assert len(found) == len(set(found))
    assert there <= set(found)


async def test_a_relative_range_does_not_move_between_pages(database, reader_pool, store):
    clock = [BASE_NS + 3600 * 10**9]
    await store.put(*[record(n * MS, message=str(n)) for n in range(10)])

    async with query_server(database.dsn, reader_pool, now_ns=lambda: clock[0]) as server:
        page = await server.page(start="-1h", limit=3)
        clock[0] += 1800 * 10**9
        later = record(3600 * 10**9 + 1, message="after the first page's now")
        await store.put(later)
        found = [item["message"] for item in page["data"]]
        while page["nextCursor"]:
            page = await server.page(start="-1h", limit=3, cursor=page["nextCursor"])
            found += [item["message"] for item in page["data"]]

    assert found == [str(n) for n in range(9, -1, -1)]


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 3000), st.integers(0, 4), st.booleans()), min_size=1, max_size=30
    ),
    limit=st.integers(1, 12),
    order=st.sampled_from(["asc", "desc"]),
)
def test_pages_together_are_the_whole_in_order(postgres, migrated_template, rows, limit, order):
    from storage.database.pool import DatabaseRole, open_pool
    from tests.support.databases import fresh_database, run

    async def check(database, folder):
        async with (
            await open_pool(database.dsn, DatabaseRole.WRITER, size=2) as writers,
            await open_pool(database.dsn, DatabaseRole.READER, size=2) as readers,
            Storehouse.open(folder, writers) as storehouse,
            query_server(database.dsn, readers) as server,
        ):
            for number, (offset, level, rolls) in enumerate(rows):
                await storehouse.put(record(offset, level=level, message=str(number)))
                if rolls:
                    await storehouse.roll("info")
            found = await server.walk(limit=limit, order=order)
            expected = sorted(
                range(len(rows)), key=lambda n: (rows[n][0], n), reverse=order == "desc"
            )
            assert [item["message"] for item in found] == [str(n) for n in expected]

    import tempfile
    from pathlib import Path

    with (
        tempfile.TemporaryDirectory() as folder,
        fresh_database(postgres.dsn, migrated_template) as database,
    ):
        run(check(database, Path(folder) / "spool"))


class Stale:
    """A catalogue in which an open segment is still ready, until it is reloaded."""

    def __init__(self, pool, segments):
        self._pool = pool
        self._segments = tuple(
            replace(item, state="ready") if item.state == "open" else item for item in segments
        )
        self.reloads = 0

    def segments(self):
        return self._segments

    async def refresh(self):
        self.reloads += 1
        rows = await self._pool.fetch(statement("catalogue"))
        self._segments = tuple(Segment(**row) for row in rows)


@pytest.mark.leaves_only
@pytest.mark.parametrize("where", [EVERYTHING, Text("first"), FieldEquals(ACTOR_ID, "u-1")])
async def test_a_segment_that_was_opened_since_the_catalogue_was_read_is_searched(
    store, reader_pool, where
):
    await store.put(record(1, message="first", actor_id="u-1"))
    rows = await reader_pool.fetch(statement("catalogue"))
    catalogue = Stale(reader_pool, [Segment(**row) for row in rows])
    async with Reader(reader_pool, limit_s=10).session() as session:
        page = await Pages(catalogue).read(session, Query(where, Order.NEWEST, 10))

    assert [row["message"] for row in page.rows] == ["first"]
    assert catalogue.reloads == 1
    assert page.explain.leaves_read == 1
