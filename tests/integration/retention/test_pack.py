"""Packing: what a packed segment is, and what happens when something comes in between."""

import json
import stat
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from retention.packing.leaves import drop_leaves, forget_parts
from retention.packing.pack import NotClosed, pack_segment, root_of
from storage.ledger.tree.merkle import tree_root
from storage.packs.index.bloom import NAME
from storage.packs.verify import check_quick
from tests.support.keeping import close, keep, keep_many
from tests.support.packing import digests
from tests.support.records import make_record

FOREVER_S = 10.0**9


async def row_of(pool, segment: int):
    """The catalogue's row."""
    return await pool.fetchrow("SELECT * FROM segments WHERE segment = $1", segment)


async def leaf_of(pool, segment: int) -> str | None:
    """The leaf of a segment, if it exists."""
    return await pool.fetchval("SELECT to_regclass($1)::text", f"system_logs_s{segment}")


@pytest.fixture
async def closed(writer_pool) -> int:
    """A closed segment of class info with 120 rows."""
    async with writer_pool.acquire() as conn:
        await keep_many(conn, 120)
        return await close(conn, "info")


async def pack(pool, store, segment: int, **more):
    """Pack one segment as the owner."""
    async with pool.acquire() as conn:
        return await pack_segment(conn, store, segment, **more)


async def test_a_closed_segment_becomes_two_files_with_every_row(owner_pool, store, closed):
    received = await owner_pool.fetch(
        "SELECT batch_id, rows, digest FROM ingest_parts WHERE segment = $1 ORDER BY 1", closed
    )

    done = await pack(owner_pool, store, closed)

    row = await row_of(owner_pool, closed)
    assert (done.rows, done.damage) == (120, "")
    assert (row["state"], row["rows"], row["damage"]) == ("packed", 120, None)
    assert row["packed_at"]
    data, index = store.paths("info", closed)
    assert (data.stat().st_size, index.stat().st_size) == (row["data_bytes"], row["index_bytes"])
    check_quick(data, row["data_hash"].hex())
    check_quick(index, row["index_hash"].hex())
    found = store.open("info", closed, row["data_hash"])
    assert found.rows_total == 120
    assert await digests(owner_pool, closed, store) == {
        each["batch_id"]: each["digest"] for each in received
    }
    assert row["digest"] == root_of([tuple(each) for each in received])
    assert row["digest"] == tree_root([each["digest"] for each in received])


async def test_the_ledger_has_the_hashes_of_both_files(owner_pool, store, closed):
    await pack(owner_pool, store, closed)

    row = await row_of(owner_pool, closed)
    body = await owner_pool.fetchval("SELECT body::jsonb FROM ledger_in WHERE kind = 'pack'")
    assert json.loads(body) == {
        "segment": closed,
        "class": "info",
        "rows": 120,
        "parts": 3,
        "root": row["digest"].hex(),
        "data": row["data_hash"].hex(),
        "index": row["index_hash"].hex(),
        "bytes": row["data_bytes"] + row["index_bytes"],
    }


async def test_nobody_else_may_change_the_files(owner_pool, store, closed):
    await pack(owner_pool, store, closed)

    for path in store.paths("info", closed):
        assert stat.S_IMODE(path.stat().st_mode) == 0o440
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700
    assert {path.name for path in (store.directory / "info").iterdir()} == {
        f"{closed}.parquet",
        f"{closed}.idx",
        NAME,
    }


async def test_the_leaf_is_dropped_afterwards_and_its_parts_an_hour_later(
    owner_pool, store, closed
):
    await pack(owner_pool, store, closed)
    assert await leaf_of(owner_pool, closed)

    async with owner_pool.acquire() as conn:
        assert await drop_leaves(conn, deadline_s=FOREVER_S) == 1
        assert await drop_leaves(conn, deadline_s=FOREVER_S) == 0
        assert await leaf_of(owner_pool, closed) is None
        assert (await row_of(owner_pool, closed))["leaf_dropped"]
        parts = "SELECT count(*) FROM ingest_parts WHERE segment = $1"
        assert await forget_parts(conn) == 0
        assert await conn.fetchval(parts, closed) == 3
        assert await forget_parts(conn, 0) == 1
        assert await conn.fetchval(parts, closed) == 0


async def test_packing_again_does_nothing(owner_pool, store, closed):
    await pack(owner_pool, store, closed)
    before = await row_of(owner_pool, closed)

    with pytest.raises(NotClosed, match="is packed"):
        await pack(owner_pool, store, closed)

    assert await row_of(owner_pool, closed) == before


async def test_a_segment_that_was_sealed_before_the_upgrade_is_packed(owner_pool, store, closed):
    await owner_pool.execute("UPDATE segments SET state = 'sealed' WHERE segment = $1", closed)

    await pack(owner_pool, store, closed)

    assert (await row_of(owner_pool, closed))["state"] == "packed"


async def test_an_open_segment_is_left_alone(owner_pool, writer_pool, store):
    async with writer_pool.acquire() as conn:
        segment = await keep_many(conn, 10)

    with pytest.raises(NotClosed, match="is open"):
        await pack(owner_pool, store, segment)


async def test_a_changed_row_is_found_and_the_leaf_stays(
    database, owner_pool, store, closed, caplog
):
    conn = await asyncpg.connect(database.dsn)  # a superuser can
    await conn.execute(f"ALTER TABLE system_logs_s{closed} DISABLE TRIGGER ALL")
    await conn.execute(
        f"UPDATE system_logs_s{closed} SET message = 'nothing' WHERE message LIKE 'order 7 %'"
    )
    await conn.close()

    done = await pack(owner_pool, store, closed)

    row = await row_of(owner_pool, closed)
    assert row["state"] == "closed"
    assert done.damage == row["damage"]
    assert row["damage"].startswith("1 batches changed, for instance ")
    assert "differs from what was received" in caplog.text
    assert await owner_pool.fetchval("SELECT count(*) FROM ledger_in WHERE kind = 'corrupt'") == 1
    assert not any(path.exists() for path in store.paths("info", closed))
    with pytest.raises(NotClosed, match="is damaged"):
        await pack(owner_pool, store, closed)
    assert (await pack(owner_pool, store, closed, again=True)).damage == done.damage


async def test_rows_taken_away_or_added_are_found(database, owner_pool, store, closed):
    conn = await asyncpg.connect(database.dsn)
    leaf = f"system_logs_s{closed}"
    await conn.execute(f"ALTER TABLE {leaf} DISABLE TRIGGER ALL")
    batches = [r[0] for r in await conn.fetch(f"SELECT DISTINCT batch_id FROM {leaf} ORDER BY 1")]
    await conn.execute(f"DELETE FROM {leaf} WHERE batch_id = $1", batches[0])
    await conn.execute(f"UPDATE {leaf} SET batch_id = 7 WHERE batch_id = $1", batches[1])
    await conn.close()

    done = await pack(owner_pool, store, closed)

    assert (
        done.damage
        == f"2 batches missing, for instance {batches[0]}; 1 batches added, for instance 7"
    )


async def test_all_rows_taken_away_are_found(database, owner_pool, store, closed):
    conn = await asyncpg.connect(database.dsn)
    await conn.execute(f"ALTER TABLE system_logs_s{closed} DISABLE TRIGGER ALL")
    await conn.execute(f"DELETE FROM system_logs_s{closed}")
    await conn.close()

    assert (await pack(owner_pool, store, closed)).damage == "no rows"


async def test_a_record_of_a_class_of_its_own_is_packed_the_same_way(
    owner_pool, writer_pool, store
):
    old = datetime.now(UTC) - timedelta(days=3)
    async with writer_pool.acquire() as conn:
        await keep(
            conn, make_record(level=4), make_record(level=4, metadata=b'{"body": "a"}'), at=old
        )
        segment = await close(conn, "critical")

    await pack(owner_pool, store, segment)

    row = await row_of(owner_pool, segment)
    assert (row["state"], row["damage"]) == ("packed", None)
    assert row["max_received_at"] == old
