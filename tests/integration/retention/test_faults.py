"""Killed in the middle: of sealing, dropping, holding, purging, merging. Nothing lost or doubled.

A real process does the work and is killed at a named place; then another one goes on.
"""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from config.settings import StorageSettings
from retention.holding.holds import HoldRequest, add
from retention.jobs.maintain import maintain
from retention.purging.purge import PurgeRequest, confirm, request_purge
from retention.segments.merge import merge_all
from retention.segments.seal import seal_all
from storage.database.pool import DatabaseRole, open_pool
from storage.filtering.filters import FieldEquals
from storage.record.fields import ACTOR_ID
from tests.integration.retention.test_expiry import ago, closed, leaves, run, settings, states
from tests.integration.retention.test_merge import SMALL, sealed
from tests.support.databases import Database, migrated, statement
from tests.support.keeping import close, keep, no_pause
from tests.support.product import _die_with_us
from tests.support.records import make_record
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
ACTOR = FieldEquals(ACTOR_ID, "u-1")

WORK = {
    "seal": "seal_all(dsn, Settings().storage, pause=no_pause)",
    "expire": "expire(dsn, Settings(), trigger='test')",
    "merge": "merge_all(dsn, SMALL, trigger='test')",
    "purge": "run_confirmed_purges(dsn, Settings())",
}
PROGRAM = """
import asyncio, os, sys
from config.settings import Settings
from retention.segments.seal import seal_all
from retention.expiry.run import expire
from retention.segments.merge import merge_all
from retention.purging.execution import run_confirmed_purges
from storage import failpoints
from tests.integration.retention.test_merge import SMALL
from tests.support.keeping import no_pause
dsn = sys.argv[1]
failpoints.configure(sys.argv[3])
asyncio.run(eval(sys.argv[2]))
"""


def begin(database, work: str, failpoint: str) -> subprocess.Popen:
    """A process that does the work until the failpoint."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, database.dsn, WORK[work], failpoint],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=_die_with_us,  # noqa: PLW1509 - one prctl, nothing that locks
    )


async def killed_at(database, work: str, place: str) -> None:
    """Run the work in a process that is killed there."""
    process = begin(database, work, f"{place}=kill")
    assert await asyncio.to_thread(process.wait, 60) == -signal.SIGKILL
    await gone(database)


async def gone(database) -> None:
    """Wait until the server has noticed: only we are connected."""
    conn = await asyncpg.connect(database.dsn)

    async def is_alone() -> bool:
        return not await conn.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name IN ('opslog-sealer', 'opslog-retention', 'opslog-merger')"
        )

    await until(is_alone)
    await conn.close()


async def count(pool) -> tuple[int, int]:
    """Rows, and rows that differ."""
    return tuple(
        await pool.fetchrow(
            "SELECT count(*), count(DISTINCT (batch_id, position)) FROM system_logs"
        )
    )


async def tidy(pool) -> None:
    """Every leaf is in the catalogue, every live segment has its leaf, the counters are exact."""
    live = await pool.fetch("SELECT segment, rows FROM segments WHERE state <> 'dropped'")
    assert await leaves(pool) == {row["segment"] for row in live}
    attached = await pool.fetch(
        "SELECT replace(inhrelid::regclass::text, 'system_logs_s', '')::int AS n FROM pg_inherits"
        " WHERE inhparent = 'system_logs'::regclass"
    )
    retiring = await pool.fetch("SELECT segment FROM segments WHERE state = 'retiring'")
    assert {row["n"] for row in attached} == (
        {row["segment"] for row in live} - {row["segment"] for row in retiring}
    )
    stored = await pool.fetchval("SELECT count(*) FROM system_logs")
    assert await pool.fetchval("SELECT coalesce(sum(rows), 0) FROM log_counts") == stored
    assert await pool.fetchval("SELECT coalesce(sum(rows), 0) FROM ingest_parts") == stored


@pytest.mark.parametrize("place", ["seal.after_index", "seal.before_commit"])
async def test_killed_while_sealing(database, owner_pool, writer_pool, place):
    segment = await closed(writer_pool, at=ago(days=1), rows=60)

    await killed_at(database, "seal", place)
    assert (await states(owner_pool))[segment] == "closed"
    assert await count(owner_pool) == (60, 60)
    done = await seal_all(database.dsn, StorageSettings(), pause=no_pause)

    assert (done.segments, done.failed) == (1, 0)
    assert (await states(owner_pool))[segment] == "sealed"
    assert await count(owner_pool) == (60, 60)


@pytest.mark.parametrize(
    "place", ["retire.after_mark", "retire.after_detach", "retire.before_commit"]
)
async def test_killed_while_dropping(database, owner_pool, writer_pool, place):
    due = [await closed(writer_pool, level=0, at=ago(days=8)) for _ in range(2)]
    stays = await closed(writer_pool, level=1, at=ago(days=8))

    await killed_at(database, "expire", place)
    report = await run(database)

    now = await states(owner_pool)
    assert report.outcome == "done"
    assert {now[n] for n in due} == {"dropped"}
    assert now[stays] == "closed"
    retired = await owner_pool.fetch("SELECT segment FROM retention_steps")
    assert sorted(row["segment"] for row in retired) == due  # each once
    assert await owner_pool.fetchval("SELECT count(*) FROM ledger_in WHERE kind = 'retire'") == 2
    outcomes = await owner_pool.fetch("SELECT outcome FROM retention_runs ORDER BY run_id")
    assert [row["outcome"] for row in outcomes] == ["stopped", "done"]
    await tidy(owner_pool)


@pytest.mark.parametrize(
    "place", ["rewrite.after_copy", "rewrite.before_switch", "rewrite.after_switch"]
)
async def test_killed_while_carrying_held_records_over(database, owner_pool, writer_pool, place):
    async with writer_pool.acquire() as conn:
        records = [make_record(level=0, actor_id=f"u-{n % 3}") for n in range(30)]
        await keep(conn, *records, at=ago(days=8))
        await close(conn, "debug")
        await add(conn, HoldRequest("case", ACTOR, "actorId=u-1", "why", "me"))

    await killed_at(database, "expire", place)
    assert await count(owner_pool) == ((10, 10) if place == "rewrite.after_switch" else (30, 30))
    report = await run(database)

    assert report.outcome == "done"
    assert await count(owner_pool) == (10, 10)
    assert await owner_pool.fetchval("SELECT count(*) FROM ledger_in WHERE kind = 'retire'") == 1
    await owner_pool.execute("UPDATE segments SET sealed_at = sealed_at - interval '2 hours'")
    await run(database)
    await tidy(owner_pool)


@pytest.mark.parametrize(
    "place", ["rewrite.after_copy", "rewrite.before_switch", "rewrite.after_switch"]
)
async def test_killed_while_merging(database, owner_pool, writer_pool, place):
    await sealed(database, writer_pool, [9, 8, 7, 6])

    await killed_at(database, "merge", place)
    assert await count(owner_pool) == (40, 40)
    await merge_all(database.dsn, SMALL, trigger="test")
    await owner_pool.execute("UPDATE segments SET sealed_at = sealed_at - interval '2 hours'")
    await run(database)

    assert await count(owner_pool) == (40, 40)
    assert [s for s in (await states(owner_pool)).values() if s == "sealed"] == ["sealed"]
    await tidy(owner_pool)


@pytest.mark.parametrize(
    "place", ["rewrite.after_copy", "rewrite.before_switch", "rewrite.after_switch"]
)
async def test_killed_while_purging(database, owner_pool, reader_pool, writer_pool, place):
    async with writer_pool.acquire() as conn, reader_pool.acquire() as reading:
        for level in (1, 3):
            await keep(conn, *[make_record(level=level, actor_id=f"u-{n % 3}") for n in range(30)])
        preview = await request_purge(
            reading, conn, settings(), PurgeRequest(ACTOR, "actorId=u-1", "why", "me")
        )
        await confirm(conn, ACTOR, preview.token, by="me")

    await killed_at(database, "purge", place)
    left = 50 if place == "rewrite.after_switch" else 60
    assert await count(owner_pool) == (left, left)
    await maintain(database.dsn, settings())

    assert await count(owner_pool) == (40, 40)
    assert (
        await owner_pool.fetchval(
            "SELECT rows FROM purge_results WHERE done_at > now() - interval '1 minute'"
        )
        == 20
    )
    await owner_pool.execute("UPDATE segments SET sealed_at = sealed_at - interval '2 hours'")
    await run(database)
    await tidy(owner_pool)


@pytest.mark.slow
@pytest.mark.parametrize("work", ["seal", "expire", "merge", "purge"])
async def test_postgresql_is_killed_in_the_middle(durable_postgres, work):
    """The server crashes at the busiest moment; recovery and the next run repair it."""
    await migrated(durable_postgres.dsn)
    place = {
        "seal": "seal.after_index",
        "expire": "retire.before_commit",
        "merge": "rewrite.before_switch",
        "purge": "rewrite.before_switch",
    }[work]
    database = Database("opslog", durable_postgres.dsn)
    async with await open_pool(database.dsn, DatabaseRole.OWNER, size=3) as pool:
        if work == "merge":
            await sealed(database, pool, [9, 8, 7, 6])
        else:
            async with pool.acquire() as conn:
                records = [make_record(level=0, actor_id=f"u-{n % 3}") for n in range(30)]
                await keep(conn, *records, at=ago(days=8 if work == "expire" else 1))
                await close(conn, "debug")
                if work == "purge":
                    request = PurgeRequest(ACTOR, "actorId=u-1", "why", "me")
                    preview = await request_purge(conn, conn, settings(), request)
                    await confirm(conn, ACTOR, preview.token, by="me")
    process = begin(database, work, f"{place}=sleep:3")
    await until(lambda: _is_in_the_middle(database))
    durable_postgres.kill()
    await asyncio.to_thread(process.wait, 60)
    durable_postgres.start()

    await run(database)
    await maintain(database.dsn, SMALL)
    await merge_all(database.dsn, SMALL, trigger="test")

    async with await open_pool(database.dsn, DatabaseRole.OWNER, size=1) as pool:
        expected = {"seal": 30, "expire": 0, "merge": 40, "purge": 20}[work]
        assert await count(pool) == (expected, expected)
        await pool.execute("UPDATE segments SET sealed_at = sealed_at - interval '2 hours'")
        await run(database)
        await tidy(pool)


async def _is_in_the_middle(database) -> bool:
    conn = await asyncpg.connect(database.dsn)
    try:
        return await conn.fetchval(
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE state LIKE 'idle%'"
            " AND application_name IN ('opslog-sealer', 'opslog-retention', 'opslog-merger')"
            " AND clock_timestamp() - state_change > interval '0.5 s'"
        )
    finally:
        await conn.close()


async def test_a_full_disk_leaves_the_segment_as_it_was(database, owner_pool, writer_pool, caplog):
    """PostgreSQL refuses an index half way, as it does when a file cannot grow."""
    segment = await closed(writer_pool, at=ago(days=1), rows=60)
    other = await closed(writer_pool, level=3, at=ago(days=1), rows=60)
    before = await count(owner_pool)
    await statement(
        database.dsn,
        f"""CREATE FUNCTION no_room() RETURNS event_trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands()
                            WHERE object_identity LIKE '%system_logs_s{segment}_metadata') THEN
                    RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'disk_full';
                END IF;
            END $$""",
        "CREATE EVENT TRIGGER no_room ON ddl_command_end EXECUTE FUNCTION no_room()",
    )

    done = await seal_all(database.dsn, StorageSettings(), pause=no_pause)

    now = await states(owner_pool)
    assert (done.segments, done.failed) == (1, 1)
    assert "No space left on device (53100)" in caplog.text
    assert (now[segment], now[other]) == ("closed", "sealed")
    assert await count(owner_pool) == before
    await statement(database.dsn, "DROP EVENT TRIGGER no_room")
    assert (await seal_all(database.dsn, StorageSettings(), pause=no_pause)).segments == 1
