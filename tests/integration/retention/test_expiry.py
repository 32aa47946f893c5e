"""Expiry: what is removed, kept and recorded, without blocking readers and writers."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from config.retention import RetentionRule
from config.settings import RetentionSettings, Settings
from retention.expiry.run import expire
from retention.packing.pack import root_of
from retention.reporting.history import runs
from retention.reporting.status import status_of
from retention.safety.clock import Now
from tests.support.keeping import close, keep, keep_many
from tests.support.packing import count as stored_count
from tests.support.packing import pack
from tests.support.records import make_record

DAY = timedelta(days=1)


def settings(*rules: RetentionRule) -> Settings:
    """Settings with these retention rules."""
    return Settings(retention=RetentionSettings(rules=list(rules)))


def ago(**period) -> datetime:
    """The time that long ago."""
    return datetime.now(UTC) - timedelta(**period)


async def run(database, chosen=None, *, at=None, **more):
    """One run, optionally at another time."""
    clock = None if at is None else (lambda _: _at(at))
    return await expire(database.dsn, chosen or settings(), trigger="test", clock=clock, **more)


async def _at(moment: datetime) -> Now:
    return Now(moment)


async def states(pool) -> dict[int, str]:
    """Segment to state, of those that had records."""
    rows = await pool.fetch("SELECT segment, state FROM segments WHERE state <> 'ready' ORDER BY 1")
    return {row["segment"]: row["state"] for row in rows}


async def leaves(pool) -> set[int]:
    """The segments that have a table."""
    rows = await pool.fetch(
        "SELECT replace(relname, 'system_logs_s', '')::int AS n FROM pg_class"
        " WHERE relname ~ '^system_logs_s[0-9]+$' AND relkind = 'r'"
    )
    return {row["n"] for row in rows}


async def closed(pool, *, level: int = 1, at: datetime, rows: int = 20) -> int:
    """A closed segment with records of that level and arrival time."""
    async with pool.acquire() as conn:
        segment = await keep_many(conn, rows, level=level, at=at)
        names = ("debug", "info", "warn", "error", "critical")
        assert await close(conn, names[level]) == segment
    return segment


@pytest.mark.parametrize(("level", "keep"), [(0, 7), (1, 30), (2, 90), (3, 180), (4, 365)])
async def test_each_level_expires_after_its_time_and_not_before(
    database, owner_pool, writer_pool, level, keep
):
    arrived = datetime(2026, 3, 1, 12, tzinfo=UTC)
    segment = await closed(writer_pool, level=level, at=arrived)

    await run(database, at=arrived + keep * DAY - timedelta(seconds=1))
    assert (await states(owner_pool))[segment] == "closed"

    await run(database, at=arrived + keep * DAY)
    assert (await states(owner_pool))[segment] == "dropped"
    assert segment not in await leaves(owner_pool)


async def test_a_segment_waits_for_its_newest_record(database, owner_pool, writer_pool):
    async with writer_pool.acquire() as conn:
        await keep_many(conn, 10, level=0, at=ago(days=9))
        segment = await keep_many(conn, 10, level=0, at=ago(days=6))
        await close(conn, "debug")

    await run(database)

    assert (await states(owner_pool))[segment] == "closed"


async def test_open_segments_and_audit_records_of_a_year_stay(database, owner_pool, writer_pool):
    async with writer_pool.acquire() as conn:
        await keep_many(conn, 10, level=0, at=ago(days=9))
        await keep(conn, make_record(kind="audit"), at=ago(days=364))
        audit = await close(conn, "audit")

    report = await run(database)

    assert report.segments == 0
    assert (await states(owner_pool))[audit] == "closed"


async def test_everything_about_the_segment_is_removed_with_it(database, owner_pool, writer_pool):
    gone = await closed(writer_pool, level=0, at=ago(days=8), rows=120)
    stays = await closed(writer_pool, level=1, at=ago(days=8), rows=30)

    await run(database)

    for table in ("log_counts", "log_counts_hourly", "ingest_parts"):
        rows = await owner_pool.fetch(f"SELECT DISTINCT segment FROM {table}")
        assert [row["segment"] for row in rows] == [stays], table
    assert await stored_count(owner_pool) == 30
    assert await owner_pool.fetchval("SELECT sum(rows) FROM log_counts") == 30
    assert gone not in await leaves(owner_pool)


async def test_a_run_leaves_a_record_of_what_was_removed(database, owner_pool, writer_pool):
    segment = await closed(writer_pool, level=0, at=ago(days=8), rows=120)
    await pack(database)
    root = await owner_pool.fetchval("SELECT digest FROM segments WHERE segment = $1", segment)

    report = await run(database)

    async with owner_pool.acquire() as conn:
        (past,) = await runs(conn)
    (step,) = past.steps
    assert (past.kind, past.trigger, past.outcome) == ("expire", "test", "done")
    assert (past.segments, past.rows, past.run_id) == (1, 120, report.run_id)
    assert (step.segment, step.rule, step.rows) == (segment, "default", 120)
    assert step.root == root is not None
    assert step.size > 120 * 100
    entry = await owner_pool.fetchval(
        "SELECT body::jsonb ->> 'root' FROM ledger_in WHERE kind = 'retire'"
    )
    assert entry == root.hex()


async def test_a_segment_that_was_never_packed_expires_with_its_digest(
    database, owner_pool, writer_pool
):
    segment = await closed(writer_pool, level=0, at=ago(days=8))
    async with owner_pool.acquire() as conn:
        parts = await conn.fetch(
            "SELECT batch_id, rows, digest FROM ingest_parts WHERE segment = $1", segment
        )
        expected = root_of([tuple(part) for part in parts])

    await run(database)

    async with owner_pool.acquire() as conn:
        (past,) = await runs(conn)
    assert past.steps[0].root == expected


async def test_the_record_cannot_be_changed(database, owner_pool, writer_pool):
    await closed(writer_pool, level=0, at=ago(days=8))
    await run(database)

    for change in ("DELETE FROM retention_steps", "UPDATE retention_steps SET rows = 0"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="refused"):
            await owner_pool.execute(change)


async def test_a_shorter_rule_acts_on_what_is_stored(database, owner_pool, writer_pool):
    segment = await closed(writer_pool, level=3, at=ago(days=10))
    await run(database)
    assert (await states(owner_pool))[segment] == "closed"

    await run(database, settings(RetentionRule(name="short", keep="9d", level="ERROR")))

    assert (await states(owner_pool))[segment] == "dropped"
    async with owner_pool.acquire() as conn:
        assert (await runs(conn))[0].steps[0].rule == "short"
    changes = await owner_pool.fetchval("SELECT count(*) FROM ledger_in WHERE kind = 'policy'")
    assert changes == 2  # the first one, and the shorter one


async def test_a_removed_rule_holds_on_for_what_it_has_stored(database, owner_pool, writer_pool):
    rules = settings(RetentionRule(name="payments", keep="3y", source_module="payments"))
    async with writer_pool.acquire() as conn:
        segments = await keep(
            conn,
            make_record(level=0, source_module="payments"),
            at=ago(days=800),
            rules=rules.retention,
        )
        segment = segments["payments"]
        assert await close(conn, "payments") == segment
    await run(database, rules)

    await run(database, settings())
    assert (await states(owner_pool))[segment] == "closed"

    await run(database, settings(), at=datetime.now(UTC) + timedelta(days=3 * 365 - 799))
    assert (await states(owner_pool))[segment] == "dropped"


async def test_a_class_without_any_rule_is_kept_and_reported(database, owner_pool, writer_pool):
    rules = settings(RetentionRule(name="payments", keep="1d", source_module="payments"))
    async with writer_pool.acquire() as conn:
        await keep(
            conn, make_record(source_module="payments"), at=ago(days=9), rules=rules.retention
        )
        segment = await close(conn, "payments")

    report = await run(database, settings())

    assert (await states(owner_pool))[segment] == "closed"
    assert "no rule covers payments" in report.note
    async with owner_pool.acquire() as conn:
        found = await status_of(conn, settings(), datetime.now(UTC))
    assert found.problems == ["no retention rule covers class payments: it grows without limit"]


async def test_two_runs_at_once_are_one(database, owner_pool, writer_pool):
    segment = await closed(writer_pool, level=0, at=ago(days=8))
    at_work, go_on = asyncio.Event(), asyncio.Event()

    async def clock(_) -> Now:
        at_work.set()
        await go_on.wait()
        return await _at(datetime.now(UTC))

    first = asyncio.create_task(expire(database.dsn, settings(), trigger="test", clock=clock))
    await asyncio.wait_for(at_work.wait(), 30)
    others = await asyncio.gather(run(database), run(database))
    go_on.set()

    assert [report.outcome for report in others] == ["skipped", "skipped"]
    done = await first
    assert (done.outcome, done.segments) == ("done", 1)
    assert (await states(owner_pool))[segment] == "dropped"


async def test_what_an_interrupted_run_left_is_finished(database, owner_pool, writer_pool):
    marked = await closed(writer_pool, level=0, at=ago(days=8))
    detached = await closed(writer_pool, level=0, at=ago(days=8))
    half = await closed(writer_pool, level=0, at=ago(days=8))
    await owner_pool.execute(
        "UPDATE segments SET state = 'retiring' WHERE segment = ANY ($1)", [marked, detached, half]
    )
    await owner_pool.execute(
        f"ALTER TABLE system_logs DETACH PARTITION system_logs_s{detached} CONCURRENTLY"
    )
    await half_detach(database, half)

    report = await run(database)

    assert (report.outcome, report.segments) == ("done", 3)
    assert {(await states(owner_pool))[n] for n in (marked, detached, half)} == {"dropped"}
    assert not {marked, detached, half} & await leaves(owner_pool)


async def half_detach(database, segment: int) -> None:
    """Cancel a DETACH CONCURRENTLY that waits for a reader."""
    reader = await asyncpg.connect(database.dsn)
    reading = reader.transaction()
    await reading.start()
    await reader.execute("SELECT count(*) FROM system_logs")
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("SET statement_timeout = '100ms'")
    with pytest.raises(asyncpg.QueryCanceledError):
        await owner.execute(
            f"ALTER TABLE system_logs DETACH PARTITION system_logs_s{segment} CONCURRENTLY"
        )
    pending = await owner.fetchval("SELECT count(*) FROM pg_inherits WHERE inhdetachpending")
    assert pending == 1
    await reading.rollback()
    await reader.close()
    await owner.close()


async def test_batches_and_dead_letters_expire_in_their_time(database, owner_pool, writer_pool):
    old = await closed(writer_pool, level=0, at=ago(days=500))
    await closed(writer_pool, level=1, at=ago(days=2))
    for days in (8, 6):
        await owner_pool.execute(
            "INSERT INTO dead_letters (batch_id, position, class, encoding_version, row_bytes, leaf,"
            " sqlstate, reason, received_at) VALUES (1, 1, 'debug', 1, '', '', '22000', 'x', $1)",
            ago(days=days),
        )

    await run(database)

    assert (await states(owner_pool))[old] == "dropped"
    assert await owner_pool.fetchval("SELECT count(*) FROM ingest_batches") == 1
    assert await owner_pool.fetchval("SELECT count(*) FROM batch_secrets") == 1
    assert await owner_pool.fetchval("SELECT count(*) FROM batch_keys") == 0
    assert await owner_pool.fetchval("SELECT count(*) FROM dead_letters") == 1


async def test_overdue_records_are_reported_with_their_hours(database, owner_pool, writer_pool):
    await closed(writer_pool, level=0, at=ago(days=12))
    async with owner_pool.acquire() as conn:
        before = await status_of(conn, settings(), datetime.now(UTC))
        await run(database)
        after = await status_of(conn, settings(), datetime.now(UTC))

    assert before.problems == ["class debug: records are 71 h overdue"]
    assert before.backlog.rows == 20
    assert after.problems == []
    assert after.last_run is not None
