"""`make bench`: the product on a fresh data directory under the load tool, as one table.

    python -m loadtests.bench --load-tool ../shared/tools/otlp_load.py [--seconds 15]

For concurrency 2, 4 and 8, plain and gzip: acknowledged records/s, CPU microseconds a record of
receivers and of PostgreSQL (from /proc), answer p50 and p99, peak memory, rows in the database
against acknowledged. Then PostgreSQL's own COPY rate of the same bytes, one connection, no
receiver, as the limit. Results go to loadtests/results/ as JSON lines, with machine and version.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests.copy_limit import copy_rate
from opslog import __version__
from tests.support.product import Product, command_of

RUNS = [(2, False), (4, False), (8, False), (4, True)]
RESULTS = Path(__file__).parent / "results"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Run all cases; the exit code is 1 when a record is missing."""
    wish = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    wish.add_argument("--load-tool", type=Path, required=True, help="otlp_load.py")
    wish.add_argument("--seconds", type=float, default=15)
    wish.add_argument("--receivers", type=int, default=0, help="0: the product's default")
    wish.add_argument(
        "--prepare", type=int, default=1_200_000, help="records prepared before the clock"
    )
    chosen = wish.parse_args()
    if not chosen.load_tool.is_file():
        raise SystemExit(
            f"{chosen.load_tool} is not there: make bench LOAD_TOOL=path/to/otlp_load.py"
        )
    results = [run(chosen, concurrency, compress) for concurrency, compress in RUNS]
    limit = asyncio.run(copy_rate(chosen.load_tool))
    print(table(results, limit))
    keep(results, limit)
    return 0 if all(result["stored"] >= result["acknowledged"] for result in results) else 1


def run(chosen: argparse.Namespace, concurrency: int, compress: bool) -> dict[str, Any]:  # noqa: FBT001
    """One load on one fresh product."""
    settings = {"OPSLOG_OTLP__RECEIVERS": str(chosen.receivers)} if chosen.receivers else {}
    with Product.running(**settings) as product:
        before = cpu_seconds(product)
        said = load(chosen, product, concurrency, compress)
        waited = time.monotonic()
        product.wait(lambda: stored(product) >= said["acked"], 300)
        drained_s = time.monotonic() - waited
        after = cpu_seconds(product)
        rows = stored(product)
    records = max(1, said["acked"])
    return {
        "concurrency": concurrency,
        "gzip": compress,
        "records_per_s": said["records_per_s"],
        "p50_ms": said["p50_ms"],
        "p99_ms": said["p99_ms"],
        "receiver_us": round((after["receiver"] - before["receiver"]) / records * 1e6, 1),
        "postgres_us": round((after["postgres"] - before["postgres"]) / records * 1e6, 1),
        "rss_peak_mb": said["server_rss_peak_mb"],
        "others_cores": said["others_cores"],
        "acknowledged": said["acked"],
        "stored": rows,
        "drained_s": round(drained_s, 1),
        "errors": said["errors"],
    }


def load(
    chosen: argparse.Namespace,
    product: Product,
    concurrency: int,
    compress: bool,  # noqa: FBT001
) -> dict[str, Any]:
    """The load tool's own JSON line."""
    assert product.process is not None
    command = [
        sys.executable, str(chosen.load_tool), "--url", product.otlp_url,
        "--seconds", str(chosen.seconds), "--concurrency", str(concurrency),
        "--prebuild-records", str(chosen.prepare), "--pid", str(product.process.pid),
        "--gzip" if compress else "--no-gzip",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def stored(product: Product) -> int:
    """Rows of telemetry in the database."""
    count: int = product.sql("SELECT count(*) FROM system_logs WHERE kind <> 'a'")[0][0]
    return count


def cpu_seconds(product: Product) -> dict[str, float]:
    """User and system time so far, by part of the house; backends that ended are not counted."""
    sums = {"receiver": 0.0, "postgres": 0.0, "other": 0.0}
    for pid in product.pids():
        line = command_of(pid)
        part = "receiver" if "opslog receiver" in line else "other"
        part = (
            "postgres"
            if line.startswith("postgres:") or "/postgres" in line.split(" ")[0]
            else part
        )
        sums[part] += process_cpu_s(pid)
    return sums


def process_cpu_s(pid: int) -> float:
    """User and system time of a process, its ended children included."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / _TICKS_PER_S


def table(results: list[dict[str, Any]], limit: dict[str, float]) -> str:
    """What people read."""
    lines = [
        "conc gzip  records/s  receiver us  postgres us  p50 ms  p99 ms  peak MB  others' cores  stored/acknowledged"
    ]
    lines += [
        f"{got['concurrency']:4} {'yes' if got['gzip'] else 'no':4} {got['records_per_s']:10,}"
        f" {got['receiver_us']:12} {got['postgres_us']:12} {got['p50_ms']:7} {got['p99_ms']:7}"
        f" {got['rss_peak_mb']:8} {got['others_cores']:14} {got['stored']:,}/{got['acknowledged']:,}"
        for got in results
    ]
    best = max(got["records_per_s"] for got in results)
    lines.append(
        f"COPY of the same bytes, one connection: {limit['rows_per_s']:,.0f} rows/s,"
        f" {limit['bytes_per_row']:.0f} bytes a row; opslog reaches {best / limit['rows_per_s']:.0%} of it"
    )
    return "\n".join(lines)


def keep(results: list[dict[str, Any]], limit: dict[str, float]) -> None:
    """Append to the results file of this version."""
    RESULTS.mkdir(exist_ok=True)
    stamp = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "machine": f"{os.cpu_count()} x {platform.processor() or platform.machine()}, Python {platform.python_version()}",
        "copy_limit": limit,
    }
    with (RESULTS / "ingest.jsonl").open("a") as file:
        for result in results:
            file.write(json.dumps({**stamp, **result}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
