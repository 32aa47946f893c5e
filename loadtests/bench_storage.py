"""`make bench-storage`: bytes per row by table, column and index part; CPU of packing.

    python -m loadtests.bench_storage --load-tool ../shared/tools/otlp_load.py --rows 300000

A fresh opslog receives the load tool's records; its segments are then rolled over and packed here, so
that the CPU can be read from this process and from its process in the server.
"""

import argparse
import asyncio
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import asyncpg
import numpy as np

from retention.packing.leaves import drop_leaves, forget_parts
from retention.packing.pack import pack_segment
from retention.packing.places import store_to_write
from storage.database.pool import DatabaseRole, connect
from storage.packs.pack import Pack
from storage.packs.parquet.places import PAGE
from storage.packs.store import PackStore
from tests.support.product import Product

LIMIT = 72.0
"""Bytes per row over packs and all tables that grow with rows; issue 17."""
OPEN_LIMIT = 720
BOUNDED = {
    *("ingest_requests", "ledger_in", "ledger_checkpoints"),
    *("segments", "spools", "retention_runs", "ingest_keys", "log_streams"),
}
"""Tables that do not grow with rows: emptied after a window of time, or a row a minute, process,
segment or resource."""
SIZES = """
SELECT c.relname, pg_total_relation_size(c.oid) AS bytes
  FROM pg_class AS c
 WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
   AND c.relname !~ '^system_logs' AND c.relname <> 'schema_migrations'
"""
LEAF = "SELECT pg_total_relation_size($1::regclass)"


def main() -> int:
    """Run the benchmark; return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--load-tool", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--batch", type=int, default=0, help="records of a request; 0: its default")
    chosen = parser.parse_args()
    if not chosen.load_tool.is_file():
        sys.exit(f"{chosen.load_tool} is not there: make bench-storage LOAD_TOOL=path")
    # No automatic rollover and no packer, so that everything is measured in both states.
    with Product.running(
        OPSLOG_STORAGE__SEGMENT_ROWS="100000000",
        OPSLOG_STORAGE__SEGMENT_BYTES="100GiB",
        OPSLOG_STORAGE__PACK_WORKERS="0",
    ) as product:
        print(f"sending {chosen.rows:,} records …", flush=True)
        _send(product, chosen.load_tool, chosen.rows, chosen.batch)
        return asyncio.run(_measure(product))


def _send(product: Product, tool: Path, rows: int, batch: int) -> None:
    size = ["--batch", str(batch)] if batch else []
    done = subprocess.run(
        [sys.executable, str(tool), "--url", product.otlp_url, "--total-records", str(rows), *size],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"the load tool failed:\n{done.stderr[-2000:]}")
    product.wait(
        lambda: product.sql("SELECT count(*) FROM system_logs WHERE kind = 'l'")[0][0] >= rows, 300
    )


async def _measure(product: Product) -> int:
    dsn = product.installation.database_dsn()
    owner = await connect(dsn, DatabaseRole.OWNER)
    admin = await asyncpg.connect(dsn)
    filled = await owner.fetch(
        "SELECT s.segment, s.class, c.rows::bigint AS rows FROM segments AS s CROSS JOIN LATERAL"
        " (SELECT sum(rows) AS rows FROM log_counts_hourly AS h WHERE h.segment = s.segment) AS c"
        " WHERE s.state = 'open' AND c.rows > 0 AND s.class <> 'audit' ORDER BY 1"
    )
    rows = sum(row["rows"] for row in filled)
    await admin.execute("VACUUM")
    leaves = 0
    for row in filled:
        leaves += await admin.fetchval(LEAF, f"system_logs_s{row['segment']}")
        await admin.execute("SELECT opslog_roll_segment($1, $2)", row["class"], row["segment"])
    await admin.execute("SELECT opslog_settle_segments()")
    store = await store_to_write(owner, product.installation.settings)
    began, ours, theirs = time.monotonic(), time.process_time(), _cpu_us(owner.get_server_pid())
    for row in filled:
        packed = await pack_segment(owner, store, row["segment"])
        assert not packed.damage, packed.damage
    wall_s = time.monotonic() - began
    our_us = (time.process_time() - ours) * 1e6 / rows
    their_us = (_cpu_us(owner.get_server_pid()) - theirs) / rows
    await drop_leaves(owner, deadline_s=time.monotonic() + 60)
    await forget_parts(owner, 0)
    await admin.execute("VACUUM FULL ingest_parts")
    await admin.execute("VACUUM")
    parts: Counter[str] = Counter()
    for row in filled:
        _add(parts, store.read(row["class"], row["segment"]))
    parts["filters of ids"] = _filters(store, {row["class"] for row in filled})
    tables = {
        row["relname"]: row["bytes"]
        for row in await admin.fetch(SIZES)
        if row["bytes"] > _EMPTY_BYTES
    }
    await admin.close()
    await owner.close()
    total = _report(parts, tables, rows)
    print(f"{'before: leaf with indexes':<34}{leaves / rows:>8.1f}  (limit {OPEN_LIMIT})")
    print(f"\nCPU of packing, us per row: {our_us:.1f} here, {their_us:.1f} in the server;")
    print(f"{wall_s / rows * 1e6:.1f} us elapsed")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process: {peak:.0f} MiB")
    return 0 if total <= LIMIT and leaves / rows <= OPEN_LIMIT else 1


_EMPTY_BYTES = 64 * 1024


def _add(parts: Counter[str], pack: Pack) -> None:
    """Bytes of each column's pages and of each section of the index."""
    columns = pack.plan.columns
    pages = pack.index.array("pages", PAGE).reshape(-1, len(columns))
    sizes = pages["dictionary_size"].astype(np.int64) + pages["data_size"]
    for spec, size in zip(columns, sizes.sum(axis=0).tolist(), strict=True):
        parts[f"data {spec.name}"] += size
    data = pack.path.stat().st_size
    parts["data footer and headers"] += data - int(sizes.sum())
    for name, (_, size, _) in pack.index.header["sections"].items():
        parts[f"index {name}"] += size


def _filters(store: PackStore, classes: Iterable[str]) -> int:
    """Bytes of the filters of classes."""
    return sum(store.filters(name).path.stat().st_size for name in classes)


def _cpu_us(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1000


def _report(parts: Counter[str], tables: dict[str, int], rows: int) -> float:
    print(f"\nbytes per row, {rows:,} rows")
    for name, size in sorted(parts.items()):
        print(f"{name:<34}{size / rows:>8.2f}")
    for name, size in sorted(tables.items()):
        note = "  (does not grow with rows)" if name in BOUNDED else ""
        print(f"{f'table {name}':<34}{size / rows:>8.2f}{note}")
    files = sum(parts.values()) / rows
    stored = sum(size for name, size in tables.items() if name not in BOUNDED) / rows
    print(f"{'files':<34}{files:>8.1f}")
    print(f"{'tables':<34}{stored:>8.1f}")
    print(f"{'total':<34}{files + stored:>8.1f}  (limit {LIMIT:g})")
    return files + stored


if __name__ == "__main__":
    sys.exit(main())
