"""`make bench-storage`: bytes per row by heap and index, CPU of sealing.

    python -m loadtests.bench_storage --load-tool ../shared/tools/otlp_load.py --rows 300000

A fresh opslog receives the load tool's records; its segments are then rolled over and sealed here, so
that the server's CPU can be read from its process. bench_retention measures dropping.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import asyncpg

from config.settings import StorageSettings
from retention.segments.seal import finish, seal_segment
from storage.database.locks import SEAL_SPACE
from storage.database.pool import DatabaseRole, connect
from storage.segments.leaves import BULK, TRIGRAMS, build_index, current_xid, trigram_opclass
from tests.support.product import Product

LIMITS = {"open": 720, "sealed by default": 950, "sealed with everything": 1100}
"""Bytes per row; issue 6."""
CPU_LIMIT_US = 33
SIZES = """
SELECT c.relname, CASE WHEN c.relkind = 'i' THEN pg_relation_size(c.oid)
                       ELSE pg_table_size(c.oid) END AS bytes
  FROM pg_class AS c
 WHERE c.relname ~ ('^system_logs_s' || $1::text || '(_|$)') AND c.relkind IN ('r', 'i')
"""


def main() -> int:
    """Run the benchmark; return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--load-tool", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=300_000)
    chosen = parser.parse_args()
    if not chosen.load_tool.is_file():
        sys.exit(f"{chosen.load_tool} is not there: make bench-storage LOAD_TOOL=path")
    # No automatic rollover, so that everything is measured in both states.
    with Product.running(
        OPSLOG_STORAGE__SEGMENT_ROWS="100000000", OPSLOG_STORAGE__SEGMENT_BYTES="100GiB"
    ) as product:
        print(f"sending {chosen.rows:,} records …", flush=True)
        _send(product, chosen.load_tool, chosen.rows)
        return asyncio.run(_measure(product))


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


async def _measure(product: Product) -> int:
    dsn = product.installation.database_dsn()
    guard = await asyncpg.connect(dsn)  # keeps opslog's worker away from these segments
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
    steps_us, wall_s = await _seal(owner, filled)
    for row in filled:
        _add(sums["sealed by default"], await _sizes(guard, row["segment"]))
    everything_us = await _index_the_rest(owner, filled)
    for row in filled:
        _add(sums["sealed with everything"], await _sizes(guard, row["segment"]))
    is_within = _report(sums, rows)
    print("\nCPU of sealing, database us per row")
    for name, step_us in steps_us.items():
        print(f"{name:<27}{step_us / rows:>24.1f}" if name else "", end="\n" if name else "")
    default_us = sum(steps_us.values())
    print(f"{'by default':<27}{default_us / rows:>24.1f}  ({wall_s / rows * 1e6:.1f} us elapsed)")
    all_us = (default_us + everything_us) / rows
    print(f"{'with every index':<27}{all_us:>24.1f}  (limit {CPU_LIMIT_US})")
    await owner.close()
    await guard.close()
    return 0 if is_within and all_us <= CPU_LIMIT_US else 1


class _Steps:
    """The server's CPU by step of sealing, separated by the pauses between them."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._marks_us = [_cpu_us(pid)]
        self.sums_us: dict[str, float] = {}

    async def __call__(self) -> None:
        """Mark the start of a step; there is no load to yield to."""
        self._marks_us.append(_cpu_us(self._pid))

    def done(self, *names: str) -> None:
        """Name the steps since the last call."""
        self._marks_us.append(_cpu_us(self._pid))
        spans = [after - before for before, after in pairwise(self._marks_us)]
        for name, span in zip(names, spans, strict=True):
            self.sums_us[name] = self.sums_us.get(name, 0) + span
        self._marks_us = self._marks_us[-1:]


async def _seal(
    owner: asyncpg.Connection, filled: list[asyncpg.Record]
) -> tuple[dict[str, float], float]:
    """Seal; return microseconds of CPU by step, and elapsed seconds."""
    await owner.execute(
        "SET maintenance_work_mem = '256MB'; SET max_parallel_maintenance_workers = 0"
    )
    settings, after = StorageSettings(), await current_xid(owner)
    steps, began = _Steps(owner.get_server_pid()), time.monotonic()
    for row in filled:
        await seal_segment(owner, settings, row["segment"], row["class"], pause=steps)
        has_words = row["class"] not in settings.no_trigrams
        steps.done("", *BULK, *([TRIGRAMS] if has_words else []), "read back, record")
        await finish(owner, row["segment"], after)
        steps.done("freeze, analyse, constrain")
    return steps.sums_us, time.monotonic() - began


async def _index_the_rest(owner: asyncpg.Connection, filled: list[asyncpg.Record]) -> float:
    before_us = _cpu_us(owner.get_server_pid())
    opclass = await trigram_opclass(owner)
    for row in filled:
        await build_index(owner, row["segment"], TRIGRAMS, opclass)
    return _cpu_us(owner.get_server_pid()) - before_us


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
    print(f"\nbytes per row, {rows:,} rows   " + "".join(f"{state:>24}" for state in sums))
    for name in names:
        print(
            f"{name:<27}"
            + "".join(f"{sizes.get(name, 0) / rows:>24.1f}" for sizes in sums.values())
        )
    totals = {state: sum(sizes.values()) / rows for state, sizes in sums.items()}
    print(f"{'total':<27}" + "".join(f"{total:>24.1f}" for total in totals.values()))
    print(f"{'limit':<27}" + "".join(f"{limit:>24}" for limit in LIMITS.values()))
    return all(totals[state] <= limit for state, limit in LIMITS.items())


if __name__ == "__main__":
    sys.exit(main())
