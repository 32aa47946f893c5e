"""Killed while packing, dropping, holding, purging, merging, unpacking: nothing lost or doubled.

A real process does the work and is killed at a named place; then another one goes on.
"""

import pytest

from retention.holding.holds import HoldRequest, add
from retention.jobs.maintain import maintain
from retention.purging.purge import PurgeRequest, confirm, request_purge
from retention.segments.merge import merge_all
from storage.filtering.filters import FieldEquals
from storage.record.fields import ACTOR_ID
from tests.integration.retention.test_expiry import ago, closed, run, settings, states
from tests.integration.retention.test_merge import SMALL, packed
from tests.support.keeping import close, keep
from tests.support.killed_jobs import count, killed_at, proved, tidy
from tests.support.packing import pack, packs
from tests.support.records import make_record

ACTOR = FieldEquals(ACTOR_ID, "u-1")
WRITING = ("pack.before_sync", "pack.before_rename", "pack.between_files")
REWRITING = ("rewrite.after_copy", "rewrite.before_switch", "rewrite.after_switch")
STEPS = [*(pytest.param(place, marks=pytest.mark.long) for place in WRITING), *REWRITING]
"""Files are written alike by packing and rewriting; `make test` kills the former at these steps."""


@pytest.mark.parametrize(
    "place",
    [
        *("pack.before_write", *WRITING, "pack.after_write", "pack.before_commit"),
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
    await proved(database)


async def test_killed_before_the_files_of_an_expired_pack_go(database, owner_pool, writer_pool):
    segment = await closed(writer_pool, level=0, at=ago(days=8))
    await pack(database)

    await killed_at(database, "expire", "pack.before_unlink")
    assert (await states(owner_pool))[segment] == "dropped"
    assert packs().paths("debug", segment)[0].exists()
    await run(database)

    assert not packs().paths("debug", segment)[0].exists()
    await tidy(owner_pool)
    await proved(database)


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
    await proved(database)


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
    await proved(database)


@pytest.mark.parametrize("place", STEPS)
async def test_killed_while_carrying_held_records_over(database, owner_pool, writer_pool, place):
    async with writer_pool.acquire() as conn:
        records = [make_record(level=0, actor_id=f"u-{n % 3}") for n in range(30)]
        await keep(conn, *records, at=ago(days=8))
        segment = await close(conn, "debug")
        await add(conn, HoldRequest("case", ACTOR, "actorId=u-1", "why", "me"))

    await pack(database)  # the carry-over reads the pack; it would pack the segment itself
    assert (await states(owner_pool))[segment] == "packed"
    await killed_at(database, "expire", place)
    assert await count(owner_pool) == ((10, 10) if place == "rewrite.after_switch" else (30, 30))
    report = await run(database)

    assert report.outcome == "done"
    assert await count(owner_pool) == (10, 10)
    assert await owner_pool.fetchval("SELECT count(*) FROM ledger_in WHERE kind = 'retire'") == 1
    await owner_pool.execute("UPDATE segments SET packed_at = packed_at - interval '2 hours'")
    await run(database)
    await tidy(owner_pool)
    await proved(database)


@pytest.mark.parametrize("place", STEPS)
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
    await proved(database)


@pytest.mark.parametrize("place", STEPS)
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
    await proved(database)


@pytest.mark.parametrize("place", ["unpack.before_switch", "unpack.after_switch"])
async def test_killed_while_unpacking(database, owner_pool, writer_pool, place):
    segment = await closed(writer_pool, at=ago(days=1), rows=60)
    await pack(database)

    await killed_at(database, "unpack", place)
    is_unpacked = place == "unpack.after_switch"
    assert (await states(owner_pool))[segment] == ("closed" if is_unpacked else "packed")
    assert await count(owner_pool) == (60, 60)
    await pack(database)
    await merge_all(database.dsn, SMALL, trigger="test")

    assert (await states(owner_pool))[segment] == ("closed" if is_unpacked else "packed")
    assert await count(owner_pool) == (60, 60)
    await tidy(owner_pool)
    await proved(database)
