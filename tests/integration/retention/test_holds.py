"""Legal holds: what they keep, for how long, and byte for byte."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from retention.errors import NoSuchHold, NothingSelected
from retention.holding.holds import HoldRequest, add, all_holds, get, release
from retention.reporting.history import runs
from storage.database.locks import HOLD_SPACE
from storage.filtering.filters import (
    EVERYTHING,
    AttrEquals,
    FieldEquals,
    Filter,
    ResourceEquals,
    TimeRange,
)
from storage.record.columns import ENCODING_VERSION
from storage.record.copy_binary import part_digest
from storage.record.fields import ACTOR_ID, SOURCE_MODULE
from tests.integration.retention.test_expiry import (
    ago,
    closed,
    half_detach,
    leaves,
    run,
    states,
)
from tests.support.keeping import close, keep, ns_of
from tests.support.packing import digests, pack, stored
from tests.support.read_back import read_back
from tests.support.records import make_record
from tests.support.waiting import until

ACTOR = FieldEquals(ACTOR_ID, "u-1")


def hold_request(condition: Filter = ACTOR, **more) -> HoldRequest:
    """A hold to create."""
    values = {"name": "case 7", "shown": "actorId=u-1", "why": "subpoena", "made_by": "counsel"}
    return HoldRequest(filter=condition, **(values | more))


@pytest.fixture
async def due(writer_pool) -> int:
    """A segment that is due, with three records of u-1 among thirty, in three batches."""
    async with writer_pool.acquire() as conn:
        for batch in range(3):
            records = [
                make_record(
                    level=0,
                    actor_id="u-1" if n == batch else "u-2",
                    message=f"record {batch}.{n}",
                    created_unix_ns=ns_of(ago(days=8)) + n,
                    metadata=b'{"attributes": {"order.id": "o-%d"}}' % n,
                )
                for n in range(10)
            ]
            await keep(conn, *records, at=ago(days=8))
        return await close(conn, "debug")


async def held_rows(pool) -> list[str]:
    """Messages of all that is stored."""
    return [message for (message,) in await stored(pool, "message")]


async def test_held_records_outlive_their_segment_and_nothing_else_does(
    database, owner_pool, writer_pool, due
):
    async with writer_pool.acquire() as conn:
        hold = await add(conn, hold_request())

    report = await run(database)

    now = await states(owner_pool)
    (kept,) = [n for n, state in now.items() if state == "packed"]
    row = await owner_pool.fetchrow("SELECT * FROM segments WHERE segment = $1", kept)
    assert (report.outcome, report.segments, report.rows) == ("done", 1, 27)
    assert now[due] == "dropped"
    assert (row["is_hold"], row["rows"], row["class"]) == (True, 3, "debug")
    assert await held_rows(owner_pool) == ["record 0.0", "record 1.1", "record 2.2"]
    assert await owner_pool.fetchval("SELECT sum(rows) FROM log_counts") == 3
    assert await owner_pool.fetchval("SELECT sum(rows) FROM log_counts_hourly") == 3
    assert hold.is_active(datetime.now(UTC))


async def test_what_is_kept_is_proved_against_what_was_received(
    database, owner_pool, writer_pool, due
):
    async with owner_pool.acquire() as conn:
        before = await read_back(conn, due)
        await add(conn, hold_request())
    await run(database)

    async with owner_pool.acquire() as conn:
        (past,) = await runs(conn)
        step = past.steps[0]
    parts = await owner_pool.fetch(
        "SELECT batch_id, rows, digest, marks FROM ingest_parts WHERE segment = $1", step.to_segment
    )
    entry = await owner_pool.fetchrow(
        "SELECT (body::jsonb ->> 'to')::int AS to, jsonb_array_length(body::jsonb -> 'kept') AS kept"
        " FROM ledger_in WHERE kind = 'retire'"
    )
    places = await stored(owner_pool, "batch_id", "position")
    assert len(places) == 3
    for batch_id, position in places:
        part = before[batch_id]
        leaf = part.leaves[part.positions.index(position)]
        (row,) = [row for row in parts if row["batch_id"] == batch_id]
        assert row["digest"] == part_digest("debug", batch_id, leaf, ENCODING_VERSION)
        assert row["marks"] == leaf[:4]
    assert await digests(owner_pool, step.to_segment) == {
        row["batch_id"]: row["digest"] for row in parts
    }
    assert tuple(entry) == (step.to_segment, 3)
    assert (step.kept_rows, step.rows) == (3, 27)


async def test_held_records_stay_until_the_hold_is_released(database, owner_pool, writer_pool, due):
    async with writer_pool.acquire() as conn:
        hold = await add(conn, hold_request())
    await run(database)
    assert (await run(database)).segments == 0
    assert len(await held_rows(owner_pool)) == 3

    async with writer_pool.acquire() as conn:
        released = await release(conn, hold.hold_id, by="counsel", why="settled")
    await run(database)

    assert released.released_why == "settled"
    assert await held_rows(owner_pool) == []
    kinds = await owner_pool.fetch("SELECT kind FROM ledger_in ORDER BY in_id")
    assert [row["kind"] for row in kinds if row["kind"] in {"hold", "release"}] == [
        "hold",
        "release",
    ]


async def test_a_second_hold_keeps_its_own_when_the_first_is_released(
    database, owner_pool, writer_pool, due
):
    async with writer_pool.acquire() as conn:
        first = await add(conn, hold_request())
        await add(conn, hold_request(AttrEquals("order.id", "o-2"), name="case 8"))
    await run(database)
    assert len(await held_rows(owner_pool)) == 5  # 3 of u-1, 3 of o-2, one in both

    async with writer_pool.acquire() as conn:
        await release(conn, first.hold_id, by="counsel", why="settled")
    await run(database)

    assert await held_rows(owner_pool) == ["record 0.2", "record 1.2", "record 2.2"]


async def test_a_hold_ends_at_its_date(database, owner_pool, writer_pool, due):
    async with writer_pool.acquire() as conn:
        await add(conn, hold_request(ends_at=datetime.now(UTC) + timedelta(seconds=0.2)))
    await asyncio.sleep(0.3)

    await run(database)

    assert await held_rows(owner_pool) == []


async def test_a_hold_on_everything_of_a_time_keeps_whole_segments(
    database, owner_pool, writer_pool, due
):
    span = TimeRange(ns_of(ago(days=9)), ns_of(ago(days=7)))
    async with writer_pool.acquire() as conn:
        await add(conn, hold_request(span))

    await run(database)
    await run(database)

    assert len(await held_rows(owner_pool)) == 30
    assert due not in await leaves(owner_pool)


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        (FieldEquals(SOURCE_MODULE, "checkout"), 30),
        (ResourceEquals("service.name", "checkout"), 30),
        (ResourceEquals("service.name", "nobody"), 0),
        (AttrEquals("order.id", "o-9"), 3),
    ],
)
async def test_any_filter_can_be_held(  # noqa: PLR0917
    database, owner_pool, writer_pool, due, condition, kept
):
    async with writer_pool.acquire() as conn:
        await add(conn, hold_request(condition))

    await run(database)

    assert len(await held_rows(owner_pool)) == kept


async def test_a_hold_that_is_made_while_a_run_decides_is_seen_by_it(
    database, owner_pool, writer_pool, due
):
    """It waits for the run's marks, or is created before them."""
    gate = await asyncpg.connect(database.dsn)
    await gate.execute("SELECT pg_advisory_lock($1, 0)", HOLD_SPACE)
    async with writer_pool.acquire() as conn:
        await conn.execute("SET lock_timeout = 0")
        making = asyncio.create_task(add(conn, hold_request()))
        running = asyncio.create_task(run(database))
        await asyncio.sleep(0.3)
        assert not making.done()
        await gate.close()
        await making
        await running

    kept = len(await held_rows(owner_pool))
    if kept == 0:  # the run was first: then the segment was on its way before the hold
        assert (await states(owner_pool))[due] == "dropped"
    else:
        assert kept == 3


@pytest.mark.parametrize("how_far", ["marked", "half detached", "detached"])
async def test_a_hold_is_in_time_as_long_as_the_leaf_is_there(
    database, owner_pool, writer_pool, due, how_far
):
    """A run may wait for days with marked segments, because of an open transaction."""
    other = await closed(writer_pool, level=0, at=ago(days=8))
    await owner_pool.execute(
        "UPDATE segments SET state = 'retiring' WHERE segment = ANY ($1)", [due, other]
    )
    if how_far == "detached":
        await owner_pool.execute(
            f"ALTER TABLE system_logs DETACH PARTITION system_logs_s{due} CONCURRENTLY"
        )
    if how_far == "half detached":
        await half_detach(database, due)
    async with writer_pool.acquire() as conn:
        await add(conn, hold_request())

    await run(database)

    assert {(await states(owner_pool))[n] for n in (due, other)} == {"dropped"}
    assert await held_rows(owner_pool) == ["record 0.0", "record 1.1", "record 2.2"]


async def test_a_hold_that_is_made_just_before_the_drop_is_seen(
    database, owner_pool, writer_pool, due, monkeypatch
):
    """Detaching may take long between the marks of a run and the drop."""
    monkeypatch.setattr("storage.segments.dropping._ATTEMPT_S", 0.1)
    reader = await asyncpg.connect(database.dsn)
    reading = reader.transaction(isolation="repeatable_read")
    await reading.start()
    await reader.execute("SELECT count(*) FROM system_logs")
    running = asyncio.create_task(run(database))
    await until(lambda: is_in(owner_pool, due, "retiring"))

    async with writer_pool.acquire() as conn:
        await add(conn, hold_request())
    await reading.rollback()
    await reader.close()
    first = await running
    again = await run(database)

    assert first.outcome == again.outcome == "done"
    assert (await states(owner_pool))[due] == "dropped"
    assert await held_rows(owner_pool) == ["record 0.0", "record 1.1", "record 2.2"]


async def is_in(pool, segment: int, state: str) -> bool:
    """Whether the segment is in that state."""
    return (await states(pool))[segment] == state


async def test_a_changed_segment_is_not_carried_over_but_stays_whole(
    database, owner_pool, writer_pool, due, caplog
):
    conn = await asyncpg.connect(database.dsn)
    await conn.execute(f"ALTER TABLE system_logs_s{due} DISABLE TRIGGER ALL")
    await conn.execute(f"UPDATE system_logs_s{due} SET message = 'x' WHERE position = 5")
    await conn.close()
    async with writer_pool.acquire() as conn:
        await add(conn, hold_request())

    await run(database)

    assert (await states(owner_pool))[due] == "closed"
    assert "differs from what was received; left unchanged" in caplog.text
    assert len(await held_rows(owner_pool)) == 30


async def test_holds_are_listed_and_wrong_ones_refused(database, writer_pool):
    async with writer_pool.acquire() as conn:
        one = await add(conn, hold_request())
        two = await add(conn, hold_request(name="case 8"))
        await release(conn, one.hold_id, by="me", why="done")

        assert [hold.hold_id for hold in await all_holds(conn)] == [two.hold_id, one.hold_id]
        assert (await get(conn, two.hold_id)).filter == ACTOR
        with pytest.raises(NothingSelected):
            await add(conn, hold_request(EVERYTHING))
        for missing in (one.hold_id, 99):
            with pytest.raises(NoSuchHold):
                await release(conn, missing, by="me", why="again")
        with pytest.raises(NoSuchHold):
            await get(conn, 99)


async def test_a_packed_segment_is_carried_over_as_well(database, owner_pool, writer_pool, due):
    await pack(database)
    async with writer_pool.acquire() as conn:
        await add(conn, hold_request())

    await run(database)

    assert len(await held_rows(owner_pool)) == 3


async def test_segments_that_are_not_due_are_not_touched(database, owner_pool, writer_pool):
    young = await closed(writer_pool, level=0, at=ago(days=2))
    async with writer_pool.acquire() as conn:
        await add(conn, hold_request())

    await run(database)

    assert (await states(owner_pool))[young] == "closed"
