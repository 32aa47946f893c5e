"""Expiry beside long reads, writers and other runs."""

import asyncio

import asyncpg

from retention.reporting.status import status_of
from storage.database.locks import RETENTION_SPACE
from tests.integration.retention.test_expiry import ago, closed, run, settings, states
from tests.support.keeping import keep
from tests.support.records import make_record
from tests.support.waiting import until


async def test_a_long_read_delays_a_run_and_the_next_one_continues(
    database, owner_pool, writer_pool, monkeypatch
):
    monkeypatch.setattr("storage.segments.dropping._ATTEMPT_S", 0.1)
    segment = await closed(writer_pool, level=0, at=ago(days=8))
    reader = await asyncpg.connect(database.dsn, server_settings={"application_name": "dump"})
    pid = reader.get_server_pid()
    reading = reader.transaction(isolation="repeatable_read")
    await reading.start()
    await reader.execute("SELECT count(*) FROM system_logs")

    report = await run(database, patience_s=0.3)

    assert report.outcome == "stopped"
    assert report.note.startswith(f"process {pid} (dump, opslog) has been using system_logs")
    assert (await states(owner_pool))[segment] == "retiring"
    async with owner_pool.acquire() as conn:
        (said,) = (await status_of(conn, settings(), ago(days=-4))).problems
    assert said.startswith("class debug: records are ")  # they are still there
    assert await reader.fetchval("SELECT count(*) FROM system_logs") == 20  # it reads on
    await reading.rollback()
    await reader.close()
    assert (await run(database)).outcome == "done"
    assert (await states(owner_pool))[segment] == "dropped"


async def test_writers_and_readers_do_not_wait_for_a_run(
    database, owner_pool, writer_pool, reader_pool
):
    for _ in range(6):
        await closed(writer_pool, level=0, at=ago(days=8))
    waits: list[float] = []
    stop = asyncio.Event()

    async def go(work) -> None:
        while not stop.is_set():
            began = asyncio.get_running_loop().time()
            await work()
            waits.append(asyncio.get_running_loop().time() - began)

    async def write() -> None:
        async with writer_pool.acquire() as conn:
            await keep(conn, make_record(), make_record(level=0))

    async def read() -> None:
        await reader_pool.fetch("SELECT count(*) FROM system_logs WHERE level = 'INFO'")

    tasks = [asyncio.create_task(go(write)), asyncio.create_task(go(read))]
    await until(lambda: len(waits) > 20)
    report = await run(database)
    stop.set()
    await asyncio.gather(*tasks)

    assert report.segments == 6
    assert max(waits) < 1.0


async def test_a_lock_that_somebody_holds_skips_the_run(database, owner_pool):
    conn = await asyncpg.connect(database.dsn)
    await conn.execute("SELECT pg_advisory_lock($1, 0)", RETENTION_SPACE)

    assert (await run(database)).outcome == "skipped"
    await conn.close()
