"""Limits of concurrent queries and streams per token, and cancellation."""

import asyncio
import time
from collections import Counter

import asyncpg
import pytest

from config.settings import ApiSettings, Settings
from query.planning.export import Export
from query.planning.packed.pages import PageScan
from query.planning.packed.reading import SLICE_S, WORKERS, PackReader
from storage.database.read import Statement
from storage.packs.search.matching import Matcher
from tests.integration.query.test_search import record
from tests.support.querying import Packing, make_token, query_server


@pytest.mark.leaves_only  # locks the table
async def test_too_many_concurrent_queries_of_one_token(database, reader_pool, owner_pool):
    settings = Settings(api=ApiSettings(user_concurrency=2))
    async with (
        query_server(database.dsn, reader_pool, settings=settings) as server,
        owner_pool.acquire() as blocker,
        blocker.transaction(),
    ):
        await blocker.execute("LOCK TABLE segments IN ACCESS EXCLUSIVE MODE")
        waiting = [asyncio.create_task(server.get("/api/v1/logs")) for _ in range(2)]
        await until(lambda: waits(database, 2))

        refused = await server.get("/api/v1/logs")
        other = asyncio.create_task(server.get("/api/v1/logs", token=make_token("NOC")))
        await until(lambda: waits(database, 3))
        await blocker.execute("ROLLBACK")
        await blocker.execute("BEGIN")

        assert refused.status == 429
        assert int(refused.headers["Retry-After"]) > 0
        assert (await refused.json())["type"] == "/errors/too_many_queries"
        assert [(await response).status for response in [*waiting, other]] == [200, 200, 200]
        assert (await server.get("/api/v1/logs")).status == 200


async def test_concurrent_exports_of_one_token_are_limited(server, monkeypatch):
    """T30: an export may be slow, but their number is limited."""
    monkeypatch.setattr("query.api.http.access_control.CONCURRENT_STREAMS", 2)
    pieces, gate = Export.pieces, asyncio.Event()

    async def held(self, *requests):
        await gate.wait()
        async for piece in pieces(self, *requests):
            yield piece

    monkeypatch.setattr(Export, "pieces", held)
    own = {"token": make_token("ADMIN", sub="greedy")}
    waiting = [asyncio.create_task(server.get("/api/v1/logs/export", **own)) for _ in range(2)]
    async with asyncio.timeout(10):
        while len(server.accesses) < 2:
            await asyncio.sleep(0.01)

    refused = await server.get("/api/v1/logs/export", **own)
    requests = await server.get("/api/v1/logs", limit=1, **own)
    gate.set()

    assert (refused.status, requests.status) == (429, 200)
    assert "Retry-After" in refused.headers
    assert [(await response).status for response in waiting] == [200, 200]
    assert (await server.get("/api/v1/logs/export", **own)).status == 200


async def waits(database, count):
    """Whether this many queries wait for a lock."""
    connection = await asyncpg.connect(database.dsn)  # only a superuser sees others' statements
    try:
        found = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND query LIKE '%newest_segment%'"
            " AND datname = current_database() AND pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()
    return found == count


async def until(condition):
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.01)


@pytest.mark.leaves_only  # locks the table
async def test_a_query_is_cancelled_in_the_database_when_its_client_disconnects(
    database, server, owner_pool, reader_pool
):
    async with owner_pool.acquire() as blocker, blocker.transaction():
        await blocker.execute("LOCK TABLE segments IN ACCESS EXCLUSIVE MODE")
        running = asyncio.create_task(server.get("/api/v1/logs"))
        await until(lambda: waits(database, 1))

        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        await until(lambda: waits(database, 0))
    assert (await server.get("/api/v1/logs")).status == 200
    assert reader_pool.get_idle_size() == reader_pool.get_size()


@pytest.mark.leaves_only  # replaces a statement
async def test_a_busy_statement_ends_when_its_client_disconnects(
    database, server, monkeypatch, reader_pool
):
    """Not one that waits: PostgreSQL works until its statement is cancelled."""
    busy = Statement("SELECT sum(a * b % 7) FROM generate_series(1, 1000000000) a, (SELECT 2 b) c")
    monkeypatch.setattr("query.api.records.statistics.FIRST_COUNTED", busy)
    running = asyncio.create_task(server.get("/api/v1/logs/stats"))
    await until(lambda: are_active(database, "%generate_series%", 1))

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    await until(lambda: are_active(database, "%generate_series%", 0))
    assert reader_pool.get_idle_size() == reader_pool.get_size()


async def are_active(database, pattern, count):
    """Whether this many statements like the pattern run."""
    connection = await asyncpg.connect(database.dsn)
    try:
        found = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1"
            " AND datname = current_database() AND pid <> pg_backend_pid()",
            pattern,
        )
    finally:
        await connection.close()
    return found == count


class Steps:
    """Scans of packs whose steps are slow, and whose slices are noted with their caller."""

    def __init__(self, monkeypatch, reader_pool, pause_s=SLICE_S):
        self.count = 0
        self.slices = []
        self.connections = set()
        step, run_slice = PageScan.step, PackReader._slice

        def slow(scan):
            self.count += 1
            self.connections.add(reader_pool.get_size() - reader_pool.get_idle_size())
            time.sleep(pause_s)
            return step(scan)

        async def noted(reader, scan, caller):
            self.slices.append(caller)
            return await run_slice(reader, scan, caller)

        monkeypatch.setattr(PageScan, "step", slow)
        monkeypatch.setattr(PackReader, "_slice", noted)

    async def begun(self, count=1):
        async with asyncio.timeout(30):
            while self.count < count:
                await asyncio.sleep(0.005)


@pytest.fixture
async def packed_server(store, database, reader_pool, owner_pool, tmp_path):
    """A server with twenty packs."""
    packing = Packing(tmp_path / "packed")
    for _ in range(20):
        await store.put(*(record(n, message=f"needle {n}") for n in range(5)))
        async with owner_pool.acquire() as owner:
            assert await packing.pack(owner)
    settings = Settings(api=ApiSettings(user_concurrency=16))
    async with query_server(
        database.dsn, reader_pool, packs=packing.store, settings=settings
    ) as running:
        yield running


SINCE = {"start": "2026-09-01T00:00:00Z"}
REGEX = {"q": "message:/n.*x/", **SINCE}


@pytest.mark.leaves_only
async def test_a_scan_of_packs_ends_when_its_client_disconnects(
    packed_server, monkeypatch, reader_pool
):
    """After the step that runs: not even its slice goes on."""
    steps = Steps(monkeypatch, reader_pool, pause_s=0.001)
    monkeypatch.setattr("query.planning.packed.reading.SLICE_S", 3600)
    running = asyncio.create_task(packed_server.get("/api/v1/logs", **REGEX))
    await steps.begun(3)

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await settled(lambda: steps.count)

    assert steps.count < 20
    assert (await packed_server.get("/api/v1/logs", limit=1)).status == 200


@pytest.mark.leaves_only
async def test_no_connection_is_held_while_packs_are_read(packed_server, monkeypatch, reader_pool):
    steps = Steps(monkeypatch, reader_pool, pause_s=0)

    page = await packed_server.page(**REGEX)

    assert page["data"] == []
    assert steps.count > 20
    assert steps.connections == {0}


@pytest.mark.leaves_only
async def test_scans_of_packs_take_turns_by_token(packed_server, monkeypatch, reader_pool):
    """Sixteen heavy queries of one token delay another one by a turn each, not by sixteen."""
    steps, own_token = Steps(monkeypatch, reader_pool), make_token("NOC")
    greedy = [
        asyncio.create_task(packed_server.get("/api/v1/logs", token=own_token, **REGEX))
        for _ in range(16)
    ]
    await steps.begun(8)
    first = len(steps.slices)

    modest = await packed_server.get("/api/v1/logs", limit=3)

    during = steps.slices[first:]
    own = Counter(during)[during[-1]]
    assert modest.status == 200
    assert not any(task.done() for task in greedy)
    assert len(during) - own <= (own + 1) * WORKERS
    for task in greedy:
        task.cancel()
    await asyncio.gather(*greedy, return_exceptions=True)


@pytest.mark.leaves_only  # locks a table
async def test_connections_are_given_to_tokens_in_turn(database, reader_pool, owner_pool):
    """Sixteen slow statements of one token leave a connection to others."""
    settings = Settings(api=ApiSettings(user_concurrency=16))
    async with (
        query_server(database.dsn, reader_pool, settings=settings) as server,
        owner_pool.acquire() as blocker,
        blocker.transaction(),
    ):
        await blocker.execute("LOCK TABLE log_counts_hourly IN ACCESS EXCLUSIVE MODE")
        own_token = make_token("NOC")
        greedy = [
            asyncio.create_task(server.get("/api/v1/logs/stats", token=own_token))
            for _ in range(16)
        ]
        most = reader_pool.get_max_size() - 1
        await until(lambda: are_active(database, "%log_counts_hourly%", most))

        for _ in range(5):
            assert (await server.get("/api/v1/logs")).status == 200
        assert not any(task.done() for task in greedy)
        assert await are_active(database, "%log_counts_hourly%", most)

        await blocker.execute("ROLLBACK")
        await blocker.execute("BEGIN")
        assert {(await task).status for task in greedy} == {200}


@pytest.mark.leaves_only
async def test_a_slow_step_ends_when_its_client_disconnects(packed_server, monkeypatch):
    """Not even the rest of a block's conditions is evaluated."""
    evaluated, evaluate = [], Matcher.of

    def slow(matcher, *given):
        evaluated.append(given)
        time.sleep(0.005)
        return evaluate(matcher, *given)

    monkeypatch.setattr(Matcher, "of", slow)
    without = " ".join(f"-zz{number}" for number in range(150))
    running = asyncio.create_task(packed_server.get("/api/v1/logs", q=without, **SINCE))
    async with asyncio.timeout(30):
        while len(evaluated) < 3:
            await asyncio.sleep(0.005)

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await settled(lambda: len(evaluated))

    assert len(evaluated) < 150  # of the first block's three hundred


async def settled(count):
    """Wait until it no longer changes."""
    before = None
    async with asyncio.timeout(30):
        while (now := count()) != before:
            before = now
            await asyncio.sleep(0.1)
