"""Upgrade: a database with records of an older opslog is migrated and used."""

import contextlib

import asyncpg
import pytest

from storage.database import migrate
from storage.database.pool import DatabaseRole, connect
from storage.errors import SchemaNewer
from tests.integration.retention.test_expiry import ago, closed, leaves, run
from tests.support.keeping import close, keep_many
from tests.support.packing import count, pack, stored
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


BEFORE_PACKS = tuple(step for step in migrate.bundled() if step.number <= 6)
"""The migrations of the last release that sealed segments."""


async def test_segments_of_every_state_are_upgraded_and_packed(empty_database):
    """Open, closed, sealed, and sealed with held rows carried over."""
    conn = await asyncpg.connect(empty_database.dsn)
    with contextlib.suppress(asyncpg.UndefinedTableError):
        await migrate.up(conn, known=BEFORE_PACKS)
    segments = {}
    for class_name in ("debug", "info", "warn", "error"):
        segments[class_name] = await store(conn, class_name, 40, received_at=ago(days=1))
        if class_name != "error":
            await conn.execute(
                "SELECT opslog_roll_segment($1, $2)", class_name, segments[class_name]
            )
    await conn.execute("SELECT opslog_settle_segments()")
    await conn.execute(
        "UPDATE segments SET state = 'sealed', sealed_at = now(), finished_at = now(), seal_ms = 7,"
        " is_hold = class = 'warn' WHERE class IN ('info', 'warn') AND state = 'closed'"
    )

    await migrate.up(conn)
    await conn.close()

    owner = await connect(empty_database.dsn, DatabaseRole.OWNER)
    before = await stored(owner, "batch_id", "position", "message")
    await true_digests(owner)
    assert (await pack(empty_database)).segments == 3
    rows = await owner.fetch("SELECT * FROM segments WHERE segment = ANY ($1)", segments.values())
    found = {row["class"]: row for row in rows}
    assert {name: row["state"] for name, row in found.items()} == {
        **dict.fromkeys(("debug", "info", "warn"), "packed"),
        "error": "open",
    }
    assert [name for name, row in found.items() if row["is_hold"]] == ["warn"]
    assert len(before) == 160
    assert await stored(owner, "batch_id", "position", "message") == before
    assert await leaves(owner) >= {segments["error"]}
    assert not await leaves(owner) & {segments[name] for name in ("debug", "info", "warn")}
    await keep_many(owner, 20, level=3)
    assert await count(owner) == 180
    await owner.close()


async def test_the_release_before_refuses_a_database_with_packs(database, owner_pool, writer_pool):
    await closed(writer_pool, at=ago(days=1))
    await pack(database)
    async with owner_pool.acquire() as conn:
        for work in (migrate.status(conn, BEFORE_PACKS), migrate.up(conn, known=BEFORE_PACKS)):
            with pytest.raises(SchemaNewer, match=r"0007_.* install the opslog that migrated it"):
                await work


async def true_digests(conn) -> None:
    """The hashes of the old rows are made up (stored_rows.py)."""
    for row in await conn.fetch(
        "SELECT segment, class FROM segments WHERE state IN ('closed', 'sealed')"
    ):
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
