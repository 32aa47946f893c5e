"""Merging: small adjacent segments become one; readers see every row exactly once."""

import asyncio
from datetime import timedelta

import asyncpg

from config.settings import Settings, StorageSettings
from retention.reporting.history import runs
from retention.segments.merge import merge_all
from retention.segments.seal import compare, seal_all
from storage.segments.read_back import read_back, root_of
from tests.integration.retention.test_expiry import ago, closed, leaves, run, settings, states
from tests.support.keeping import no_pause

SMALL = Settings(storage=StorageSettings(segment_rows=1000))


async def sealed(database, pool, ages: list[float], *, level: int = 4, rows: int = 10) -> list[int]:
    """Sealed segments whose records are that many days old."""
    numbers = [await closed(pool, level=level, at=ago(days=age), rows=rows) for age in ages]
    await seal_all(database.dsn, StorageSettings(), pause=no_pause)
    return numbers


async def merge(database, chosen=None):
    """One pass."""
    return await merge_all(database.dsn, chosen or SMALL, trigger="test")


async def test_small_neighbours_become_one_segment(database, owner_pool, writer_pool):
    old = await sealed(database, writer_pool, [9, 8, 7, 6])
    counts = "SELECT minute, source_module, sum(rows) FROM {} GROUP BY 1, 2 ORDER BY 1"
    before = await owner_pool.fetch(counts.format("log_counts"))

    report = await merge(database)
    # Whatever kept a page from being frozen (a snapshot of anybody's) is made up for.
    await seal_all(database.dsn, StorageSettings(), pause=no_pause)

    now = await states(owner_pool)
    (new,) = [n for n, state in now.items() if state == "sealed"]
    row = await owner_pool.fetchrow("SELECT * FROM segments WHERE segment = $1", new)
    assert (report.outcome, report.segments) == ("done", 4)
    assert {now[n] for n in old} == {"retiring"}
    assert (row["rows"], row["class"], row["is_hold"]) == (40, "critical", False)
    assert row["finished_at"] is not None
    assert row["max_received_at"] - row["min_received_at"] > timedelta(days=2)
    assert await owner_pool.fetchval("SELECT count(*) FROM system_logs") == 40
    assert await owner_pool.fetch(counts.format("log_counts")) == before
    async with owner_pool.acquire() as conn:
        parts = await read_back(conn, new)
        assert await compare(conn, new, "critical", parts) is None
        assert root_of(parts.values()) == row["digest"]
        (past,) = await runs(conn)
    assert {(step.segment, step.to_segment) for step in past.steps} == {(n, new) for n in old}


async def test_the_old_leaves_stay_an_hour_for_those_who_read_them(
    database, owner_pool, writer_pool
):
    old = await sealed(database, writer_pool, [9, 8, 7, 6])
    await merge(database)
    assert set(old) <= await leaves(owner_pool)

    await run(database)
    assert set(old) <= await leaves(owner_pool)
    await owner_pool.execute("UPDATE segments SET sealed_at = sealed_at - interval '2 hours'")
    await run(database)

    assert not set(old) & await leaves(owner_pool)
    assert {(await states(owner_pool))[n] for n in old} == {"dropped"}
    assert await owner_pool.fetchval("SELECT count(*) FROM system_logs") == 40


async def test_what_spans_too_long_or_is_too_large_is_left(database, owner_pool, writer_pool):
    await sealed(database, writer_pool, [200, 150, 100, 50])
    await sealed(database, writer_pool, [3, 2, 1], level=3)

    assert (await merge(database)).segments == 0
    assert (await merge(database)).note == "nothing to merge"


async def test_a_reader_of_the_parent_postpones_merging(
    database, owner_pool, writer_pool, monkeypatch
):
    monkeypatch.setattr("retention.segments.rewrite.MERGE_PATIENCE_S", 0.5)
    old = await sealed(database, writer_pool, [9, 8, 7, 6])
    reader = await asyncpg.connect(database.dsn)
    reading = reader.transaction()
    await reading.start()
    await reader.execute("SELECT count(*) FROM system_logs")

    report = await merge(database)

    assert "being read all the time" in report.note
    assert {(await states(owner_pool))[n] for n in old} == {"sealed"}
    await reading.rollback()
    await reader.close()
    assert (await merge(database)).segments == 4
    assert await owner_pool.fetchval("SELECT count(*) FROM system_logs") == 40


async def test_no_reader_ever_sees_more_or_less_than_there_is(
    database, owner_pool, writer_pool, reader_pool
):
    """Through the parent, while segments are merged."""
    await sealed(database, writer_pool, [9, 8, 7, 6])
    seen: set[int] = set()
    stop = asyncio.Event()

    async def read() -> None:
        while not stop.is_set():
            seen.add(await reader_pool.fetchval("SELECT count(*) FROM system_logs"))

    reading = asyncio.create_task(read())
    assert (await merge(database)).segments == 4
    await asyncio.sleep(0.05)
    stop.set()
    await reading

    assert seen == {40}


async def test_a_changed_segment_is_never_merged(database, owner_pool, writer_pool):
    old = await sealed(database, writer_pool, [9, 8, 7, 6])
    conn = await asyncpg.connect(database.dsn)
    await conn.execute(f"ALTER TABLE system_logs_s{old[1]} DISABLE TRIGGER ALL")
    await conn.execute(f"UPDATE system_logs_s{old[1]} SET message = 'x'")
    await conn.close()

    report = await merge(database)

    assert "differs from what was received" in report.note
    assert {(await states(owner_pool))[n] for n in old} == {"sealed"}


async def test_a_merged_segment_expires_when_its_newest_record_is_due(
    database, owner_pool, writer_pool
):
    await sealed(database, writer_pool, [9, 8, 7, 6])
    await merge(database)

    assert (await run(database, settings(), at=ago(days=6) + timedelta(days=364))).segments == 0
    assert (await run(database, settings(), at=ago(days=5) + timedelta(days=365))).segments == 1
