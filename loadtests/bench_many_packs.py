"""`make bench-many-packs`: queries, memory and start with a thousand packs of a million rows.

    python -m loadtests.bench_many_packs --load-tool ../shared/tools/otlp_load.py --packs 1000

A fresh opslog receives and packs a segment of INFO records; it is cloned (cloned_segments.py) to `--packs` packs
over four weeks, and to a tenth and to ten of them for comparison. What this simulates: the catalogue, zone
maps, filters of ids, signatures and their sizes, and so planning, candidate blocks and blocks read in vain.
What it does not: the page cache holds one data file instead of a thousand, hits are all in one pack, and
all packs have the same messages, services and number of rows.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from loadtests.cloned_segments import clones
from loadtests.measurements import Measurements
from loadtests.monitoring import private_pss_bytes
from loadtests.query_cases import LOGS, STATS, distinct, quoted, sample_packs, words
from loadtests.query_client import Pairs, QueryClient
from tests.support.product import Product

HOURS = 28 * 24
READY_LIMIT_S = 10.0
PLAN_LIMIT_MS = 5.0
TRACE_LIMIT_MS = 100.0
MEMORY_LIMIT_MB = 400.0
GROWTH_LIMIT_MB = 150.0
REPEATS = 20


def main() -> int:
    """Run the benchmark; return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--load-tool", type=Path, required=True)
    parser.add_argument("--packs", type=int, default=1000)
    parser.add_argument("--pack-rows", type=int, default=1_000_000)
    chosen = parser.parse_args()
    measurements = Measurements()
    settings = {
        "OPSLOG_STORAGE__SEGMENT_ROWS": str(chosen.pack_rows),
        "OPSLOG_STORAGE__SEGMENT_BYTES": "100GiB",
        "OPSLOG_API__USER_CONCURRENCY": "100",
    }
    with Product.running(**settings) as product:
        source = first_pack(product, chosen)
        count, before_mb = 1, 0.0
        for wanted in (10, chosen.packs):
            ages = [1 + number * HOURS // wanted for number in range(wanted - count)]
            print(f"cloning {len(ages):,} packs …", flush=True)
            clones(product, source, ages, is_linked=True)
            count = wanted
            restart(product, count, measurements)
            memory_mb = queries(product, count, measurements)
            if before_mb:
                measurements.report(
                    "… more than with 10", memory_mb - before_mb, "MB", GROWTH_LIMIT_MB
                )
            before_mb = memory_mb
    return 0 if measurements.is_within else 1


def first_pack(product: Product, chosen: argparse.Namespace) -> int:
    """Create a packed segment of INFO records; return its number."""
    count = chosen.pack_rows * 9 // 5
    print(f"sending {count:,} records, and waiting for the pack …", flush=True)
    command = [sys.executable, str(chosen.load_tool), "--url", product.otlp_url]
    command += ["--total-records", str(count), "--deadline", "7200"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    query = "SELECT segment FROM segments WHERE class = 'info' AND leaf_dropped"
    found: int = product.wait(lambda: product.sql(query), 1800)[0][0]
    return found


def restart(product: Product, packs: int, measurements: Measurements) -> None:
    """Restart; report the time until it is ready."""
    product.stop()
    began = time.monotonic()
    product.start()
    took_s = time.monotonic() - began
    measurements.report(f"{packs:,} packs: start until ready", took_s, "s", READY_LIMIT_S)


def queries(product: Product, packs: int, measurements: Measurements) -> float:
    """Run queries twice over; report the medians of the second time. Return the servers' memory in MB."""
    client = QueryClient(product.api_url, product.token("SUPER_ADMIN"))
    rows = [row for row in sample_packs(product, most_packs=1) if row["correlation_id"]]
    traces, needles = distinct(row["trace_id"] for row in rows), distinct(words(rows))
    actors = distinct(row["actor_id"] for row in rows if row["actor_id"])
    records = distinct(row["id"] for row in rows)
    month: Pairs = {"start": "-29d"}
    cases = {
        "trace by id, no range": (lambda: (f"{LOGS}/trace/{next(traces)}", {}), TRACE_LIMIT_MS),
        "record by id": (lambda: (f"{LOGS}/{next(records)}", {}), TRACE_LIMIT_MS),
        "needle, 29 days": (lambda: (LOGS, quoted(needles) | month), None),
        "actor, newest 100 of 29 days": (
            lambda: (f"{LOGS}/actor/{next(actors)}", {"limit": 100} | month),
            None,
        ),
        "newest 100": (lambda: (LOGS, {"limit": 100}), None),
        "newest 100 of an hour a week ago": (
            lambda: (LOGS, {"limit": 100, "start": "-169h", "end": "-168h"}),
            None,
        ),
        "count by service, 29 days": (
            lambda: (STATS, {"by": "sourceModule", "interval": "none"} | month),
            None,
        ),
    }
    for name, (request, limit_ms) in cases.items():
        for _ in range(3):
            client.run(*request())
        took = median(client.run(*request()).total_ms for _ in range(REPEATS))
        measurements.report(f"{packs:,} packs: {name}", took, "ms", limit_ms)
    memory_mb = private_pss_bytes(product.pids("opslog query")) / 1e6
    measurements.report(
        f"{packs:,} packs: memory of all query servers", memory_mb, "MB", MEMORY_LIMIT_MB
    )
    return memory_mb


if __name__ == "__main__":
    sys.exit(main())
