"""Removals by retention, holds, merging and purge verify by their own entries; no others do.

Done by the jobs themselves on one store; the entries: tests/unit/storage/ledger/test_verify.py.
"""

import asyncpg
import pytest

from config.settings import Settings, StorageSettings
from retention.expiry.run import expire
from retention.holding.holds import HoldRequest, add
from retention.purging.execution import run_confirmed_purges
from retention.purging.purge import PurgeRequest, confirm, request_purge
from retention.segments.merge import merge_all
from retention.segments.seal import seal_all
from storage.filtering.filters import AttrEquals, FieldEquals
from storage.record.fields import ACTOR_ID
from tests.integration.evidence.test_verify import COMPLETENESS, INTEGRITY, Store
from tests.integration.retention.test_expiry import ago
from tests.support.evidence import open_store
from tests.support.keeping import close, keep, no_pause
from tests.support.records import make_record

SMALL = Settings(storage=StorageSettings(segment_rows=1000))
LEAK = AttrEquals("leak", "yes")


def records(level, *, held=()):
    """Ten, of which the seventh holds what must be purged."""
    return [
        make_record(
            level=level,
            actor_id="u-held" if n in held else f"u-{n}",
            message=f"record {n}",
            metadata=b'{"attributes": {"leak": "yes"}}' if n == 7 else b"{}",
        )
        for n in range(10)
    ]


async def fill(pool):
    """Due with and without held records, young and small enough to be merged, and a leak."""
    async with pool.acquire() as conn:
        await keep(conn, *records(0), at=ago(days=9))
        due = await close(conn, "debug")
        await keep(conn, *records(0, held=(2, 5)), at=ago(days=8))
        due_and_held = await close(conn, "debug")
        for days in (7, 6, 5, 4):
            await keep(conn, *records(4), at=ago(days=days))
            await close(conn, "critical")
        await keep(conn, *records(1), at=ago(days=2))
        await close(conn, "info")
        return due, due_and_held


@pytest.fixture
async def store(tmp_path, database, writer_pool, reader_pool):
    """After expiry, hold, merge and purge; and which segments were due."""
    async with open_store(tmp_path, database, writer_pool) as running:
        await running.sequenced()
        due = await fill(writer_pool)
        await seal_all(database.dsn, StorageSettings(), pause=no_pause)
        async with writer_pool.acquire() as conn:
            held = FieldEquals(ACTOR_ID, "u-held")
            await add(
                conn, HoldRequest(filter=held, name="case", shown="x", why="y", made_by="counsel")
            )
        await merge_all(database.dsn, SMALL, trigger="test")
        await expire(database.dsn, Settings(), trigger="test")
        async with reader_pool.acquire() as reading, writer_pool.acquire() as conn:
            request = PurgeRequest(LEAK, "attr.leak=yes", "a leak", "root")
            requested = await request_purge(reading, conn, Settings(), request)
            await confirm(conn, LEAK, requested.token, by="root")
        await run_confirmed_purges(database.dsn, Settings())
        await running.sequenced()
        key = await running.public()
    made = Store(tmp_path, database.dsn, key, [], {})
    made.due = due
    return made


async def kinds(store):
    conn = await asyncpg.connect(store.dsn)
    try:
        rows = await conn.fetch("SELECT DISTINCT kind FROM ledger")
        return {row["kind"] for row in rows}
    finally:
        await conn.close()


async def test_lawful_removals_are_known_gaps_and_nothing_else(store):
    assert await kinds(store) >= {"seal", "retire", "merge", "purge", "hold"}
    assert await store.both() == []
    gaps = (await store.online()).gaps
    for segment in store.due:
        assert [gap for gap in gaps if "retire" in gap and f"[{segment}]" in gap], gaps
    assert [gap for gap in gaps if "purge" in gap]


async def test_the_remaining_rows_are_protected_as_before(store):
    rows = (
        await store.execute(
            "SELECT tableoid::regclass::text AS leaf, batch_id, position, actor_id FROM system_logs"
            " WHERE actor_id IN ('u-held', 'u-3') ORDER BY received_at"
        )
    )[0]
    held = next(row for row in rows if row["actor_id"] == "u-held")
    merged = next(row for row in rows if row["actor_id"] == "u-3")
    for row in (held, merged):
        await store.execute(f"ALTER TABLE {row['leaf']} DISABLE TRIGGER ALL")
    await store.execute(
        f"UPDATE {held['leaf']} SET message = 'x' WHERE batch_id = {held['batch_id']}"
        f" AND position = {held['position']}",
        f"DELETE FROM {merged['leaf']} WHERE batch_id = {merged['batch_id']}"
        f" AND position = {merged['position']}",
    )

    found = {(verdict, tuple(place)[1:2]) for verdict, _, *place in await store.both()}

    assert found >= {(INTEGRITY, (held["batch_id"],)), (COMPLETENESS, (merged["batch_id"],))}
