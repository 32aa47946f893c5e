"""The size limit: what is dropped first, what never, and the log message."""

from datetime import UTC, datetime, timedelta

import pytest

from config.retention import RetentionRule
from config.settings import RetentionSettings, Settings, StorageSettings
from retention.expiry.limit import RULE, candidates, enforce_size_limit, enough
from retention.holding.holds import HoldRequest, add
from retention.policy.plan import Stored
from retention.policy.rules import policies
from retention.reporting.history import runs
from retention.reporting.status import status_of
from storage.filtering.filters import FieldEquals
from storage.record.fields import ACTOR_ID
from tests.integration.retention.test_expiry import ago, closed, states
from tests.support.keeping import close, keep
from tests.support.packing import stored as stored_columns
from tests.support.records import make_record

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def limited(most: int, *rules: RetentionRule) -> Settings:
    """Settings with a size limit."""
    return Settings(
        storage=StorageSettings(max_bytes=most), retention=RetentionSettings(rules=list(rules))
    )


def stored(segment: int, class_name: str, days: float, **more) -> Stored:
    """A packed segment of that age."""
    at = NOON - timedelta(days=days)
    values = {
        "segment": segment, "class_name": class_name, "state": "packed", "rows": 10, "size": 100,
        "disk_bytes": 200, "oldest": at, "newest": at, "closed_at": at,
    }  # fmt: skip
    return Stored(**(values | more))


def test_the_lowest_level_is_dropped_first_oldest_first() -> None:
    rules = RetentionSettings(
        rules=[
            RetentionRule(name="noise", keep="30d", level="INFO", source_module="noise"),
            RetentionRule(name="payments", keep="3y", floor="30d", source_module="payments"),
        ]
    )
    segments = [
        stored(1, "error", 50), stored(2, "debug", 1), stored(3, "debug", 5), stored(4, "info", 9),
        stored(5, "audit", 300), stored(6, "audit", 400), stored(7, "payments", 20),
        stored(8, "payments", 40), stored(9, "noise", 10), stored(10, "debug", 6, is_hold=True),
        stored(11, "info", 2, state="open"), stored(12, "mystery", 900),
    ]  # fmt: skip

    order = candidates(segments, policies(rules), rules, NOON)

    assert [each.segment for each in order] == [3, 2, 9, 4, 1, 8, 6]


def test_no_more_is_dropped_than_necessary() -> None:
    assert enough([1, 2, 3], {1: 10, 2: 10, 3: 10}, 15) == [1, 2]
    assert enough([1, 2, 3], {1: 10, 2: 10, 3: 10}, 0) == []


async def total(pool) -> int:
    """Bytes of all leaves."""
    return await pool.fetchval(
        "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits"
        " WHERE inhparent = 'system_logs'::regclass"
    )


async def test_without_a_limit_or_below_it_nothing_happens(database, owner_pool, writer_pool):
    await closed(writer_pool, level=0, at=ago(days=1))

    assert await enforce_size_limit(database.dsn, limited(0)) is None
    assert await enforce_size_limit(database.dsn, limited(2**40)) is None


async def test_the_excess_is_dropped_and_logged(database, owner_pool, writer_pool, caplog):
    debug = await closed(writer_pool, level=0, at=ago(days=1), rows=100)
    error = await closed(writer_pool, level=3, at=ago(days=9), rows=100)

    report = await enforce_size_limit(database.dsn, limited(await total(owner_pool) - 1000))

    now = await states(owner_pool)
    assert (report.outcome, report.rows) == ("done", 100)
    assert (now[debug], now[error]) == ("dropped", "closed")
    async with owner_pool.acquire() as conn:
        (past,) = await runs(conn)
    assert (past.kind, past.steps[0].rule) == ("limit", RULE)
    assert "100 rows removed early" in past.note
    assert "size limit" in caplog.text


@pytest.mark.parametrize("reason", ["held", "floor"])
async def test_held_records_and_minimum_ages_are_respected(
    database, owner_pool, writer_pool, reason, caplog
):
    async with writer_pool.acquire() as conn:
        await keep(conn, make_record(level=0, actor_id="u-1"), at=ago(days=1))
        segment = await close(conn, "debug")
        if reason == "held":
            await add(
                conn, HoldRequest("case", FieldEquals(ACTOR_ID, "u-1"), "actorId=u-1", "why", "me")
            )
    rules = [RetentionRule(name="floor", keep="7d", floor="2d", level="DEBUG")]

    report = await enforce_size_limit(
        database.dsn, limited(1, *(rules if reason == "floor" else []))
    )

    assert report is None
    assert (await states(owner_pool))[segment] == "closed"
    assert "nothing may be dropped" in caplog.text


async def test_held_records_are_carried_over_and_the_rest_is_dropped(
    database, owner_pool, writer_pool
):
    """One held record per segment must not prevent reaching the limit."""
    async with writer_pool.acquire() as conn:
        for _ in range(2):
            records = [make_record(level=0, actor_id=f"u-{n}") for n in range(20)]
            await keep(conn, *records, at=ago(days=1))
            await close(conn, "debug")
        await add(
            conn, HoldRequest("case", FieldEquals(ACTOR_ID, "u-1"), "actorId=u-1", "why", "me")
        )

    report = await enforce_size_limit(database.dsn, limited(1))

    assert (report.outcome, report.segments, report.rows) == ("done", 2, 38)
    assert await stored_columns(owner_pool, "actor_id") == [("u-1",)] * 2


async def test_a_store_that_stays_above_its_limit_says_so(database, owner_pool, writer_pool):
    """An excess that the next run removes is not reported; one that it cannot remove is."""
    await closed(writer_pool, level=0, at=ago(days=1))
    size = await total(owner_pool)
    floor = RetentionRule(name="floor", keep="7d", floor="2d", level="DEBUG")
    now = datetime.now(UTC)
    async with owner_pool.acquire() as conn:
        small = (await status_of(conn, limited(size - 1), now)).problems
        stuck = (await status_of(conn, limited(size - 1, floor), now)).problems
        large = (await status_of(conn, limited(size // 2), now)).problems

    assert small == []
    assert stuck == ["the store is 1 B over storage.max_bytes"]
    assert large[0].endswith("over storage.max_bytes")
