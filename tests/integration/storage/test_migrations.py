"""Schema migrations: each test covers one requirement of storage/database/migrate.py."""

import asyncio
import dataclasses

import asyncpg
import pytest

from storage.database import migrate
from storage.database.locks import MIGRATION_SPACE
from storage.database.migrate import Migration
from storage.errors import (
    DatabaseUnsupported,
    MigrationFailed,
    SchemaBehind,
    SchemaEdited,
    SchemaNewer,
)
from tests.support.databases import Database, statement

SMALL = (
    Migration(1, "0001_one", "CREATE TABLE one (a int);"),
    Migration(2, "0002_two", "CREATE TABLE two (a int);"),
)


@pytest.fixture
async def conn(empty_database: Database):
    """The login's connection to an empty database."""
    connection = await asyncpg.connect(empty_database.dsn)
    yield connection
    await connection.close()


async def tables(conn) -> set[str]:
    """Names of the tables in the schema, without leaves."""
    rows = await conn.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p') AND NOT relispartition"
    )
    return {row["relname"] for row in rows}


async def test_an_empty_database_gets_every_migration_once(conn) -> None:
    first = await migrate.up(conn)
    second = await migrate.up(conn)

    assert [m.number for m in first.migrations] == [m.number for m in migrate.bundled()]
    assert second.migrations == ()
    assert first.findings == second.findings == ()
    assert (await migrate.status(conn)).is_current


async def test_numbers_of_bundled_files_are_consecutive() -> None:
    assert [m.number for m in migrate.bundled()] == list(range(1, len(migrate.bundled()) + 1))


async def test_what_was_applied_is_recorded_with_its_hash(conn) -> None:
    await migrate.up(conn)

    applied = (await migrate.status(conn)).applied

    assert [a.sha256 for a in applied] == [m.sha256 for m in migrate.bundled()]
    assert await conn.fetchval("SELECT DISTINCT applied_by FROM schema_migrations") == "opslog"


async def test_a_dry_run_lists_pending_migrations_and_changes_nothing(conn) -> None:
    report = await migrate.up(conn, dry_run=True)

    assert report.migrations == migrate.bundled()
    assert await tables(conn) == set()


async def test_a_process_that_does_not_migrate_rejects_an_old_schema(conn) -> None:
    with pytest.raises(SchemaBehind, match=r"0001_records.*opslog migrate up"):
        await migrate.require_current(conn)

    await migrate.up(conn)

    await migrate.require_current(conn)


async def test_a_newer_schema_is_rejected_with_advice(conn) -> None:
    await migrate.up(conn, known=SMALL)

    with pytest.raises(SchemaNewer, match=r"0002_two.*only has up to 1.*install the opslog that"):
        await migrate.up(conn, known=SMALL[:1])


async def test_an_edited_file_is_rejected_with_advice(conn) -> None:
    await migrate.up(conn, known=SMALL)
    edited = dataclasses.replace(SMALL[0], sql=SMALL[0].sql + " -- better")

    with pytest.raises(SchemaEdited, match=r"0001_one.*restore the original file"):
        await migrate.up(conn, known=(edited, SMALL[1]))


async def test_a_failed_file_is_rolled_back_and_can_be_retried(conn) -> None:
    broken = Migration(2, "0002_two", "CREATE TABLE two (a int); SELECT 1 / 0;")

    with pytest.raises(MigrationFailed, match=r"0002_two failed and was rolled back \(22012"):
        await migrate.up(conn, known=(SMALL[0], broken))
    assert await tables(conn) == {"one", "schema_migrations"}

    report = await migrate.up(conn, known=SMALL)
    assert report.migrations == SMALL[1:]


async def test_a_migration_whose_session_is_killed_is_resumed(conn, empty_database) -> None:
    slow = Migration(2, "0002_two", "CREATE TABLE two (a int); SELECT pg_sleep(60);")
    victim = asyncio.create_task(migrate.up(conn, known=(SMALL[0], slow)))
    async with asyncio.timeout(30):
        await _kill_sleeper(empty_database.dsn)

    with pytest.raises(MigrationFailed, match="connection was lost during migration 0002_two"):
        await victim

    again = await asyncpg.connect(empty_database.dsn)
    try:
        assert await tables(again) == {"one", "schema_migrations"}
        await migrate.up(again, known=SMALL)
        assert await tables(again) == {"one", "two", "schema_migrations"}
    finally:
        await again.close()


async def _kill_sleeper(dsn: str) -> None:
    """End the session that sleeps inside its migration, as a crash would."""
    other = await asyncpg.connect(dsn)
    try:
        while not await other.fetchval(
            "SELECT bool_or(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event = 'PgSleep'"
        ):
            await asyncio.sleep(0.01)
    finally:
        await other.close()


async def test_a_file_outside_a_transaction_runs_statement_by_statement(conn) -> None:
    index = Migration(
        2,
        "0002_index",
        "-- no-transaction\n"
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS one_a ON one (a);\n"
        "-- next\n"
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS one_b ON one (a, a);\n",
    )

    await migrate.up(conn, known=(SMALL[0], index))

    assert (
        await conn.fetchval("SELECT count(*) FROM pg_index WHERE indrelid = 'one'::regclass") == 2
    )


async def test_a_file_outside_a_transaction_reports_that_it_is_partly_applied(conn) -> None:
    sql = "-- no-transaction\nCREATE TABLE IF NOT EXISTS two (a int);\n-- next\nSELECT 1 / 0;\n"
    half = Migration(2, "0002_two", sql)

    with pytest.raises(MigrationFailed, match="failed and is partly applied"):
        await migrate.up(conn, known=(SMALL[0], half))

    assert [a.number for a in (await migrate.status(conn, SMALL)).applied] == [1]


async def test_several_processes_at_once_apply_each_file_once(empty_database) -> None:
    conns = [await asyncpg.connect(empty_database.dsn) for _ in range(4)]

    reports = await asyncio.gather(*(migrate.up(conn) for conn in conns))

    assert sorted(len(report.migrations) for report in reports) == [0, 0, 0, len(migrate.bundled())]
    for conn in conns:
        await conn.close()


async def test_a_held_lock_is_reported_after_a_short_wait(
    conn, empty_database, monkeypatch
) -> None:
    await migrate.up(conn, known=SMALL[:1])
    holder = await asyncpg.connect(empty_database.dsn)
    await holder.execute("BEGIN; LOCK TABLE one IN ACCESS EXCLUSIVE MODE")
    blocked = Migration(2, "0002_two", "ALTER TABLE one ADD b int;")
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT_S", 1)

    with pytest.raises(MigrationFailed, match=r"0002_two timed out after 1 s waiting for a lock"):
        await migrate.up(conn, known=(SMALL[0], blocked))

    await holder.close()
    await migrate.up(conn, known=(SMALL[0], blocked))


async def test_a_migration_lock_timeout_is_reported(conn, empty_database, monkeypatch) -> None:
    holder = await asyncpg.connect(empty_database.dsn)
    await holder.execute("SELECT pg_advisory_lock($1, 0)", MIGRATION_SPACE)
    monkeypatch.setattr(migrate, "MIGRATION_LOCK_TIMEOUT_S", 1)

    with pytest.raises(MigrationFailed, match="another process has been migrating"):
        await migrate.up(conn)

    await holder.close()


async def test_the_connection_is_returned_unchanged(conn) -> None:
    await migrate.up(conn)

    assert await conn.fetchval("SELECT current_user") == "opslog"
    assert await conn.fetchval("SHOW lock_timeout") == "0"
    assert await conn.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0


async def test_a_transaction_of_the_caller_is_rejected(conn) -> None:
    async with conn.transaction():
        with pytest.raises(MigrationFailed, match="not in a transaction"):
            await migrate.up(conn)


async def test_another_encoding_is_rejected_with_advice(postgres) -> None:
    await statement(
        postgres.dsn,
        "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0",
    )
    conn = await asyncpg.connect(postgres.dsn, database="latin")
    try:
        with pytest.raises(DatabaseUnsupported, match=r"LATIN1.*needs UTF8.*CREATE DATABASE"):
            await migrate.up(conn)
    finally:
        await conn.close()
        await statement(postgres.dsn, "DROP DATABASE latin")
