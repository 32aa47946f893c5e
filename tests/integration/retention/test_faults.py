"""Killed in the middle: of packing, dropping, holding, purging, merging. Nothing lost or doubled.

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

from retention.holding.holds import HoldRequest, add
from retention.jobs.maintain import maintain
from retention.purging.purge import PurgeRequest, confirm, request_purge
from retention.segments.merge import merge_all
from storage import failpoints
from storage.database.pool import DatabaseRole, open_pool
from storage.filtering.filters import FieldEquals
from storage.record.fields import ACTOR_ID
from tests.integration.retention.test_expiry import ago, closed, leaves, run, settings, states
from tests.integration.retention.test_merge import SMALL, packed
from tests.support.databases import Database, migrated
from tests.support.keeping import close, keep
from tests.support.packing import PACKS, pack, packs, stored
from tests.support.product import _die_with_us
from tests.support.records import make_record
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
ACTOR = FieldEquals(ACTOR_ID, "u-1")

WORK = {
    "pack": "pack_all(dsn, Settings(), yields=False)",
    "expire": "expire(dsn, Settings(), trigger='test')",
    "merge": "merge_all(dsn, SMALL, trigger='test')",
    "purge": "run_confirmed_purges(dsn, Settings())",
}
PROGRAM = """
import asyncio, os, sys
from config.settings import Settings
from retention.packing.run import pack_all
from retention.expiry.run import expire
from retention.segments.merge import merge_all
from retention.purging.execution import run_confirmed_purges
from storage import failpoints
from tests.integration.retention.test_merge import SMALL
dsn = sys.argv[1]
failpoints.configure(sys.argv[3])
asyncio.run(eval(sys.argv[2]))
"""


def begin(database, work: str, failpoint: str) -> subprocess.Popen:
    """A process that does the work until the failpoint."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, database.dsn, WORK[work], failpoint],
        cwd=Path.cwd(),  # that has the packs
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
            " AND application_name IN ('opslog-packer', 'opslog-retention', 'opslog-merger')"
        )

    await until(is_alone)
    await conn.close()


async def count(pool) -> tuple[int, int]:
    """Rows, and rows that differ."""
    rows = await stored(pool, "batch_id", "position")
    return len(rows), len(set(rows))


async def tidy(pool) -> None:
    """Every leaf and every file belongs to a live segment that needs it; the counters are exact."""
    live = await pool.fetch("SELECT * FROM segments WHERE state <> 'dropped'")
    assert await leaves(pool) == {row["segment"] for row in live if not row["leaf_dropped"]}
    found = {file.segment for file in packs().files()} if PACKS.exists() else set()
    assert found == {row["segment"] for row in live if row["packed_at"]}
    attached = await pool.fetch(
        "SELECT replace(inhrelid::regclass::text, 'system_logs_s', '')::int AS n FROM pg_inherits"
        " WHERE inhparent = 'system_logs'::regclass"
    )
    assert {row["n"] for row in attached} == await leaves(pool)
    rows, _ = await count(pool)
    assert await pool.fetchval("SELECT coalesce(sum(rows), 0) FROM log_counts") == rows
    assert await pool.fetchval("SELECT coalesce(sum(rows), 0) FROM ingest_parts") == rows


@pytest.mark.parametrize(
    "place",
    [
        *("pack.before_write", "pack.after_write", "pack.before_commit"),
        *("pack.after_commit", "pack.after_detach", "pack.after_drop"),
    ],
)
async def test_killed_while_packing(database, owner_pool, writer_pool, place):
    segment = await closed(writer_pool, at=ago(days=1), rows=60)

    await killed_at(database, "pack", place)
    is_packed = place in {"pack.after_commit", "pack.after_detach", "pack.after_drop"}
    assert (await states(owner_pool))[segment] == ("packed" if is_packed else "closed")
    assert await count(owner_pool) == (60, 60)
    # Nobody waits for the lease of a packer that is gone.
    await owner_pool.execute("UPDATE segments SET claimed_until = NULL")
    done = await pack(database)

    assert (done.segments, done.failed) == (0 if is_packed else 1, 0)
    assert (await states(owner_pool))[segment] == "packed"
    assert await owner_pool.fetchval("SELECT count(*) FROM ledger_in WHERE kind = 'pack'") == 1
    assert await count(owner_pool) == (60, 60)
    await tidy(owner_pool)


async def test_killed_before_the_files_of_an_expired_pack_go(database, owner_pool, writer_pool):
    segment = await closed(writer_pool, level=0, at=ago(days=8))
    await pack(database)

    await killed_at(database, "expire", "pack.before_unlink")
    assert (await states(owner_pool))[segment] == "dropped"
    assert packs().paths("debug", segment)[0].exists()
    await run(database)

    assert not packs().paths("debug", segment)[0].exists()
    await tidy(owner_pool)


@pytest.mark.parametrize("place", ["retire.after_mark", "retire.before_commit"])
async def test_killed_while_dropping_packs(database, owner_pool, writer_pool, place):
    due = [await closed(writer_pool, level=0, at=ago(days=8)) for _ in range(2)]
    stays = await closed(writer_pool, level=1, at=ago(days=8))
    await pack(database)

    await killed_at(database, "expire", place)
    report = await run(database)

    now = await states(owner_pool)
    assert report.outcome == "done"
    assert {now[n] for n in due} == {"dropped"}
    assert now[stays] == "packed"
    assert await owner_pool.fetchval("SELECT count(*) FROM ledger_in WHERE kind = 'retire'") == 2
    await tidy(owner_pool)


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
    await owner_pool.execute("UPDATE segments SET packed_at = packed_at - interval '2 hours'")
    await run(database)
    await tidy(owner_pool)


@pytest.mark.parametrize(
    "place", ["rewrite.after_copy", "rewrite.before_switch", "rewrite.after_switch"]
)
async def test_killed_while_merging(database, owner_pool, writer_pool, place):
    await packed(database, writer_pool, [9, 8, 7, 6])

    await killed_at(database, "merge", place)
    assert await count(owner_pool) == (40, 40)
    await merge_all(database.dsn, SMALL, trigger="test")
    await owner_pool.execute("UPDATE segments SET packed_at = packed_at - interval '2 hours'")
    await run(database)

    assert await count(owner_pool) == (40, 40)
    assert [s for s in (await states(owner_pool)).values() if s == "packed"] == ["packed"]
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
    await owner_pool.execute("UPDATE segments SET packed_at = packed_at - interval '2 hours'")
    await run(database)
    await tidy(owner_pool)


@pytest.mark.slow
@pytest.mark.parametrize("work", ["pack", "expire", "merge", "purge"])
async def test_postgresql_is_killed_in_the_middle(durable_postgres, work):
    """The server crashes at the busiest moment; recovery and the next run repair it."""
    await migrated(durable_postgres.dsn)
    place = {
        "pack": "pack.before_commit",
        "expire": "retire.before_commit",
        "merge": "rewrite.before_switch",
        "purge": "rewrite.before_switch",
    }[work]
    database = Database("opslog", durable_postgres.dsn)
    async with await open_pool(database.dsn, DatabaseRole.OWNER, size=3) as pool:
        if work == "merge":
            await packed(database, pool, [9, 8, 7, 6])
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

    async with await open_pool(database.dsn, DatabaseRole.OWNER, size=1) as pool:
        await pool.execute("UPDATE segments SET claimed_until = NULL")
    await run(database)
    await maintain(database.dsn, SMALL)
    await pack(database)
    await merge_all(database.dsn, SMALL, trigger="test")

    async with await open_pool(database.dsn, DatabaseRole.OWNER, size=2) as pool:
        expected = {"pack": 30, "expire": 0, "merge": 40, "purge": 20}[work]
        assert await count(pool) == (expected, expected)
        await pool.execute("UPDATE segments SET packed_at = packed_at - interval '2 hours'")
        await run(database)
        await tidy(pool)


async def _is_in_the_middle(database) -> bool:
    conn = await asyncpg.connect(database.dsn)
    try:
        return await conn.fetchval(
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE state LIKE 'idle%'"
            " AND application_name IN ('opslog-packer', 'opslog-retention', 'opslog-merger')"
            " AND clock_timestamp() - state_change > interval '0.5 s'"
        )
    finally:
        await conn.close()


async def test_a_full_disk_leaves_the_segment_as_it_was(
    database, owner_pool, writer_pool, monkeypatch, caplog
):
    """The folder of the packs refuses half way."""
    segment = await closed(writer_pool, at=ago(days=1), rows=60)
    before = await count(owner_pool)
    failpoints.configure("pack.before_write=enospc")

    done = await pack(database)

    failpoints.configure("")
    assert (done.segments, done.failed) == (0, 1)
    assert "No space left on device" in done.note
    assert "No space left on device" in caplog.text
    assert (await states(owner_pool))[segment] == "closed"
    assert await count(owner_pool) == before
    assert list(packs().files()) == []
    assert (await pack(database)).segments == 0  # not at once
    await owner_pool.execute("UPDATE segments SET claimed_until = now() - interval '1 s'")
    assert (await pack(database)).segments == 1
    await tidy(owner_pool)
