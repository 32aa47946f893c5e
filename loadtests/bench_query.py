"""`make bench-query`: latency of queries over HTTP, with token and access audit.

    python -m loadtests.bench_query --load-tool ../shared/tools/otlp_load.py --rows 500000

A fresh opslog receives the load tool's records, spread over 24 hours, rolls over and packs all of them;
then more arrive, which stay unpacked. PostgreSQL is restarted and the page cache of its files dropped.
Each query then runs `--repeats` times with one set of ids (`first` is the first response, `cold` the
median: the cost of a rare query) and as often with other ids, never the same twice (p50, p90, max).
`database` is the time spent waiting for PostgreSQL, part of p50; `cpu q` and `cpu db` are the CPU cost
in the query server and PostgreSQL, independent of other work. Finally everything is exported while the
query server's memory is measured.

Limits are for 5,000,000 records; `peer` is VictoriaLogs with as many on the same kind of machine.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from loadtests.query_cases import QueryCase, query_cases
from loadtests.query_client import CpuTime, QueryClient, Timings
from tests.support.product import Product
from tests.support.senders import numbered_body

MEMORY_LIMIT_MB = 300
CLASSES = ("debug", "info", "warn", "error", "critical")
SMALL_REQUEST = 50
"""Records of a request that fills one small segment of each class."""
UNPACKED_HOURS = 1.0
"""The unpacked records are spread over this time, overlapping the latest of the others."""
SETTINGS = {"OPSLOG_API__USER_CONCURRENCY": "100"}
EXPORT = "/api/v1/logs/export"
FILLED = "filled.json"
HEAD = ("first", "cold", "p50", "p90", "max", "database", "cpu q", "cpu db", "limit", "peer")


def main() -> int:
    """Run the benchmark; return 1 if a limit is exceeded."""
    chosen = arguments()
    if not chosen.load_tool.is_file():
        sys.exit(f"{chosen.load_tool} is not there: make bench-query LOAD_TOOL=path")
    settings = SETTINGS | {"OPSLOG_STORAGE__SEGMENT_ROWS": str(chosen.segment_rows)}
    if chosen.keep is None:
        with Product.running(**settings) as product:
            return run(product, chosen)
    chosen.keep.mkdir(mode=0o711, exist_ok=True)
    product = Product(chosen.keep, settings)
    product.start()
    try:
        return run(product, chosen)
    finally:
        product.stop()


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--load-tool", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--unpacked-rows", type=int, default=250_000)
    parser.add_argument(
        "--segments", type=int, default=0, help="number of additional small segments"
    )
    parser.add_argument("--segment-rows", type=int, default=250_000, help="as storage.segment_rows")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--pack-wait-s", type=float, default=3600)
    parser.add_argument("--only", default="", help="queries whose name contains this")
    parser.add_argument("--no-export", action="store_true", help="do not export everything")
    parser.add_argument("--keep", type=Path, help="keep the store in this folder and reuse it")
    return parser.parse_args()


def run(product: Product, chosen: argparse.Namespace) -> int:
    """Fill, measure, compare."""
    known = product.folder / FILLED
    if not known.exists():
        known.write_text(json.dumps(fill(product, chosen)))
    cases = [
        case
        for case in query_cases(product, **json.loads(known.read_text()))
        if chosen.only in case.name
    ]
    product.stop()
    drop_page_cache(product.data_dir)
    product.start()
    client = QueryClient(product.api_url, product.token("SUPER_ADMIN"))
    is_held = measure(client, CpuTime(product), cases, chosen.repeats)
    if not chosen.no_export:
        is_held = export_all(product, client) and is_held
    return 0 if is_held else 1


def fill(product: Product, chosen: argparse.Namespace) -> dict[str, str | int]:
    """Fill a packed and an unpacked part; return the arguments of `query_cases`."""
    begin = now_text()
    send(product, chosen.load_tool, chosen.rows, hours=24)
    small_segments(product, chosen.segments)
    for name in CLASSES:
        roll(product, name)
    wait_for_packs(product, chosen.pack_wait_s)
    packed_until, unpacked_from = now_text(), now_text(-UNPACKED_HOURS * 3600)
    send(product, chosen.load_tool, chosen.unpacked_rows, hours=UNPACKED_HOURS, seed=8)
    return {
        "rows": chosen.rows,
        "begin": begin,
        "packed_until": packed_until,
        "unpacked_from": unpacked_from,
    }


def now_text(later_s: float = 0) -> str:
    """Format the time for the API."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + later_s))


def send(product: Product, tool: Path, rows: int, *, hours: float, seed: int = 7) -> None:
    """Store `rows` more records, dated within the last `hours`."""
    if not rows:
        return
    before = stored(product)
    print(f"sending {rows:,} records …", flush=True)
    command = [sys.executable, str(tool), "--url", product.otlp_url, "--seed", str(seed)]
    command += ["--total-records", str(rows), "--spread", str(hours), "--concurrency", "2"]
    command += ["--deadline", "7200"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    product.wait(lambda: stored(product) >= before + rows, 600)


def stored(product: Product) -> int:
    """Return the number of records in the database."""
    rows = product.sql("SELECT coalesce(sum(rows), 0)::bigint FROM log_counts WHERE kind <> 'a'")
    return int(rows[0][0])


def roll(product: Product, name: str) -> None:
    """Roll over the open segment of a class."""
    number = product.sql(f"SELECT opslog_open_segment('{name}')")[0][0]
    product.sql(f"SELECT opslog_roll_segment('{name}', {number})")


def small_segments(product: Product, count: int) -> None:
    """Create segments of a few records each, like those of quiet classes after years."""
    for number in range(-(-count // len(CLASSES))):
        before = stored(product)
        body = numbered_body("quiet", 0, number * SMALL_REQUEST, SMALL_REQUEST)
        status, _, response = product.export(body)
        if status != 200:
            sys.exit(f"{status} {response[:200]!r}")
        product.wait(lambda before=before: stored(product) >= before + SMALL_REQUEST, 60)
        for name in CLASSES:
            roll(product, name)


def wait_for_packs(product: Product, longest_s: float) -> None:
    """Wait until all closed segments are packed, or time is up."""
    end = time.monotonic() + longest_s
    states: dict[str, tuple[int, int]] = {}
    while time.monotonic() < end:
        states = {
            state: (int(rows), segments)
            for state, rows, segments in product.sql(
                "SELECT state, sum(coalesce(rows, 0))::bigint, count(*) FROM segments GROUP BY 1"
            )
        }
        if not states.get("closed"):
            break
        time.sleep(2)
    for state, (rows, segments) in sorted(states.items()):
        print(f"{state}: {segments} segments, {rows:,} records")


def drop_page_cache(folder: Path) -> None:
    """Drop the page cache of these files, so that the first access reads from disk."""
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        opened = os.open(path, os.O_RDONLY)
        try:
            os.fsync(opened)
            os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(opened)


def measure(client: QueryClient, cpu_time: CpuTime, cases: list[QueryCase], repeats: int) -> bool:
    """Run two rounds and print them; return whether all limits were met."""
    cold = {item.name: [client.run(*item.request()) for _ in range(repeats)] for item in cases}
    print(f"{'ms':26}" + "".join(f"{word:>9}" for word in HEAD))
    is_held = True
    for item in cases:
        waited = client.database_ms(EXPORT)
        before = cpu_time.ms()
        timed_out = client.timed_out
        taken = Timings([client.run(*item.request()) for _ in range(repeats)])
        spent = [(after - was) / repeats for was, after in zip(before, cpu_time.ms(), strict=True)]
        waited = (client.database_ms(EXPORT) - waited) / repeats
        first = Timings(cold[item.name])
        is_over = taken.p50_ms > item.limit_ms
        is_held = is_held and not is_over
        cells = [first.first_ms, first.p50_ms, taken.p50_ms, taken.p90_ms, taken.worst_ms]
        print(
            f"{item.name:26}"
            + "".join(f"{cell:9.1f}" for cell in [*cells, taken.database_ms or waited, *spent])
            + f"{item.limit_ms:9.0f}{item.peer:>9}{'  over' if is_over else ''}"
            + (
                f"  {client.timed_out - timed_out} timed out"
                if client.timed_out > timed_out
                else ""
            ),
            flush=True,
        )
    return is_held


def export_all(product: Product, client: QueryClient) -> bool:
    """Export everything; return whether the query server's memory stayed within its limit."""
    pid = product.find("query")
    assert pid is not None
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # reset the peak
    begin = time.monotonic()
    lines, size = client.export(EXPORT)
    spent_s = time.monotonic() - begin
    status = Path(f"/proc/{pid}/status").read_text()
    peak_mb = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    print(
        f"export of everything: {lines:,} records, {size / 1e6:,.0f} MB, {spent_s:.0f} s; "
        f"query server at most {peak_mb:.0f} MB (limit {MEMORY_LIMIT_MB})"
    )
    return peak_mb < MEMORY_LIMIT_MB


if __name__ == "__main__":
    sys.exit(main())
