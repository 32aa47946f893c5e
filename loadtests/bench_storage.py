"""`make bench-storage`: bytes a row by heap and index, CPU of sealing, time of dropping.

    python -m loadtests.bench_storage --load-tool ../shared/tools/otlp_load.py --rows 300000

A fresh opslog takes the load tool's records; then its segments are rolled over and sealed here, so
that the server's CPU can be read from its process. Afterwards many small segments are made and
expired while records come in.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from pathlib import Path

import asyncpg

from config.settings import Settings, StorageSettings
from retention.run import expire
from retention.seal import finish, seal_segment
from storage.leaves import TRIGRAMS, build_index, current_xid, trigram_opclass
from storage.locks import SEAL_SPACE
from storage.pool import DatabaseRole, connect
from tests.support.product import Product

LIMITS = {"open": 720, "sealed as shipped": 950, "sealed with everything": 1100}
"""Bytes a row; issue 6."""
CPU_LIMIT_US = 33
SIZES = """
SELECT c.relname, CASE WHEN c.relkind = 'i' THEN pg_relation_size(c.oid)
                       ELSE pg_table_size(c.oid) END AS bytes
  FROM pg_class AS c
 WHERE c.relname ~ ('^system_logs_s' || $1::text || '(_|$)') AND c.relkind IN ('r', 'i')
"""


def main() -> int:
    """Run it; 1 when a limit is passed."""
    wish = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    wish.add_argument("--load-tool", type=Path, required=True)
    wish.add_argument("--rows", type=int, default=300_000)
    wish.add_argument("--segments", type=int, default=1000, help="small ones to be dropped")
    chosen = wish.parse_args()
    if not chosen.load_tool.is_file():
        sys.exit(f"{chosen.load_tool} is not there: make bench-storage LOAD_TOOL=path")
    # Nothing rolls over by itself, so that everything is measured in both states.
    with Product.running(
        OPSLOG_STORAGE__SEGMENT_ROWS="100000000", OPSLOG_STORAGE__SEGMENT_BYTES="100GiB"
    ) as product:
        print(f"sending {chosen.rows:,} records …", flush=True)
        _send(product, chosen.load_tool, chosen.rows)
        return asyncio.run(_measure(product, chosen.segments))


def _send(product: Product, tool: Path, rows: int) -> None:
    done = subprocess.run(
        [sys.executable, str(tool), "--url", product.otlp_url, "--total-records", str(rows)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"the load tool failed:\n{done.stderr[-2000:]}")
    product.wait(
        lambda: product.sql("SELECT count(*) FROM system_logs WHERE kind = 'l'")[0][0] >= rows, 300
    )


async def _measure(product: Product, many: int) -> int:
    dsn = product.installation.database_dsn()
    guard = await asyncpg.connect(dsn)  # keeps the product's own worker away from these segments
    owner = await connect(dsn, DatabaseRole.OWNER)
    filled = await guard.fetch(
        "SELECT s.segment, s.class, c.rows::bigint AS rows FROM segments AS s CROSS JOIN LATERAL"
        " (SELECT sum(rows) AS rows FROM log_counts_hourly AS h WHERE h.segment = s.segment) AS c"
        " WHERE s.state = 'open' AND c.rows > 0 AND s.class <> 'audit' ORDER BY 1"
    )
    sums: dict[str, dict[str, int]] = {state: {} for state in LIMITS}
    rows = sum(row["rows"] for row in filled)
    for row in filled:
        await guard.execute("SELECT pg_advisory_lock($1, $2)", SEAL_SPACE, row["segment"])
        await guard.execute("VACUUM")
        _add(sums["open"], await _sizes(guard, row["segment"]))
        await guard.execute("SELECT opslog_roll_segment($1, $2)", row["class"], row["segment"])
    await guard.execute("SELECT opslog_settle_segments()")
    cpu_us, wall_s = await _seal(owner, filled)
    for row in filled:
        _add(sums["sealed as shipped"], await _sizes(guard, row["segment"]))
    everything_us = await _index_the_rest(owner, filled)
    for row in filled:
        _add(sums["sealed with everything"], await _sizes(guard, row["segment"]))
    is_within = _report(sums, rows)
    print(
        f"\nsealing as shipped      {cpu_us / rows:.1f} us of database CPU a row, {wall_s / rows * 1e6:.1f} us wall"
    )
    print(
        f"… with every index      {(cpu_us + everything_us) / rows:.1f} us (limit {CPU_LIMIT_US})"
    )
    await guard.execute("SELECT pg_advisory_unlock_all()")
    await _drop_many(product, owner, dsn, many)
    await owner.close()
    await guard.close()
    return 0 if is_within and (cpu_us + everything_us) / rows <= CPU_LIMIT_US else 1


async def _seal(owner: asyncpg.Connection, filled: list[asyncpg.Record]) -> tuple[float, float]:
    await owner.execute(
        "SET maintenance_work_mem = '256MB'; SET max_parallel_maintenance_workers = 0"
    )
    after = await current_xid(owner)
    before_us, began = _cpu_us(owner.get_server_pid()), time.monotonic()
    for row in filled:
        await seal_segment(owner, StorageSettings(), row["segment"], row["class"], pause=_no_pause)
        await finish(owner, row["segment"], after)
    return _cpu_us(owner.get_server_pid()) - before_us, time.monotonic() - began


async def _index_the_rest(owner: asyncpg.Connection, filled: list[asyncpg.Record]) -> float:
    before_us = _cpu_us(owner.get_server_pid())
    opclass = await trigram_opclass(owner)
    for row in filled:
        await build_index(owner, row["segment"], TRIGRAMS, opclass)
    return _cpu_us(owner.get_server_pid()) - before_us


async def _no_pause() -> None:
    """Measured alone."""


def _cpu_us(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1000


async def _sizes(connection: asyncpg.Connection, segment: int) -> dict[str, int]:
    found = {}
    for row in await connection.fetch(SIZES, str(segment)):
        name = row["relname"].removeprefix(f"system_logs_s{segment}").lstrip("_") or "heap"
        found[name] = row["bytes"]
    return found


def _add(sums: dict[str, int], sizes: dict[str, int]) -> None:
    for name, size in sizes.items():
        sums[name] = sums.get(name, 0) + size


def _report(sums: dict[str, dict[str, int]], rows: int) -> bool:
    names = sorted(
        {name for sizes in sums.values() for name in sizes}, key=lambda name: (name != "heap", name)
    )
    print(f"\nbytes a row, {rows:,} rows   " + "".join(f"{state:>24}" for state in sums))
    for name in names:
        print(
            f"{name:<27}"
            + "".join(f"{sizes.get(name, 0) / rows:>24.1f}" for sizes in sums.values())
        )
    totals = {state: sum(sizes.values()) / rows for state, sizes in sums.items()}
    print(f"{'total':<27}" + "".join(f"{total:>24.1f}" for total in totals.values()))
    print(f"{'limit':<27}" + "".join(f"{limit:>24}" for limit in LIMITS.values()))
    return all(totals[state] <= limit for state, limit in LIMITS.items())


async def _drop_many(product: Product, owner: asyncpg.Connection, dsn: str, many: int) -> None:
    """Small expired segments go while somebody reads and the product takes records."""
    class_name = "debug"
    for begin in range(0, many, 50):
        await owner.execute(
            f"""DO $$ DECLARE number integer; BEGIN
                FOR i IN 1..{min(50, many - begin)} LOOP
                    number := nextval('segment_numbers');
                    PERFORM opslog_make_leaf(number);
                    INSERT INTO segments (segment, class, state, rows, bytes, odd_times,
                           min_received_at, max_received_at, opened_at, closed_at)
                    VALUES (number, '{class_name}', 'sealed', 0, 0, 0, now() - interval '9 days',
                            now() - interval '9 days', now(), now());
                END LOOP; END $$""",  # noqa: S608 - numbers and a word of ours
            timeout=300,
        )
    waits: list[float] = []
    stop = asyncio.Event()
    reading = asyncio.create_task(_read(dsn, waits, stop))
    sending = asyncio.create_task(_answers(product, stop))
    began = time.monotonic()
    report = await expire(dsn, Settings(), asked_by="bench")
    took = time.monotonic() - began
    stop.set()
    await reading
    answers = await sending
    print(
        f"\ndropping {report.segments:,} small segments: {took:.1f} s ({report.outcome} {report.note})"
    )
    print(
        f"a reader meanwhile: median {statistics.median(waits) * 1000:.1f} ms, longest {max(waits) * 1000:.1f} ms"
    )
    print(f"an answer to a sender meanwhile: longest {max(answers) * 1000:.0f} ms")


async def _read(dsn: str, waits: list[float], stop: asyncio.Event) -> None:
    connection = await connect(dsn, DatabaseRole.READER)
    leaf = await connection.fetchval(
        "SELECT max(segment) FROM segments WHERE class = 'info' AND state = 'open'"
    )
    while not stop.is_set():
        began = time.monotonic()
        await connection.fetch(
            f"SELECT id FROM system_logs_s{leaf} ORDER BY created_at DESC LIMIT 10"  # noqa: S608 - a number
        )
        waits.append(time.monotonic() - began)
        await asyncio.sleep(0.005)
    await connection.close()


async def _answers(product: Product, stop: asyncio.Event) -> list[float]:
    """How long a sender waits for its answer, one request after the other."""
    body = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}'
    found = []
    while not stop.is_set():
        began = time.monotonic()
        await asyncio.to_thread(product.export, body, "logs", "application/json")
        found.append(time.monotonic() - began)
        await asyncio.sleep(0.01)
    return found


if __name__ == "__main__":
    sys.exit(main())
