"""`make bench-retention`: dropping, rolling over and planning with many segments, under load.

    python -m loadtests.bench_retention --load-tool ../shared/tools/otlp_load.py

A fresh opslog receives and packs a segment of 250,000 records; it is cloned to 20,000,000 rows (1.5 GB on
disk), and the pack of a quiet class to 1,000 small ones. While 10,000 records/s arrive, segments are rolled
over, and both groups expire. Two readers run continuously, one on a leaf by name like opslog, one through
system_logs like manual SQL. Prints each measurement with its limit.
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
from loadtests.cloned_segments import clones
from loadtests.many_segments import memory_of_a_connection, planning
from loadtests.measurements import Measurements
from retention.expiry.run import expire
from retention.safety.clock import Now
from retention.segments.runs import Report
from storage.database.pool import DatabaseRole, connect
from tests.support.product import Product

AGE_DAYS = 31
"""INFO is kept 30."""
STALL_LIMIT_MS = 30
RESPONSE_LIMIT_MS = 1000


@dataclass
class Readers:
    """Read latencies, and waits for a lock."""

    waits_s: list[float] = field(default_factory=list)
    locked_s: list[float] = field(default_factory=list)


def main() -> int:
    """Run the benchmark; return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--load-tool", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--segments", type=int, default=1000)
    parser.add_argument("--segment-rows", type=int, default=250_000, help="of the large ones")
    parser.add_argument("--seconds", type=int, default=100, help="of load")
    parser.add_argument("--rate", type=int, default=10_000, help="records/s meanwhile")
    chosen = parser.parse_args()
    if not chosen.load_tool.is_file():
        sys.exit(f"{chosen.load_tool} is not there: make bench-retention LOAD_TOOL=path")
    measurements = Measurements()
    settings = {"OPSLOG_STORAGE__SEGMENT_ROWS": str(chosen.segment_rows)}
    with Product.running(**settings, OPSLOG_API__USER_CONCURRENCY="100") as product:
        source, rows = _first_segment(product, chosen)
        print(f"cloning {chosen.rows // rows} segments of {rows:,} rows …", flush=True)
        # Four days apart, so that they are not merged.
        first = (AGE_DAYS + 10) * 24
        ages = range(first, first + 4 * 24 * chosen.segments, 4 * 24)
        many_small = clones(product, _small_segment(product), ages)
        many_large = clones(product, source, [AGE_DAYS * 24] * (chosen.rows // rows))
        planning(product, many_small, measurements)
        memory_of_a_connection(product, measurements)
        asyncio.run(_under_load(product, chosen, measurements, many_large[0], many_small[0]))
    return 0 if measurements.is_within else 1


def _first_segment(product: Product, chosen: argparse.Namespace) -> tuple[int, int]:
    """Create a packed segment of INFO records; return its number and rows."""
    count = chosen.segment_rows * 9 // 5
    print(f"sending {count:,} records, and waiting for the first pack …", flush=True)
    _load(product, chosen.load_tool, "--total-records", str(count)).communicate()
    query = "SELECT segment, rows FROM segments WHERE class = 'info' AND leaf_dropped"
    found: tuple[int, int] = product.wait(lambda: product.sql(query), 900)[0]
    return found


def _small_segment(product: Product) -> int:
    """Pack what has arrived since as a small segment of INFO records; return its number."""
    number = product.sql("SELECT segment FROM segments WHERE class = 'info' AND state = 'open'")
    segment = int(number[0][0])
    product.sql(f"SELECT opslog_roll_segment('info', {segment:d})")
    product.sql("SELECT opslog_settle_segments()")
    query = f"SELECT segment FROM segments WHERE segment = {segment:d} AND leaf_dropped"  # noqa: S608 - an integer
    found: int = product.wait(lambda: product.sql(query), 300)[0][0]
    return found


def _load(product: Product, tool: Path, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(tool), "--url", product.otlp_url, *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def _under_load(
    product: Product,
    chosen: argparse.Namespace,
    measurements: Measurements,
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
        async with _watched(dsn, measurements, "idle"):
            await asyncio.sleep(10)
        async with _watched(dsn, measurements, "ten rollovers"):
            for _ in range(10):
                await _roll(owner)
                await asyncio.sleep(0.5)
        lots = (
            ("small packs", await _due(owner, small_one), 5.0),
            ("large packs", await _due(owner, large_one), 2.0),
        )
        for what, at, limit_s in lots:
            async with _watched(dsn, measurements, f"dropping {what}"):
                report, took_s = await _expire(dsn, at)
            name = f"{report.segments:,} {what}, {report.rows:,} rows: dropped in"
            measurements.report(name, took_s, "s", limit_s)
        measurements.report(
            "backlog of packing at its end (opslog_pack_backlog_rows)",
            await _backlog(product),
            "rows",
        )
    finally:
        result = json.loads(load.communicate()[0])
        await owner.close()
    measurements.report("records acknowledged meanwhile", result["records_per_s"], "a second")
    measurements.report("response to a sender: p99", result["p99_ms"], "ms")
    measurements.report("response to a sender: maximum", result["max_ms"], "ms", RESPONSE_LIMIT_MS)
    print(
        f"backlog of packing before {before:,} rows; errors {result['errors']}, retries {result['retries']}"
    )


async def _due(owner: "asyncpg.Connection[asyncpg.Record]", segment: int) -> datetime:
    """Return when a segment of INFO expires, together with all older ones."""
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
    """Roll over the segment of INFO and create the next one ahead, like the writer processes."""
    number = await owner.fetchval(
        "SELECT segment FROM segments WHERE class = 'info' AND state = 'open'"
    )
    try:
        await owner.execute("SELECT opslog_roll_segment('info', $1)", number)
        await owner.execute("SELECT opslog_settle_segments()")
        await owner.execute("SELECT opslog_prepare_segment('info')")
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
        print(f"a rollover did not get its lock and is retried later: {error}")


async def _expire(dsn: str, at: datetime) -> tuple[Report, float]:
    """Run expiry at that time."""

    async def clock(_: object) -> Now:
        return Now(at)

    began = time.monotonic()
    report = await expire(dsn, Settings(), trigger="bench", clock=clock)
    return report, time.monotonic() - began


@asynccontextmanager
async def _watched(dsn: str, measurements: Measurements, what: str) -> AsyncIterator[None]:
    """Measure readers while the block runs."""
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
    measurements.report(f"{during} median", statistics.median(waits_ms), "ms")
    measurements.report(f"{what}: longest read, including waits for the CPU", waits_ms[-1], "ms")
    measurements.report(f"{what}: a reader's longest wait for a lock",
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
    """Sample every few milliseconds how long a reader has been waiting for a lock."""
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
