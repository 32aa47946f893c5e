"""Removals by retention, holds, merging and purge verify by their own entries; no others do.

Done by the jobs themselves on one store; the entries: tests/unit/storage/ledger/test_verify.py.
"""

import asyncio

import asyncpg
import pytest

from config.settings import Settings
from retention.expiry.run import expire
from retention.holding.holds import HoldRequest, add
from retention.purging.execution import run_confirmed_purges
from retention.purging.purge import PurgeRequest, confirm, request_purge
from retention.segments.merge import merge_all
from storage.filtering.filters import AttrEquals, FieldEquals
from storage.record.fields import ACTOR_ID
from tests.integration.evidence.test_verify import COMPLETENESS, INTEGRITY, Store
from tests.integration.retention.test_expiry import ago
from tests.support.evidence import open_store
from tests.support.keeping import close, keep
from tests.support.packing import pack, packs
from tests.support.records import make_record

SMALL = Settings()
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
        await pack(database)
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
    assert await kinds(store) >= {"pack", "retire", "merge", "purge", "hold"}
    assert await store.both() == []
    gaps = (await store.online()).gaps
    for segment in store.due:
        assert [gap for gap in gaps if "retire" in gap and f"[{segment}]" in gap], gaps
    assert [gap for gap in gaps if "purge" in gap]


async def test_the_remaining_rows_are_protected_as_before(store):
    rows = (
        await store.execute(
            "SELECT segment, class, is_hold FROM segments WHERE state = 'packed' ORDER BY segment"
        )
    )[0]
    held = next(row for row in rows if row["is_hold"])
    merged = next(row for row in rows if row["class"] == "critical")
    data, _ = packs().paths(held["class"], held["segment"])
    changed = bytearray(data.read_bytes())
    for at in range(8, len(changed) // 2, 16):
        changed[at] ^= 1
    data.chmod(0o640)
    data.write_bytes(changed)
    packs().paths(merged["class"], merged["segment"])[0].unlink()
    for row in rows:
        packs().forget(row["segment"])

    found = {(verdict, place[0]) for verdict, _, *place in await store.both()}

    assert found == {
        (INTEGRITY, held["segment"]),
        (COMPLETENESS, held["segment"]),
        (COMPLETENESS, merged["segment"]),
    }


async def test_what_is_packed_during_a_verification_is_verified(
    store, database, writer_pool, monkeypatch
):
    """The snapshot still has the leaf; the rows are in a pack meanwhile."""
    from storage.ledger import export as module

    async with writer_pool.acquire() as conn:
        await keep(conn, *records(3), at=ago(days=1))
        segment = await close(conn, "error")
    read = module._segment

    async def packed_meanwhile(*arguments):
        if arguments[1] == segment:
            await asyncio.to_thread(asyncio.run, pack(database))
        await read(*arguments)

    before = await store.online()
    monkeypatch.setattr(module, "_segment", packed_meanwhile)
    verifier = await store.online()

    assert packs().paths("error", segment)[0].exists()
    assert verifier.seen["rows"] == before.seen["rows"]
    assert verifier.findings == before.findings
