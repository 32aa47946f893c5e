"""PostgreSQL is killed while a job is at a failpoint: recovery and the next run repair it."""

import asyncio

import asyncpg
import pytest

from retention.holding.holds import HoldRequest, add
from retention.jobs.maintain import maintain
from retention.purging.purge import PurgeRequest, confirm, request_purge
from retention.segments.merge import merge_all
from storage.database.pool import DatabaseRole, open_pool
from tests.integration.retention.test_expiry import ago, run, settings
from tests.integration.retention.test_faults import ACTOR, WRITING
from tests.integration.retention.test_merge import SMALL, packed
from tests.support.databases import Database, migrated
from tests.support.keeping import close, keep
from tests.support.killed_jobs import JOBS, begin, count, proved, tidy
from tests.support.packing import pack
from tests.support.records import make_record
from tests.support.waiting import until

pytestmark = pytest.mark.slow

SWITCH = (
    *("pack.between_files", "rewrite.after_copy", "rewrite.before_switch", "rewrite.after_switch"),
)
PLACES = {
    "pack": (
        *("pack.before_write", *WRITING, "pack.after_write", "pack.before_commit"),
        *("pack.after_commit", "pack.after_detach", "pack.after_drop"),
    ),
    "expire": ("retire.after_mark", "retire.after_detach", "retire.before_commit"),
    "hold": SWITCH,
    "merge": SWITCH,
    "purge": SWITCH,
    "unpack": ("unpack.before_switch", "unpack.after_switch"),
}
LEFT = {"pack": 30, "expire": 0, "hold": 10, "merge": 40, "purge": 20, "unpack": 30}
"""Rows in the end."""


@pytest.fixture
async def database(durable_postgres):
    """The first database of a server that may be killed."""
    await migrated(durable_postgres.dsn)
    return Database("opslog", durable_postgres.dsn)


async def prepare(database, work: str) -> None:
    """What the work is done on."""
    async with await open_pool(database.dsn, DatabaseRole.OWNER, size=3) as pool:
        if work == "merge":
            await packed(database, pool, [9, 8, 7, 6])
            return
        async with pool.acquire() as conn:
            records = [make_record(level=0, actor_id=f"u-{n % 3}") for n in range(30)]
            await keep(conn, *records, at=ago(days=8 if work in {"expire", "hold"} else 1))
            await close(conn, "debug")
            if work == "hold":
                await add(conn, HoldRequest("case", ACTOR, "actorId=u-1", "why", "me"))
            if work == "purge":
                request = PurgeRequest(ACTOR, "actorId=u-1", "why", "me")
                preview = await request_purge(conn, conn, settings(), request)
                await confirm(conn, ACTOR, preview.token, by="me")
        if work in {"purge", "hold", "unpack"}:
            await pack(database)


def _cases():
    """All steps of all work; `make test` kills at the first one of each."""
    for work, places in PLACES.items():
        for number, place in enumerate(places):
            yield pytest.param(work, place, marks=[pytest.mark.long] if number else [])


@pytest.mark.parametrize(("work", "place"), list(_cases()))
async def test_postgresql_is_killed_in_the_middle(database, durable_postgres, work, place):
    await prepare(database, work)
    process = begin(database, {"hold": "expire"}.get(work, work), f"{place}=sleep:3")
    await until(lambda: _is_in_the_middle(database))
    durable_postgres.kill()
    await asyncio.to_thread(process.wait, 60)
    durable_postgres.start()

    async with await open_pool(database.dsn, DatabaseRole.OWNER, size=1) as pool:
        # Nobody waits for the lease of a packer that is gone.
        await pool.execute(
            "UPDATE segments SET claimed_until = NULL WHERE claimed_until <> 'infinity'"
        )
    await run(database)
    await maintain(database.dsn, SMALL)
    await pack(database)
    await merge_all(database.dsn, SMALL, trigger="test")

    async with await open_pool(database.dsn, DatabaseRole.OWNER, size=2) as pool:
        await pool.execute("UPDATE segments SET packed_at = packed_at - interval '2 hours'")
        await run(database)
        assert await count(pool) == (LEFT[work], LEFT[work])
        await tidy(pool)
    await proved(database)


async def _is_in_the_middle(database) -> bool:
    conn = await asyncpg.connect(database.dsn)
    try:
        return await conn.fetchval(
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE state LIKE 'idle%'"
            " AND application_name = ANY ($1)"
            " AND clock_timestamp() - state_change > interval '0.5 s'",
            JOBS,
        )
    finally:
        await conn.close()
