"""Upgrade: a database with records of an older opslog is migrated and used."""

import contextlib

import asyncpg
import pytest

from storage.database import migrate
from storage.database.pool import DatabaseRole, connect
from tests.integration.retention.test_expiry import ago, run
from tests.support.keeping import close, keep_many
from tests.support.packing import count, pack
from tests.support.read_back import read_back
from tests.support.stored_rows import store


@pytest.mark.parametrize("oldest", [2, 3])
async def test_records_of_an_older_release_stay_and_expire_by_rule(empty_database, oldest: int):
    """Written by the schema of that release, read, packed and dropped by this one."""
    known = tuple(step for step in migrate.bundled() if step.number <= oldest)
    conn = await asyncpg.connect(empty_database.dsn)
    # That release had grants of its own; today's name tables that are not there yet.
    with contextlib.suppress(asyncpg.UndefinedTableError):
        await migrate.up(conn, known=known)
    for class_name, days in (("debug", 8), ("info", 8)):
        segment = await store(conn, class_name, 40, received_at=ago(days=days))
        await conn.execute("SELECT opslog_roll_segment($1, $2)", class_name, segment)
    await conn.execute("SELECT opslog_settle_segments()")

    report = await migrate.up(conn)
    again = await migrate.up(conn)
    await conn.close()

    assert [step.number for step in report.migrations] == [
        step.number for step in migrate.bundled() if step.number > oldest
    ]
    assert again.migrations == ()
    assert (await run(empty_database)).segments == 1
    owner = await connect(empty_database.dsn, DatabaseRole.OWNER)
    assert await owner.fetchval("SELECT count(*) FROM system_logs") == 40
    await keep_many(owner, 20, level=3)
    await close(owner, "error")
    await true_digests(owner)
    await owner.execute("UPDATE segments SET state = 'sealed' WHERE class = 'info'")
    assert (await pack(empty_database)).segments == 2
    assert await count(owner) == 60
    await owner.close()


async def true_digests(conn) -> None:
    """The hashes of the old rows are made up (stored_rows.py)."""
    for row in await conn.fetch("SELECT segment, class FROM segments WHERE state = 'closed'"):
        for batch_id, part in (await read_back(conn, row["segment"])).items():
            await conn.execute(
                "UPDATE ingest_parts SET digest = $1 WHERE batch_id = $2 AND segment = $3",
                part.digest(row["class"]),
                batch_id,
                row["segment"],
            )


async def test_an_interrupted_upgrade_continues(empty_database):
    """The retention migration fails half way: it is rolled back, and the next attempt succeeds."""
    good = migrate.bundled()
    broken = migrate.Migration(good[-1].number, good[-1].name, good[-1].sql + "\nSELECT 1 / 0;")
    conn = await asyncpg.connect(empty_database.dsn)
    with pytest.raises(migrate.MigrationFailed):
        await migrate.up(conn, known=(*good[:-1], broken))
    assert await conn.fetchval("SELECT max(number) FROM schema_migrations") == good[-2].number

    await migrate.up(conn)

    assert (await migrate.status(conn)).is_current
    await conn.close()
