"""Backup and restore as in docs/operations.md, with the server's tools."""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import asyncpg
import pytest

from opslog.embedded.programs import postgres_programs
from opslog.system.processes import account_for
from retention.packing.pack import differences
from storage.database.pool import DatabaseRole, connect
from tests.support.databases import migrated
from tests.support.keeping import close, keep_many
from tests.support.packing import count, digests, pack
from tests.support.read_back import read_back
from tests.support.servers import postgres_server
from tests.support.waiting import until

TOOLS = postgres_programs() / "bin"


def tool(name: str, *arguments: object) -> str:
    """One of PostgreSQL's programs, as the servers' account."""
    account = account_for("")
    who = {} if account is None else {
        "user": account.uid, "group": account.gid, "extra_groups": [],
    }  # fmt: skip
    done = subprocess.run(
        [str(TOOLS / name), *map(str, arguments)],
        env={**os.environ, "PGPASSWORD": "test"},
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        **who,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def fetch_value(dsn: str, query: str):
    """One value."""
    conn = await asyncpg.connect(dsn)
    try:
        return await conn.fetchval(query)
    finally:
        await conn.close()


async def put(dsn: str, rows: int) -> None:
    """Records, as the writer stores them."""
    conn = await connect(dsn, DatabaseRole.OWNER)
    await keep_many(conn, rows)
    await conn.close()


async def is_whole(dsn: str) -> bool:
    """Check that every segment equals what was received."""
    conn = await connect(dsn, DatabaseRole.OWNER)
    try:
        for row in await conn.fetch(
            "SELECT segment, class, state FROM segments WHERE state NOT IN ('ready', 'dropped')"
        ):
            parts = await conn.fetch(
                "SELECT batch_id, digest FROM ingest_parts WHERE segment = $1", row["segment"]
            )
            if row["state"] == "packed":
                found = await digests(conn, row["segment"])
            else:
                read = await read_back(conn, row["segment"])
                found = {batch: part.digest(row["class"]) for batch, part in read.items()}
            if differences(dict(map(tuple, parts)), found):
                return False
        return True
    finally:
        await conn.close()


def socket_of(dsn: str) -> str:
    """The folder of its socket."""
    return dsn.partition("host=")[2]


@pytest.fixture
def shelf(tmp_path):
    """A folder that the servers' account may write to."""
    base = Path(f"/tmp/opslog-test-shelf-{os.getpid()}")
    base.mkdir()
    base.chmod(0o777)
    yield base
    shutil.rmtree(base, ignore_errors=True)


@pytest.mark.slow
async def test_a_base_backup_and_the_archive_give_any_point_in_time(shelf):
    archive = shelf / "archive"
    archive.mkdir()
    archive.chmod(0o777)
    archiving = {
        "wal_level": "replica",
        "max_wal_senders": "4",
        "archive_mode": "on",
        # Moved when it is whole: a restore must never find half a file.
        "archive_command": f"cp %p {archive}/.%f && mv {archive}/.%f {archive}/%f",
    }
    with postgres_server(durable=True, extra=archiving) as source:
        data = source.server.home / "data"
        with (data / "pg_hba.conf").open("a") as file:
            file.write("local replication all scram-sha-256\n")
        await fetch_value(source.dsn, "SELECT pg_reload_conf()")
        await migrated(source.dsn)
        await put(source.dsn, 100)
        tool(
            *("pg_basebackup", "-h", socket_of(source.dsn), "-U", "opslog"),
            *("-D", shelf / "base", "-X", "stream", "-c", "fast"),
        )
        tool("pg_verifybackup", shelf / "base")
        await put(source.dsn, 50)
        moment = await fetch_value(source.dsn, "SELECT clock_timestamp()::text")
        await asyncio.sleep(0.05)
        await put(source.dsn, 25)  # the mistake
        last = await fetch_value(source.dsn, "SELECT pg_walfile_name(pg_switch_wal())")
        await until((archive / last).exists)

    with postgres_server(durable=True) as restored:
        restored.stop()
        data = restored.server.home / "data"
        shutil.rmtree(data)
        shutil.copytree(shelf / "base", data)
        (data / "recovery.signal").touch()
        _give_away(data)
        restored.server._extra = {
            **{name: archiving[name] for name in ("wal_level", "max_wal_senders")},
            "restore_command": f"cp {archive}/%f %p",
            "recovery_target_time": moment,
            "recovery_target_action": "promote",
            "max_connections": "60",
            "max_locks_per_transaction": "256",
        }
        restored.start()

        await until(lambda: _is_primary(restored.dsn), within_s=60)
        assert await fetch_value(restored.dsn, "SELECT count(*) FROM system_logs") == 150
        assert await is_whole(restored.dsn)
        await put(restored.dsn, 10)  # it takes records again
        assert await fetch_value(restored.dsn, "SELECT count(*) FROM system_logs") == 160


async def _is_primary(dsn: str) -> bool:
    return not await fetch_value(dsn, "SELECT pg_is_in_recovery()")


def _give_away(folder: Path) -> None:
    account = account_for("")
    if account is None:
        return
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, account.uid, account.gid)


@pytest.mark.slow
async def test_a_dump_restores_every_record_to_the_byte(
    database, empty_database, writer_pool, shelf
):
    async with writer_pool.acquire() as conn:
        await keep_many(conn, 120)
        await close(conn, "info")
        await keep_many(conn, 30, level=3)
    await pack(database)
    host, copy = socket_of(database.dsn), empty_database
    tool("pg_dump", "-h", host, "-U", "opslog", "-Fc", "-f", shelf / "dump", database.name)

    tool("pg_restore", "-h", host, "-U", "opslog", "-d", copy.name, shelf / "dump")

    assert await rows_of(copy.dsn) == 150
    assert await is_whole(copy.dsn)
    await migrated(copy.dsn)
    await put(copy.dsn, 10)
    assert await rows_of(copy.dsn) == 160


async def rows_of(dsn: str) -> int:
    """How many records are stored; the folder of the packs was copied as well."""
    conn = await connect(dsn, DatabaseRole.OWNER)
    try:
        return await count(conn)
    finally:
        await conn.close()
