"""Sealing: what a sealed segment has, and what happens when something comes in between."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from config.settings import StorageSettings
from retention.segments.seal import seal_all
from storage.database.locks import SEAL_SPACE
from storage.record.columns import COPY_COLUMNS
from tests.support.keeping import close, keep, keep_many, no_pause
from tests.support.records import make_record

SETTINGS = StorageSettings()


async def seal(database, settings=SETTINGS, **more):
    """One pass, without waiting for anybody."""
    return await seal_all(database.dsn, settings, pause=no_pause, **more)


async def row_of(pool, segment: int):
    """The catalogue's row."""
    return await pool.fetchrow("SELECT * FROM segments WHERE segment = $1", segment)


async def indexes_of(pool, segment: int) -> set[str]:
    """Names of a leaf's indexes without that of the leaf."""
    rows = await pool.fetch(
        "SELECT indexname FROM pg_indexes WHERE tablename = $1", f"system_logs_s{segment}"
    )
    return {row["indexname"].removeprefix(f"system_logs_s{segment}_") for row in rows}


@pytest.fixture
async def closed(writer_pool) -> int:
    """A closed segment of class info with 120 rows."""
    async with writer_pool.acquire() as conn:
        await keep_many(conn, 120)
        return await close(conn, "info")


async def test_a_closed_segment_gets_every_index_is_frozen_and_proved(database, owner_pool, closed):
    done = await seal(database)

    row = await row_of(owner_pool, closed)
    assert (done.segments, done.rows, done.failed) == (1, 120, 0)
    assert (row["state"], row["rows"], row["damage"]) == ("sealed", 120, None)
    assert row["sealed_at"]
    assert row["finished_at"]
    assert row["disk_bytes"] > 0
    assert len(row["digest"]) == 32
    assert await indexes_of(owner_pool, closed) >= {
        *("created", "trace", "actor", "resource", "correlation", "received"),
        *("id", "module", "action", "stream", "metadata", "trigrams"),
    }
    entry = await owner_pool.fetchrow(
        "SELECT kind, body::jsonb ->> 'root' AS root FROM ledger_in WHERE kind = 'seal'"
    )
    assert entry["root"] == row["digest"].hex()


async def test_the_planner_has_statistics_of_the_columns_that_queries_compare(
    database, owner_pool, closed
):
    """Statistics of metadata would mislead it, and the other columns are not compared."""
    await seal(database)

    known = await owner_pool.fetch(
        "SELECT attname FROM pg_stats WHERE tablename = $1", f"system_logs_s{closed}"
    )
    left_out = set(COPY_COLUMNS) - {row["attname"] for row in known}
    assert left_out == {
        *("batch_id", "position", "ingest_key_id", "tenant", "created_ns", "nonce", "metadata"),
    }


async def test_sealing_again_does_nothing(database, owner_pool, closed):
    await seal(database)
    before = await row_of(owner_pool, closed)

    done = await seal(database)

    assert done.segments == 0
    assert await row_of(owner_pool, closed) == before


async def test_the_planner_prunes_sealed_leaves_by_time_and_level(
    database, owner_pool, reader_pool, writer_pool, closed
):
    await seal(database)

    async def plan(where: str) -> str:
        rows = await reader_pool.fetch(f"EXPLAIN SELECT * FROM system_logs WHERE {where}")
        return "\n".join(row[0] for row in rows)

    leaf = f"system_logs_s{closed}"
    assert leaf in await plan("created_at > now() - interval '1 hour' AND level = 'INFO'")
    assert leaf not in await plan("created_at < '2026-01-01'")
    assert leaf not in await plan("created_at > '2999-01-01'")
    assert leaf not in await plan("level = 'ERROR'")
    assert leaf not in await plan("level IN ('ERROR', 'CRITICAL')")


async def test_words_and_attributes_are_found_by_index(database, owner_pool, closed):
    await seal(database)
    async with owner_pool.acquire() as conn:
        await conn.execute("SET enable_seqscan = off")
        text = "\n".join(
            row[0]
            for row in await conn.fetch(
                f"EXPLAIN SELECT * FROM system_logs_s{closed} WHERE message LIKE '%order 77 of%'"
            )
        )
        assert "_trigrams" in text
        text = "\n".join(
            row[0]
            for row in await conn.fetch(
                f"EXPLAIN SELECT * FROM system_logs_s{closed}"
                ' WHERE metadata @> \'{"attributes": {"n": 77}}\''
            )
        )
        assert "_metadata" in text


async def test_a_class_can_do_without_trigrams(database, owner_pool, writer_pool):
    async with writer_pool.acquire() as conn:
        await keep(conn, make_record(level=0), make_record(level=1))
        debug, info = await close(conn, "debug"), await close(conn, "info")

    await seal(database)

    assert "trigrams" not in await indexes_of(owner_pool, debug)
    assert "trigrams" in await indexes_of(owner_pool, info)


async def test_without_the_extension_everything_else_is_built(
    database, owner_pool, closed, monkeypatch, caplog
):
    async def none(connection):
        return None

    monkeypatch.setattr("retention.segments.seal.trigram_opclass", none)

    await seal(database)

    assert (await row_of(owner_pool, closed))["state"] == "sealed"
    assert "trigrams" not in await indexes_of(owner_pool, closed)
    assert "pg_trgm is not installed" in caplog.text


async def test_a_changed_row_is_found_before_the_seal(database, owner_pool, closed, caplog):
    conn = await asyncpg.connect(database.dsn)  # a superuser can
    await conn.execute(f"ALTER TABLE system_logs_s{closed} DISABLE TRIGGER ALL")
    await conn.execute(
        f"UPDATE system_logs_s{closed} SET message = 'nothing' WHERE message LIKE 'order 7 %'"
    )
    await conn.close()

    await seal(database)

    row = await row_of(owner_pool, closed)
    assert row["state"] == "sealed"
    assert row["damage"].startswith("1 batches changed, for instance ")
    assert "differs from what was received" in caplog.text
    assert await owner_pool.fetchval("SELECT count(*) FROM ledger_in WHERE kind = 'corrupt'") == 1


async def test_rows_taken_away_or_added_are_found(database, owner_pool, closed):
    conn = await asyncpg.connect(database.dsn)
    leaf = f"system_logs_s{closed}"
    await conn.execute(f"ALTER TABLE {leaf} DISABLE TRIGGER ALL")
    batches = [r[0] for r in await conn.fetch(f"SELECT DISTINCT batch_id FROM {leaf} ORDER BY 1")]
    await conn.execute(f"DELETE FROM {leaf} WHERE batch_id = $1", batches[0])
    await conn.execute(f"UPDATE {leaf} SET batch_id = 7 WHERE batch_id = $1", batches[1])
    await conn.close()

    await seal(database)

    damage = (await row_of(owner_pool, closed))["damage"]
    assert (
        damage == f"2 batches missing, for instance {batches[0]}; 1 batches added, for instance 7"
    )


async def test_what_an_old_snapshot_keeps_from_freezing_is_made_up_for(
    database, owner_pool, closed
):
    reader = await asyncpg.connect(database.dsn)
    old = reader.transaction(isolation="repeatable_read")
    await old.start()
    await reader.execute("SELECT count(*) FROM system_logs")
    async with owner_pool.acquire() as conn:  # rows newer than that snapshot
        await keep_many(conn, 60, level=3)
        young = await close(conn, "error")

    await seal(database)
    row = await row_of(owner_pool, young)
    assert (row["state"], row["finished_at"]) == ("sealed", None)

    await old.rollback()
    await reader.close()
    await seal(database)
    assert (await row_of(owner_pool, young))["finished_at"] is not None


async def test_pages_that_were_never_used_do_not_keep_a_segment_unfinished(database, owner_pool):
    """Under load PostgreSQL adds pages in bulk; some stay empty, and no map of pages has them."""
    async with owner_pool.acquire() as conn:
        await keep_many(conn, 60, level=3)
        segment = await close(conn, "error")
    table = f"system_logs_s{segment}"
    admin = await asyncpg.connect(database.dsn)
    home = await admin.fetchval("SELECT current_setting('data_directory')")
    path = await admin.fetchval("SELECT pg_relation_filepath($1::text::regclass)", table)
    await admin.execute("CHECKPOINT")
    with (Path(home) / path).open("ab") as file:
        file.write(bytes(8192 * 5))
    await admin.close()

    await seal(database)

    assert await owner_pool.fetchval(f"SELECT count(*) FROM {table}") == 60
    assert (await row_of(owner_pool, segment))["finished_at"] is not None


async def test_a_reader_of_the_leaf_delays_the_check_and_nobody_waits_for_it(
    database, owner_pool, closed, monkeypatch
):
    monkeypatch.setattr("storage.segments.leaves.asyncio.sleep", _no_sleep)
    reader = await asyncpg.connect(database.dsn)
    holding = reader.transaction()
    await holding.start()
    await reader.execute(f"SELECT count(*) FROM system_logs_s{closed}")

    await seal(database)
    row = await row_of(owner_pool, closed)
    assert (row["state"], row["finished_at"]) == ("sealed", None)

    await holding.rollback()
    await reader.close()
    await seal(database)
    assert (await row_of(owner_pool, closed))["finished_at"] is not None


async def _no_sleep(seconds: float) -> None:
    return None


async def test_two_sealers_share_the_work_and_none_is_done_twice(
    database, owner_pool, writer_pool, closed
):
    conn = await asyncpg.connect(database.dsn)
    await conn.execute("SELECT pg_advisory_lock($1, $2)", SEAL_SPACE, closed)

    assert (await seal(database)).segments == 0

    await conn.close()
    assert (await seal(database)).segments == 1


async def test_an_open_segment_is_left_alone(database, owner_pool, writer_pool):
    async with writer_pool.acquire() as conn:
        await keep_many(conn, 10)

    assert (await seal(database)).segments == 0


async def test_a_record_of_a_class_of_its_own_is_sealed_the_same_way(
    database, owner_pool, writer_pool
):
    old = datetime.now(UTC) - timedelta(days=3)
    async with writer_pool.acquire() as conn:
        await keep(
            conn, make_record(level=4), make_record(level=4, metadata=b'{"body": "a"}'), at=old
        )
        segment = await close(conn, "critical")

    await seal(database)

    row = await row_of(owner_pool, segment)
    assert (row["state"], row["damage"]) == ("sealed", None)
    assert row["max_received_at"] == old
