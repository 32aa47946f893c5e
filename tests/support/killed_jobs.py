"""Jobs of retention in a real process that is killed at a failpoint, and what must hold afterwards.

await killed_at(database, "pack", "pack.before_rename")
…                                              # the next run
await tidy(pool)
await proved(database)
"""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg

from storage.ledger.accounting.balance import balance
from storage.ledger.export import verify
from storage.ledger.sequencer import Sequencer
from storage.ledger.tree.heads import Heads
from storage.ledger.tree.keys import FILE, EvidenceKeys
from storage.ledger.tree.notes import public_bytes, verifier_key
from storage.packs.index.bloom import NAME
from tests.integration.retention.test_expiry import leaves
from tests.support.evidence import QUICK, write_key
from tests.support.packing import PACKS, packs, stored
from tests.support.product import _die_with_us
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]

WORK = {
    "pack": "pack_all(dsn, Settings(), yields=False)",
    "expire": "expire(dsn, Settings(), trigger='test')",
    "merge": "merge_all(dsn, SMALL, trigger='test')",
    "purge": "run_confirmed_purges(dsn, Settings())",
    "unpack": "unpack_all(dsn)",
}
PROGRAM = """
import asyncio, os, sys
from config.settings import Settings
from retention.packing.run import pack_all
from retention.packing.unpack import unpack
from retention.expiry.run import expire
from retention.segments.merge import merge_all
from retention.purging.execution import run_confirmed_purges
from storage import failpoints
from storage.database.pool import DatabaseRole, connect
from storage.packs.store import store_at
from tests.integration.retention.test_merge import SMALL

async def unpack_all(dsn):
    connection = await connect(dsn, DatabaseRole.OWNER, name="opslog-packer")
    for row in await connection.fetch("SELECT segment FROM segments WHERE state = 'packed'"):
        await unpack(connection, store_at(Settings().packs_dir), row["segment"], by="test")
    await connection.close()

dsn = sys.argv[1]
failpoints.configure(sys.argv[3])
asyncio.run(eval(sys.argv[2]))
"""
JOBS = ("opslog-packer", "opslog-retention", "opslog-merger")
"""Names of their sessions."""


def begin(database, work: str, failpoint: str) -> subprocess.Popen:
    """A process that does the work until the failpoint."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, database.dsn, WORK[work], failpoint],
        cwd=Path.cwd(),  # that has the packs
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=_die_with_us,  # noqa: PLW1509 - one prctl, nothing that locks
    )


async def killed_at(database, work: str, place: str) -> None:
    """Run the work in a process that is killed there."""
    process = begin(database, work, f"{place}=kill")
    assert await asyncio.to_thread(process.wait, 60) == -signal.SIGKILL
    await gone(database)


async def gone(database) -> None:
    """Wait until the server has noticed: only we are connected."""
    conn = await asyncpg.connect(database.dsn)

    async def is_alone() -> bool:
        return not await conn.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = ANY ($1)",
            JOBS,
        )

    await until(is_alone)
    await conn.close()


async def count(pool) -> tuple[int, int]:
    """Rows, and rows that differ."""
    rows = await stored(pool, "batch_id", "position")
    return len(rows), len(set(rows))


async def tidy(pool) -> None:
    """Every leaf and every file belongs to a live segment that needs it; the counters are exact."""
    live = await pool.fetch("SELECT * FROM segments WHERE state <> 'dropped'")
    assert await leaves(pool) == {row["segment"] for row in live if not row["leaf_dropped"]}
    files = [path for path in PACKS.glob("*/*") if path.name != NAME]
    expected = {row["segment"] for row in live if row["packed_at"]}
    assert sorted(path.name for path in files) == sorted(
        f"{segment}.{ending}" for segment in expected for ending in ("parquet", "idx")
    )
    assert {file.segment for file in (packs().files() if files else ())} == expected
    attached = await pool.fetch(
        "SELECT replace(inhrelid::regclass::text, 'system_logs_s', '')::int AS n FROM pg_inherits"
        " WHERE inhparent = 'system_logs'::regclass"
    )
    assert {row["n"] for row in attached} == await leaves(pool)
    rows, _ = await count(pool)
    assert await pool.fetchval("SELECT coalesce(sum(rows), 0) FROM log_counts") == rows
    assert await pool.fetchval("SELECT coalesce(sum(rows), 0) FROM ingest_parts") == rows


async def proved(database) -> None:
    """The counters balance, and `opslog verify` finds nothing changed, added or missing."""
    folder = Path("evidence")
    if not (folder / FILE).exists():
        write_key(folder)
    keys, heads = EvidenceKeys(folder), Heads(folder / "heads")
    conn = await asyncpg.connect(database.dsn)
    task = asyncio.create_task(Sequencer(database.dsn, keys, heads, QUICK).run())
    try:
        await until(lambda: _is_signed(conn, heads))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    origin = await conn.fetchval("SELECT body::jsonb ->> 'origin' FROM ledger WHERE seq = 0")
    key = verifier_key(origin, public_bytes(keys.current()))
    assert (await balance(conn, None, packs())).differences == []
    for quick in (True, False):
        assert (
            await verify(conn, folder / "heads", key, store=packs(), quick=quick)
        ).findings == []
    await conn.close()


async def _is_signed(conn, heads) -> bool:
    entries = await conn.fetchval("SELECT count(*) FROM ledger")
    newest = heads.newest()
    waits = await conn.fetchval("SELECT count(*) FROM ledger_in")
    return bool(entries and not waits and newest and newest.size == entries)
