"""Purge: two steps, and what is never purged."""

import json
from datetime import UTC, datetime

import pytest

from config.levels import Level
from config.retention import RetentionRule
from retention.errors import NothingSelected, PurgeTokenInvalid
from retention.holding.holds import HoldRequest, add
from retention.purging.execution import run_confirmed_purges
from retention.purging.purge import PurgeRequest, confirm, estimate, request_purge, state_of
from storage.filtering.filters import (
    EVERYTHING,
    AttrEquals,
    FieldEquals,
    FieldIn,
    Filter,
    all_of,
)
from storage.record.fields import ACTOR_ID, KIND, LEVEL, Kind
from tests.integration.retention.test_expiry import ago, leaves, settings, states
from tests.support.keeping import close, keep
from tests.support.packing import count as stored_count
from tests.support.packing import digests, stored
from tests.support.read_back import read_back
from tests.support.records import make_record

LEAK = AttrEquals("leak", "yes")


def purge_request(condition: Filter = LEAK) -> PurgeRequest:
    """The records to purge."""
    return PurgeRequest(condition, "attr.leak=yes", "a password in the message", "root@example")


async def preview_of(database_pools, condition: Filter = LEAK, chosen=None):
    """The first step."""
    reader, writer = database_pools
    async with reader.acquire() as reading, writer.acquire() as writing:
        return await request_purge(reading, writing, chosen or settings(), purge_request(condition))


async def purge(database, pools, condition: Filter = LEAK, chosen=None):
    """Both steps, and the execution."""
    preview = await preview_of(pools, condition, chosen)
    async with pools[1].acquire() as conn:
        await confirm(conn, condition, preview.token, by="root@example")
    (report,) = await run_confirmed_purges(database.dsn, chosen or settings())
    return preview, report


@pytest.fixture
def pools(reader_pool, writer_pool):
    """The reading and the writing connection."""
    return reader_pool, writer_pool


@pytest.fixture
async def leaked(writer_pool) -> dict[str, int]:
    """Closed and open segments with 4 leaked records among 40."""
    async with writer_pool.acquire() as conn:
        for days in (3, 2):
            records = [
                make_record(
                    level=level,
                    actor_id=f"u-{n}",
                    metadata=b'{"attributes": {"leak": "yes"}}' if n == 7 else b"{}",
                    message="the password is hunter2" if n == 7 else "nothing",
                )
                for n in range(10)
                for level in (1, 3)
            ]
            segments = await keep(conn, *records, at=ago(days=days))
        await close(conn, "info")
        return segments


async def messages(pool) -> int:
    """Leaked records that are stored."""
    return sum("hunter2" in message for (message,) in await stored(pool, "message"))


async def test_the_first_step_counts_and_touches_nothing(pools, owner_pool, leaked):
    preview = await preview_of(pools)

    found = preview.estimate
    assert (found.rows, found.segments, found.held_rows, found.protected_rows) == (4, 2, 0, 0)
    assert found.size > 4 * 100
    assert await messages(owner_pool) == 4
    left = preview.expires_at - datetime.now(UTC)
    assert 590 < left.total_seconds() < 601


async def test_the_second_step_removes_exactly_these(database, pools, owner_pool, leaked):
    _, report = await purge(database, pools)

    assert (report.outcome, report.segments, report.rows) == ("done", 2, 4)
    assert await messages(owner_pool) == 0
    assert await stored_count(owner_pool) == 36
    assert await owner_pool.fetchval("SELECT sum(rows) FROM log_counts") == 36
    now = await states(owner_pool)
    assert not {leaked["info"], leaked["error"]} & await leaves(owner_pool)
    assert [state for state in now.values() if state == "packed"] == ["packed"] * 2
    for segment in (n for n, state in now.items() if state == "packed"):
        parts = await owner_pool.fetch(
            "SELECT batch_id, digest FROM ingest_parts WHERE segment = $1", segment
        )
        assert await digests(owner_pool, segment) == dict(map(tuple, parts))


async def test_the_ledger_names_what_was_removed(database, pools, owner_pool, leaked):
    async with owner_pool.acquire() as conn:
        before = await read_back(conn, leaked["info"])
    await purge(database, pools)

    entries = await owner_pool.fetch(
        "SELECT body::jsonb -> 'removed' AS removed, body::jsonb ->> 'by' AS by,"
        " body::jsonb ->> 'reason' AS reason FROM ledger_in WHERE kind = 'purge'"
        " AND body::jsonb ->> 'class' = 'info'"
    )
    (entry,) = entries
    removed = json.loads(entry["removed"])
    assert (entry["by"], entry["reason"]) == ("root@example", "a password in the message")
    assert len(removed) == 2
    for batch_id, position, leaf in removed:
        part = before[batch_id]
        assert part.leaves[part.positions.index(position)].hex() == leaf


async def test_nobody_can_guess_a_purged_row_and_the_others_are_proved(
    database, pools, owner_pool, leaked
):
    """The secrets are deleted; rows of these requests that stay have their nonces, or their key."""
    secret = "SELECT count(*) FROM batch_secrets"
    assert await owner_pool.fetchval(secret) == 2

    condition = all_of(LEAK, FieldEquals(LEVEL, Level.INFO))
    await purge(database, pools, condition)

    assert await owner_pool.fetchval(secret) == 0
    keys = await owner_pool.fetch("SELECT class FROM batch_keys")
    assert [row["class"] for row in keys] == ["error", "error"]
    assert await bare(owner_pool) == {"error": [20, 20], "info": [0, 18]}
    await _is_as_received(owner_pool)

    await purge(database, pools)

    assert await owner_pool.fetchval("SELECT count(*) FROM batch_keys") == 0
    assert await bare(owner_pool) == {"error": [0, 18], "info": [0, 18]}
    await _is_as_received(owner_pool)


async def bare(pool) -> dict[str, list[int]]:
    """Class to rows without a nonce, and all rows."""
    found: dict[str, list[int]] = {}
    for level, nonce in await stored(pool, "level", "nonce"):
        of = found.setdefault(level.lower(), [0, 0])
        of[0] += nonce is None
        of[1] += 1
    return found


async def _is_as_received(pool) -> None:
    for row in await pool.fetch("SELECT segment, class, state FROM segments WHERE rows > 0"):
        if row["state"] == "packed":
            parts = await pool.fetch(
                "SELECT batch_id, digest FROM ingest_parts WHERE segment = $1", row["segment"]
            )
            assert await digests(pool, row["segment"]) == dict(map(tuple, parts))


async def test_held_audit_and_too_young_records_are_kept(database, pools, owner_pool, writer_pool):
    rules = settings(
        RetentionRule(name="payments", keep="3y", floor="1y", source_module="payments")
    )
    leak = b'{"attributes": {"leak": "yes"}}'
    async with writer_pool.acquire() as conn:
        await keep(
            conn,
            make_record(metadata=leak, message="hunter2 plain"),
            make_record(metadata=leak, message="hunter2 held", actor_id="u-1"),
            make_record(metadata=leak, message="hunter2 audit", kind="audit"),
            make_record(metadata=leak, message="hunter2 payments", source_module="payments"),
            at=ago(days=1),
            rules=rules.retention,
        )
        await add(
            conn, HoldRequest("case", FieldEquals(ACTOR_ID, "u-1"), "actorId=u-1", "why", "me")
        )

    preview, report = await purge(database, pools, chosen=rules)

    rows = sorted(await stored(owner_pool, "message"))
    assert (preview.estimate.rows, report.rows) == (1, 1)
    assert (preview.estimate.held_rows, preview.estimate.protected_rows) == (1, 1)
    assert [message for (message,) in rows] == [
        *("hunter2 audit", "hunter2 held", "hunter2 payments"),
    ]


async def test_a_purge_of_audit_records_selects_none(pools, owner_pool, writer_pool):
    async with writer_pool.acquire() as conn:
        await keep(conn, make_record(kind="audit"))

    preview = await preview_of(pools, FieldIn(KIND, (Kind.AUDIT,)))

    assert preview.estimate.rows == 0


async def test_records_that_arrived_after_the_request_are_kept(
    database, pools, owner_pool, writer_pool, leaked
):
    preview = await preview_of(pools)
    async with writer_pool.acquire() as conn:
        await keep(
            conn, make_record(metadata=b'{"attributes": {"leak": "yes"}}', message="hunter2 again")
        )
        await confirm(conn, LEAK, preview.token, by="root@example")
    (report,) = await run_confirmed_purges(database.dsn, settings())

    assert report.rows == 4
    assert await messages(owner_pool) == 1


async def test_a_token_holds_once_for_its_filter_and_for_ten_minutes(
    pools, owner_pool, writer_pool, leaked
):
    preview = await preview_of(pools)
    async with writer_pool.acquire() as conn:
        for condition, token in ((LEAK, "guess"), (FieldEquals(ACTOR_ID, "u-1"), preview.token)):
            with pytest.raises(PurgeTokenInvalid):
                await confirm(conn, condition, token, by="root@example")
        await confirm(conn, LEAK, preview.token, by="root@example")
        with pytest.raises(PurgeTokenInvalid, match="already confirmed"):
            await confirm(conn, LEAK, preview.token, by="root@example")

    late = await preview_of(pools)
    await owner_pool.execute("UPDATE purges SET expires_at = now() - interval '1 second'")
    async with writer_pool.acquire() as conn:
        with pytest.raises(PurgeTokenInvalid):
            await confirm(conn, LEAK, late.token, by="root@example")


async def test_without_a_filter_nothing_is_counted(pools):
    async with pools[0].acquire() as conn:
        with pytest.raises(NothingSelected):
            await estimate(conn, settings(), EVERYTHING, datetime.now(UTC))


async def test_a_segment_that_loses_all_of_its_rows_is_dropped(
    database, pools, owner_pool, writer_pool
):
    async with writer_pool.acquire() as conn:
        segments = await keep(conn, *[make_record(actor_id="u-1") for _ in range(5)])

    _, report = await purge(database, pools, FieldEquals(ACTOR_ID, "u-1"))

    assert report.rows == 5
    assert (await states(owner_pool))[segments["info"]] == "dropped"
    assert await stored_count(owner_pool) == 0
    assert await owner_pool.fetchval("SELECT count(*) FROM log_counts") == 0


async def test_the_progress_of_a_purge_can_be_read(
    database, pools, owner_pool, writer_pool, leaked
):
    preview = await preview_of(pools)
    async with owner_pool.acquire() as conn:
        before = await state_of(conn, preview.purge_id)
    async with writer_pool.acquire() as conn:
        await confirm(conn, LEAK, preview.token, by="root@example")
    await run_confirmed_purges(database.dsn, settings())
    async with owner_pool.acquire() as conn:
        after = await state_of(conn, preview.purge_id)
        assert await state_of(conn, 99) is None

    assert (before.confirmed_at, before.done_at, before.rows) == (None, None, 0)
    assert after.done_at is not None
    assert after.rows == 4
