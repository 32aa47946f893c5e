"""`make bench`: opslog on a fresh data directory under the load tool, as one table.

    python -m loadtests.bench --load-tool ../shared/tools/otlp_load.py [--seconds 15]

maximum rate         concurrency 2, 4 and 8, plain and gzip, each on a fresh installation
half of that         response times at half of the best plain rate
10,000 records/s     from the 200 of a record until its row is visible

CPU is from /proc, by process group; memory is private memory (PSS without PostgreSQL's shared buffers);
bytes per row are those of open segments with their indexes. Then PostgreSQL's own COPY rate of the same
bytes, one connection, no receiver, as the limit. Bodies are written to files beforehand. Results are
appended to loadtests/results/ as JSON lines.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests.copy_limit import copy_rate
from loadtests.monitoring import Visible, watch_memory
from loadtests.stored import Stored
from opslog import __version__
from opslog.compiled import in_use
from tests.support.product import Product, command_of

RUNS = [(2, False), (4, False), (8, False), (2, True), (4, True), (8, True)]
BATCH = 500
VISIBLE_RATE = 10_000
RESULTS = Path(__file__).parent / "results"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_LEAVES = """
    SELECT sum(pg_total_relation_size(inhrelid))::bigint
      FROM pg_inherits WHERE inhparent = 'system_logs'::regclass
"""


def main() -> int:
    """Run all cases; return 1 if a record is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--load-tool", type=Path, required=True, help="otlp_load.py")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--receivers", type=int, default=0, help="0: the default")
    parser.add_argument("--records", type=int, default=1_500_000, help="maximum per run")
    chosen = parser.parse_args()
    if not chosen.load_tool.is_file():
        raise SystemExit(
            f"{chosen.load_tool} is not there: make bench LOAD_TOOL=path/to/otlp_load.py"
        )
    with tempfile.TemporaryDirectory(prefix="opslog-bench-") as folder:
        chosen.files = bodies(chosen, Path(folder))
        results = [run(chosen, *case) for case in RUNS]
        best = max(got["records_per_s"] for got in results if not got["gzip"])
        half = run(chosen, 4, False, rate=best // 2)
        steady = run(chosen, 4, False, rate=VISIBLE_RATE)
    limit = asyncio.run(copy_rate(chosen.load_tool))
    print(table(results, half, steady, limit))
    keep([*results, half, steady], limit)
    everything = [*results, half, steady]
    return 0 if all(got["stored"] >= got["acknowledged"] for got in everything) else 1


def bodies(chosen: argparse.Namespace, folder: Path) -> dict[bool, Path]:
    """Write files of requests, plain and gzip, once for all runs."""
    files = {False: folder / "plain", True: folder / "gzip"}
    for compress, file in files.items():
        subprocess.run(
            [
                *(sys.executable, str(chosen.load_tool), "--write-file", str(file)),
                *("--total-records", str(chosen.records), "--batch", str(BATCH)),
                *(("--gzip",) if compress else ("--no-gzip",)),
            ],
            check=True,
            capture_output=True,
        )
    return files


def run(
    chosen: argparse.Namespace,
    concurrency: int,
    compress: bool,  # noqa: FBT001
    *,
    rate: int = 0,
) -> dict[str, Any]:
    """Run one load on a fresh installation."""
    settings = {"OPSLOG_OTLP__RECEIVERS": str(chosen.receivers)} if chosen.receivers else {}
    with Product.running(**settings) as product:
        before = cpu_seconds(product)
        with watch_memory(product) as memory, visible(product, wanted=bool(rate)) as seen:
            result = load(chosen, product, (concurrency, compress, rate))
        waited = time.monotonic()
        stored = Stored(product)
        product.wait(lambda: stored.rows() >= result["acked"], 600)
        drained_s = time.monotonic() - waited
        after = cpu_seconds(product)
        rows = stored.rows()
        size = product.sql(_LEAVES)[0][0]
    records = max(1, result["acked"])
    spent = spent_us(before, after, records)
    return {
        "concurrency": concurrency,
        "gzip": compress,
        "rate": rate,
        "records_per_s": result["records_per_s"],
        "p50_ms": result["p50_ms"],
        "p99_ms": result["p99_ms"],
        **{f"{part}_us": round(value, 1) for part, value in spent.items()},
        "memory_peak_mb": round(memory.peak_bytes / 1e6),
        "others_cores": result.get("others_cores"),
        "acknowledged": result["acked"],
        "stored": rows,
        "bytes_per_row": round(size / max(rows, 1)),
        "drained_s": round(drained_s, 1),
        "visible_p50_ms": seen.percentile(0.5),
        "visible_p99_ms": seen.percentile(0.99),
        "errors": result["errors"],
    }


@contextmanager
def visible(product: Product, *, wanted: bool) -> Any:
    """Measure the visibility of single records if a rate is given."""
    monitoring = Visible(product)
    if not wanted:
        yield monitoring
        return
    with monitoring.running():
        yield monitoring


def load(
    chosen: argparse.Namespace, product: Product, case: tuple[int, bool, int]
) -> dict[str, Any]:
    """Run the load tool; return its JSON result."""
    assert product.process is not None
    concurrency, compress, rate = case
    command = [
        *(sys.executable, str(chosen.load_tool), "--url", product.otlp_url),
        *("--seconds", str(chosen.seconds), "--concurrency", str(concurrency)),
        *("--read-file", str(chosen.files[compress]), "--rate", str(rate)),
        *("--pid", str(product.process.pid), "--gzip" if compress else "--no-gzip"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def cpu_seconds(product: Product) -> dict[str, float]:
    """Return user and system time by process group; ended backends are not counted.

    The packing backend is recognised by its low priority (retention/safety/load.py).
    """
    sums = {"receiver": 0.0, "postgres": 0.0, "packing": 0.0, "other": 0.0}
    for pid in product.pids():
        line = command_of(pid)
        part = "receiver" if "opslog receiver" in line else "other"
        part = (
            "postgres"
            if line.startswith("postgres:") or "/postgres" in line.split(" ")[0]
            else part
        )
        if part == "postgres" and is_low_priority(pid):
            part = "packing"
        sums[part] += process_cpu_s(pid)
    return sums


def spent_us(before: dict[str, float], after: dict[str, float], records: int) -> dict[str, float]:
    """Return CPU microseconds per record by group between two results of `cpu_seconds`."""
    return {part: (after[part] - before[part]) / records * 1e6 for part in after}


def is_low_priority(pid: int) -> bool:
    """Whether a process has a lower priority than others."""
    try:
        return os.getpriority(os.PRIO_PROCESS, pid) > 0
    except OSError:
        return False


def process_cpu_s(pid: int) -> float:
    """Return user and system time of a process, including its ended children."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / _TICKS_PER_S


def table(
    results: list[dict[str, Any]],
    half: dict[str, Any],
    steady: dict[str, Any],
    limit: dict[str, float],
) -> str:
    """Format the results."""
    lines = [
        f"codec {'compiled' if in_use() else 'interpreted'}; requests of {BATCH} records",
        (
            "conc gzip  records/s  receiver us  postgres us  other us  p50 ms  p99 ms  memory MB"
            "  bytes/row  drained s  others' cores  stored/acknowledged"
        ),
    ]
    lines += [
        f"{got['concurrency']:4} {'yes' if got['gzip'] else 'no':4} {got['records_per_s']:10,}"
        f" {got['receiver_us']:12} {got['postgres_us']:12} {got['other_us']:9} {got['p50_ms']:7}"
        f" {got['p99_ms']:7} {got['memory_peak_mb']:10} {got['bytes_per_row']:10}"
        f" {got['drained_s']:10} {got['others_cores']!s:>14}"
        f" {got['stored']:,}/{got['acknowledged']:,}"
        for got in [*results, half, steady]
    ]
    best = max(got["records_per_s"] for got in results)
    lines += [
        f"at {half['rate']:,} records/s: response p50 {half['p50_ms']} ms, p99 {half['p99_ms']} ms",
        (
            f"at {steady['rate']:,} records/s: 200 to visible p50 {steady['visible_p50_ms']} ms,"
            f" p99 {steady['visible_p99_ms']} ms"
        ),
        (
            f"COPY of the same bytes, one connection: {limit['rows_per_s']:,.0f} rows/s,"
            f" {limit['bytes_per_row']:.0f} bytes per row; opslog reaches {best / limit['rows_per_s']:.0%} of it"
        ),
    ]
    return "\n".join(lines)


def keep(results: list[dict[str, Any]], limit: dict[str, float]) -> None:
    """Append to the results file."""
    RESULTS.mkdir(exist_ok=True)
    stamp = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "machine": f"{os.cpu_count()} x {platform.processor() or platform.machine()}, Python {platform.python_version()}",
        "codec": "compiled" if in_use() else "sources",
        "copy_limit": limit,
    }
    with (RESULTS / "ingest.jsonl").open("a") as file:
        for result in results:
            file.write(json.dumps({**stamp, **result}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
