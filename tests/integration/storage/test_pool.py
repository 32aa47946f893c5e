"""Connections: limits, names, and the handling of returned or lost ones."""

import asyncio

import asyncpg
import pytest

from storage.database import pool as pool_module
from storage.database.pool import DatabaseRole, connect, open_pool
from tests.support.databases import Database


@pytest.mark.parametrize("role", list(DatabaseRole))
async def test_each_role_is_taken_and_shown(database: Database, role: DatabaseRole) -> None:
    async with await open_pool(database.dsn, role, size=1) as pool:
        assert await pool.fetchval("SELECT current_user") == role
        assert await pool.fetchval("SHOW application_name") == role.replace("_", "-")


async def test_a_pool_keeps_its_role_and_settings_over_reset_and_release(database) -> None:
    async with await open_pool(database.dsn, DatabaseRole.WRITER, size=1) as pool:
        async with pool.acquire() as conn:
            await conn.execute("SET statement_timeout = '7s'; SET search_path = pg_catalog")
            await conn.execute("RESET ALL")
            assert await conn.fetchval("SELECT current_user") == "opslog_writer"
        async with pool.acquire() as conn:
            assert await conn.fetchval("SELECT current_user") == "opslog_writer"
            assert await conn.fetchval("SHOW search_path") == "public, pg_temp"
            assert await conn.fetchval("SHOW statement_timeout") == "0"


async def test_a_slow_statement_is_cancelled_by_the_server(database) -> None:
    limited = await open_pool(database.dsn, DatabaseRole.READER, size=1, statement_timeout_s=0.05)
    async with limited as pool:
        with pytest.raises(asyncpg.QueryCanceledError, match="statement timeout"):
            await pool.execute("SELECT pg_sleep(60)")
        assert await pool.fetchval("SELECT 1") == 1


async def test_readers_plan_each_query_separately_and_cannot_write(reader_pool) -> None:
    assert await reader_pool.fetchval("SHOW plan_cache_mode") == "force_custom_plan"
    assert await reader_pool.fetchval("SHOW max_parallel_workers_per_gather") == "0"
    with pytest.raises(asyncpg.PostgresError):
        await reader_pool.execute("CREATE TEMP TABLE scratch (a int)")


async def test_a_writer_s_commit_is_on_disk_whatever_the_server_s_default_is(writer_pool) -> None:
    # The server of the tests is started with synchronous_commit = off.
    assert await writer_pool.fetchval("SHOW synchronous_commit") == "on"


async def test_a_pool_can_be_opened_while_the_database_is_unavailable() -> None:
    dsn = "postgresql://opslog@/opslog?host=/nonexistent"
    async with await open_pool(dsn, DatabaseRole.WRITER, size=1) as pool:
        with pytest.raises(OSError):
            await pool.fetchval("SELECT 1")


async def test_a_connection_is_replaced_after_its_maximum_of_queries(database, monkeypatch) -> None:
    monkeypatch.setitem(pool_module.QUERIES_PER_CONNECTION, DatabaseRole.READER, 3)
    async with await open_pool(database.dsn, DatabaseRole.READER, size=1) as pool:
        backends = {await pool.fetchval("SELECT pg_backend_pid()") for _ in range(12)}
    assert len(backends) > 1


async def test_a_lost_connection_is_replaced(database, owner_pool) -> None:
    async with await open_pool(database.dsn, DatabaseRole.WRITER, size=1) as pool:
        await pool.fetchval("SELECT 1")
        conn = await asyncpg.connect(database.dsn)
        await conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'opslog-writer' AND datname = current_database()"
        )
        await conn.close()

        async with asyncio.timeout(10):
            while True:
                try:
                    assert await pool.fetchval("SELECT current_user") == "opslog_writer"
                except (
                    asyncpg.PostgresError,
                    asyncpg.InterfaceError,
                    asyncpg.InternalClientError,
                    OSError,
                ):
                    await asyncio.sleep(0.01)
                    continue
                break


async def test_a_single_connection_can_listen(database) -> None:
    conn = await connect(database.dsn, DatabaseRole.READER, name="opslog-listener")
    heard: asyncio.Queue[str] = asyncio.Queue()
    await conn.add_listener("channel", lambda *args: heard.put_nowait(args[3]))
    await conn.execute("SELECT pg_notify('channel', 'hello')")

    async with asyncio.timeout(10):
        assert await heard.get() == "hello"
    assert await conn.fetchval("SHOW application_name") == "opslog-listener"
    await conn.close()
