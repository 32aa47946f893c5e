"""Limits of concurrent queries and streams per token, and cancellation."""

import asyncio

import asyncpg
import pytest

from config.settings import ApiSettings, Settings
from query.planning.export import Export
from tests.support.querying import make_token, query_server


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


def test_one_client_cannot_use_all_connections():
    """T29: with the defaults, whatever it queries."""
    api = ApiSettings()

    assert api.user_concurrency < api.pool_connections


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
