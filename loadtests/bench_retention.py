"""`make bench-retention`: dropping, rolling over and planning with many segments, under load.

    python -m loadtests.bench_retention --load-tool ../shared/tools/otlp_load.py

A fresh opslog takes and seals a segment of 250,000 records; it is cloned to 20,000,000 rows with
all indexes (30 GB on disk) and to 1,000 small segments. While 10,000 records/s come in, segments
are rolled over, and both lots expire. Two readers look all the time, one at a leaf by its name as
opslog does, one through system_logs as people in psql do. Prints each figure beside its limit.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import asyncpg

from config.settings import Settings
from loadtests.cloned_segments import large, small
from loadtests.figures import Figures
from loadtests.many_segments import memory_of_a_connection, planning
from retention.expiry.run import expire
from retention.safety.clock import Now
from retention.segments.runs import Report
from storage.database.pool import DatabaseRole, connect
from tests.support.product import Product

SMALL_ROWS = 200
AGE_DAYS = 31
"""INFO is kept 30."""
STALL_LIMIT_MS = 30
ANSWER_LIMIT_MS = 1000


@dataclass
class Readers:
    """How long readers waited, and how much of that for a lock."""

    waits_s: list[float] = field(default_factory=list)
    locked_s: list[float] = field(default_factory=list)


def main() -> int:
    """Run it; 1 when a limit is passed."""
    wish = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    wish.add_argument("--load-tool", type=Path, required=True)
    wish.add_argument("--rows", type=int, default=20_000_000)
    wish.add_argument("--segments", type=int, default=1000)
    wish.add_argument("--segment-rows", type=int, default=250_000, help="of the large ones")
    wish.add_argument("--seconds", type=int, default=100, help="of load")
    wish.add_argument("--rate", type=int, default=10_000, help="records/s meanwhile")
    chosen = wish.parse_args()
    if not chosen.load_tool.is_file():
        sys.exit(f"{chosen.load_tool} is not there: make bench-retention LOAD_TOOL=path")
    figures = Figures()
    settings = {"OPSLOG_STORAGE__SEGMENT_ROWS": str(chosen.segment_rows)}
    with Product.running(**settings, OPSLOG_API__USER_CONCURRENCY="100") as product:
        source, rows = _first_segment(product, chosen)
        print(f"cloning {chosen.rows // rows} segments of {rows:,} rows …", flush=True)
        # Four days between them, so that they are not merged.
        ages = range(AGE_DAYS + 10, AGE_DAYS + 10 + 4 * chosen.segments, 4)
        many_small = small(product, source, SMALL_ROWS, ages)
        many_large = large(product, source, chosen.rows // rows, AGE_DAYS)
        planning(product, many_small, figures)
        memory_of_a_connection(product, figures)
        asyncio.run(_under_load(product, chosen, figures, many_large[0], many_small[0]))
    return 0 if figures.is_within else 1


def _first_segment(product: Product, chosen: argparse.Namespace) -> tuple[int, int]:
    """A sealed segment of INFO records, and how many they are."""
    count = chosen.segment_rows * 9 // 5
    print(f"sending {count:,} records, and waiting for the first seal …", flush=True)
    _load(product, chosen.load_tool, "--total-records", str(count)).communicate()
    query = "SELECT segment, rows FROM segments WHERE class = 'info' AND finished_at IS NOT NULL"
    found: tuple[int, int] = product.wait(lambda: product.sql(query), 900)[0]
    return found


def _load(product: Product, tool: Path, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(tool), "--url", product.otlp_url, *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def _under_load(
    product: Product,
    chosen: argparse.Namespace,
    figures: Figures,
    large_one: int,
    small_one: int,
) -> None:
    dsn = product.installation.database_dsn()
    owner = await connect(dsn, DatabaseRole.OWNER)
    await asyncio.to_thread(product.sql, "CHECKPOINT")
    before = await _backlog(product)
    load = _load(
        product, chosen.load_tool, "--rate", str(chosen.rate), "--seconds", str(chosen.seconds)
    )
    try:
        await asyncio.to_thread(product.wait, lambda: _rate(product) > chosen.rate / 2, 120)
        async with _watched(dsn, figures, "nothing"):
            await asyncio.sleep(10)
        async with _watched(dsn, figures, "ten roll-overs"):
            for _ in range(10):
                await _roll(owner)
                await asyncio.sleep(0.5)
        lots = (
            ("small segments", await _due(owner, small_one), 30.0),
            ("large segments", await _due(owner, large_one), 6.0),
        )
        for what, at, limit_s in lots:
            async with _watched(dsn, figures, f"dropping {what}"):
                report, took_s = await _expire(dsn, at)
            name = f"{report.segments:,} {what}, {report.rows:,} rows: dropped in"
            figures.say(name, took_s, "s", limit_s)
        figures.say(
            "seal backlog at its end (opslog_seal_backlog_rows)", await _backlog(product), "rows"
        )
    finally:
        said = json.loads(load.communicate()[0])
        await owner.close()
    figures.say("records acknowledged meanwhile", said["records_per_s"], "a second")
    figures.say("an answer to a sender: p99", said["p99_ms"], "ms")
    figures.say("an answer to a sender: longest", said["max_ms"], "ms", ANSWER_LIMIT_MS)
    print(
        f"seal backlog before {before:,} rows; errors {said['errors']}, retries {said['retries']}"
    )


async def _due(owner: "asyncpg.Connection[asyncpg.Record]", segment: int) -> datetime:
    """When a segment of INFO goes, and those that are older with it."""
    at: datetime = await owner.fetchval(
        "SELECT max_received_at + interval '30 days 1 hour' FROM segments WHERE segment = $1",
        segment,
    )
    return at


def _rate(product: Product) -> float:
    query = (
        "SELECT coalesce(sum(rows), 0) FROM log_counts_hourly WHERE hour > now() - interval '2 h'"
    )
    before = product.sql(query)[0][0]
    time.sleep(1)
    return float(product.sql(query)[0][0] - before)


async def _backlog(product: Product) -> int:
    rows = await asyncio.to_thread(
        product.sql, "SELECT coalesce(sum(rows), 0)::bigint FROM segments WHERE state = 'closed'"
    )
    return int(rows[0][0])


async def _roll(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Close the open segment of INFO and have the next one made ahead, as the keeper does."""
    number = await owner.fetchval(
        "SELECT segment FROM segments WHERE class = 'info' AND state = 'open'"
    )
    try:
        await owner.execute("SELECT opslog_roll_segment('info', $1)", number)
        await owner.execute("SELECT opslog_settle_segments()")
        await owner.execute("SELECT opslog_prepare_segment('info')")
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
        print(f"a roll-over did not get its lock, and is tried again later: {error}")


async def _expire(dsn: str, at: datetime) -> tuple[Report, float]:
    """One run at that moment."""

    async def clock(_: object) -> Now:
        return Now(at)

    began = time.monotonic()
    report = await expire(dsn, Settings(), trigger="bench", clock=clock)
    return report, time.monotonic() - began


@asynccontextmanager
async def _watched(dsn: str, figures: Figures, what: str) -> AsyncIterator[None]:
    """Readers, before, during and after what happens in the block."""
    seen, stop = Readers(), asyncio.Event()
    pids: list[int] = []
    tasks = [
        asyncio.create_task(_read(dsn, seen, stop, pids, is_by_parent=False)),
        asyncio.create_task(_read(dsn, seen, stop, pids, is_by_parent=True)),
        asyncio.create_task(_locks(dsn, seen, stop, pids)),
    ]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)
    waits_ms = sorted(wait * 1000 for wait in seen.waits_s)
    during = f"{what}: {len(waits_ms):,} reads,"
    figures.say(f"{during} median", statistics.median(waits_ms), "ms")
    figures.say(f"{what}: longest read, waits for the processor included", waits_ms[-1], "ms")
    figures.say(f"{what}: a reader's longest wait for a lock",
                max(seen.locked_s, default=0) * 1000, "ms", STALL_LIMIT_MS)  # fmt: skip


async def _read(
    dsn: str, seen: Readers, stop: asyncio.Event, pids: list[int], *, is_by_parent: bool
) -> None:
    connection = await connect(dsn, DatabaseRole.READER, name="bench-reader")
    pids.append(connection.get_server_pid())
    leaf = await connection.fetchval(
        "SELECT max(segment) FROM segments WHERE class = 'warn' AND state = 'open'"
    )
    place = f"system_logs WHERE segment = {leaf}" if is_by_parent else f"system_logs_s{leaf}"
    while not stop.is_set():
        began = time.monotonic()
        await connection.fetch(
            f"SELECT id, metadata FROM {place} ORDER BY created_at DESC LIMIT 10"  # noqa: S608 - a number
        )
        seen.waits_s.append(time.monotonic() - began)
        await asyncio.sleep(0.005)
    await connection.close()


async def _locks(dsn: str, seen: Readers, stop: asyncio.Event, pids: list[int]) -> None:
    """Looks every few milliseconds for how long a reader has been waiting for a lock."""
    connection = await asyncpg.connect(dsn)
    while not stop.is_set():
        waited = await connection.fetchval(
            "SELECT max(extract(epoch FROM clock_timestamp() - waitstart))::float8 FROM pg_locks"
            " WHERE NOT granted AND pid = ANY ($1)",
            pids,
        )
        if waited:
            seen.locked_s.append(waited)
        await asyncio.sleep(0.004)
    await connection.close()


if __name__ == "__main__":
    sys.exit(main())
