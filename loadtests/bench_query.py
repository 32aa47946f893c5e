"""`make bench-query`: latency of queries over HTTP, with token and access audit.

    python -m loadtests.bench_query --load-tool ../shared/tools/otlp_load.py --rows 500000

A fresh opslog receives the load tool's records, spread over 24 hours, and spans of the last hour, and packs
all of them; then more arrive, which stay in open segments. opslog is restarted with nothing in the page
cache. Each query then runs `--repeats` times with one set of ids (`first` is the first response, `cold` the
median: the cost of a rare query) and as often with other ids, never the same twice (p50, p90, max).
`database` is the time spent waiting for PostgreSQL, part of p50; `cpu q` and `cpu db` are the CPU cost
in the query servers and PostgreSQL, independent of other work; `walk` and `hash` are a fixed walk through
memory and a fixed hash at that moment: on a busy machine only the ratio to them means something.
Three queries then run after restarts with nothing in the page cache, and everything is exported while the
memory of the query servers is measured. With `--noise` (NOISE=1), queries run once more beside a process on each core
that walks through memory, for at most as long as that takes; none may take more than three times as long.

Limits are for 5,000,000 records; `peer` is VictoriaLogs with as many on the same kind of machine.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from loadtests.monitoring import private_pss_bytes
from loadtests.query_cases import COLD, COLD_LIMIT_MS, QueryCase, query_cases
from loadtests.query_client import CpuTime, QueryClient, Timings
from loadtests.shop import shop_spans
from tests.support.product import Product
from tests.support.senders import numbered_body

MEMORY_LIMIT_MB = 150
"""Growth of the query servers during the export of everything."""
EXPORT_LIMIT = 100_000
"""Records/s."""
NOISE_LIMIT = 3
COLD_ROUNDS = 5
TRACES = 5000
CLASSES = ("debug", "info", "warn", "error", "critical")
SMALL_REQUEST = 50
"""Records of a request that fills one small segment of each class."""
UNPACKED_HOURS = 1.0
"""The unpacked records are spread over this time, overlapping the latest of the others."""
SETTINGS = {"OPSLOG_API__USER_CONCURRENCY": "100"}
EXPORT = "/api/v1/logs/export"
FILLED = "filled.json"
HEAD = (
    *("first", "cold", "p50", "p90", "max", "database", "cpu q", "cpu db", "walk", "hash"),
    *("limit", "peer"),
)
_SEVERITY = {"debug": 5, "info": 9, "warn": 13, "error": 17, "critical": 21}


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
    parser.add_argument(
        "--full-open", action="store_true", help="fill the open segment of each class but one row"
    )
    parser.add_argument(
        "--noise", action="store_true", help="repeat beside processes that walk through memory"
    )
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
    restart_cold(product)
    client = QueryClient(product.api_url, product.token("SUPER_ADMIN"))
    quiet, is_held = measure(client, CpuTime(product), cases, chosen.repeats)
    if chosen.noise:
        print("\nbeside a process on each core that walks through memory:")
        with noise():
            loud, _ = measure(client, CpuTime(product), cases, chosen.repeats)
        for name, p50_ms in loud.items():
            ratio = p50_ms / quiet[name]
            is_held = is_held and ratio <= NOISE_LIMIT
            print(f"{name:26}{ratio:9.1f} times{'  over' if ratio > NOISE_LIMIT else ''}")
    is_held = measure_cold(product, [case for case in cases if case.name in COLD]) and is_held
    if not chosen.no_export:
        is_held = export_all(product) and is_held
    return 0 if is_held else 1


def fill(product: Product, chosen: argparse.Namespace) -> dict[str, str | int]:
    """Fill a packed and an open part; return the arguments of `query_cases`."""
    begin = now_text()
    send(product, chosen.load_tool, chosen.rows, hours=24)
    send_spans(product)
    small_segments(product, chosen.segments)
    for name in CLASSES:
        roll(product, name)
    wait_for_packs(product, chosen.pack_wait_s)
    send(product, chosen.load_tool, chosen.unpacked_rows, hours=UNPACKED_HOURS, seed=8)
    if chosen.full_open:
        fill_open(product, chosen.load_tool, chosen.segment_rows)
    return {"rows": chosen.rows, "begin": begin}


def send_spans(product: Product) -> None:
    """Store TRACES traces of the last hour."""
    before, hour_ns, a_body = stored(product), 3600 * 10**9, 100
    for first in range(0, TRACES, a_body):
        body = shop_spans(first, a_body, time.time_ns() - hour_ns, hour_ns)
        status, _, response = product.export(body, "traces")
        if status != 200:
            sys.exit(f"{status} {response[:200]!r}")
    product.wait(lambda: stored(product) > before, 60)


def fill_open(product: Product, tool: Path, segment_rows: int) -> None:
    """Store records until each class's open segment lacks one row to be closed."""
    path = product.folder / "bodies"
    count = segment_rows * len(CLASSES)
    command = [sys.executable, str(tool), "--write-file", str(path), "--seed", "9"]
    subprocess.run([*command, "--prebuild-records", str(count)], check=True)
    bodies = read_bodies(path)
    for name in CLASSES:
        rows = product.sql(
            "SELECT coalesce(sum(c.rows), 0)::bigint FROM log_counts_hourly AS c"  # noqa: S608 - a constant
            f" JOIN segments AS s USING (segment) WHERE s.state = 'open' AND s.class = '{name}'"
        )
        missing = segment_rows - 1 - int(rows[0][0])
        before = stored(product)
        for left in range(missing, 0, -500):
            body = as_severity(next(bodies), _SEVERITY[name], left)
            product.export(body)
        product.wait(
            lambda before=before, missing=missing: stored(product) >= before + missing, 600
        )
    path.unlink()


def read_bodies(path: Path) -> Iterator[bytes]:
    """Yield the bodies that the load tool wrote: a head of 8 bytes; length (u32), then the body."""
    with path.open("rb") as file:
        file.read(8)
        while head := file.read(4):
            yield file.read(int.from_bytes(head, "little"))


def as_severity(body: bytes, severity: int, most: int) -> bytes:
    """Give the first `most` records of a body another severity; drop the others."""
    request = ExportLogsServiceRequest.FromString(body)
    for group in request.resource_logs:
        for scope in group.scope_logs:
            del scope.log_records[max(0, most) :]
            most -= len(scope.log_records)
            for record in scope.log_records:
                record.severity_number = severity
                record.ClearField("severity_text")
    return request.SerializeToString()


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


def restart_cold(product: Product) -> None:
    """Restart opslog with nothing of its files in the page cache."""
    product.stop()
    drop_page_cache(product.data_dir)
    product.start()


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


def fixed_work() -> tuple[float, float]:
    """Return the ms of a fixed random walk through 64 MB and of a fixed hash."""
    begin = time.perf_counter()
    _WALK.take(_STEPS)
    walked = time.perf_counter()
    hashlib.sha256(_HASHED).digest()
    return (walked - begin) * 1000, (time.perf_counter() - walked) * 1000


_WALK = np.arange(2**23)
_STEPS = np.random.default_rng(1).integers(0, 2**23, 2**20)
_HASHED = bytes(2**23)
_NOISE = """
import numpy as np, time
walk, end = np.random.default_rng(2).permutation(2**24), time.monotonic() + 1800
at = walk[:2**20]
while time.monotonic() < end:
    at = walk[at]
"""


@contextmanager
def noise() -> Iterator[None]:
    """A process on each core that walks through memory, for half an hour at most."""
    cores = sorted(os.sched_getaffinity(0))
    neighbours = [subprocess.Popen([sys.executable, "-c", _NOISE]) for _ in cores]
    for core, neighbour in zip(cores, neighbours, strict=True):
        os.sched_setaffinity(neighbour.pid, {core})
    try:
        time.sleep(3)  # until they have their memory
        yield
    finally:
        for neighbour in neighbours:
            neighbour.terminate()
            neighbour.wait(10)


def measure_cold(product: Product, cases: list[QueryCase]) -> bool:
    """Run each query once after each of some restarts without page cache; print medians."""
    taken: dict[str, list[float]] = {case.name: [] for case in cases}
    for turn in range(COLD_ROUNDS if cases else 0):
        restart_cold(product)
        client = QueryClient(product.api_url, product.token("SUPER_ADMIN"))
        client.run(
            "/api/v1/logs", {"limit": 1, "q": "level:critical"}
        )  # connections, caches of code
        for case in [*cases[turn % len(cases) :], *cases[: turn % len(cases)]]:
            taken[case.name].append(client.run(*case.request()).total_ms)
    for name, times in taken.items():
        is_over = statistics.median(times) > COLD_LIMIT_MS
        print(
            f"cold: {name:26} median {statistics.median(times):.1f} ms of"
            f" {', '.join(f'{each:.1f}' for each in times)} (limit {COLD_LIMIT_MS})"
            f"{'  over' if is_over else ''}"
        )
    return all(statistics.median(times) <= COLD_LIMIT_MS for times in taken.values())


def measure(
    client: QueryClient, cpu_time: CpuTime, cases: list[QueryCase], repeats: int
) -> tuple[dict[str, float], bool]:
    """Run two rounds and print them; return the medians by name, and whether all limits were met."""
    cold = {item.name: [client.run(*item.request()) for _ in range(repeats)] for item in cases}
    print(f"{'ms':26}" + "".join(f"{word:>9}" for word in HEAD))
    is_held, medians = True, {}
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
        medians[item.name] = taken.p50_ms
        cells = [first.first_ms, first.p50_ms, taken.p50_ms, taken.p90_ms, taken.worst_ms]
        cells += [taken.database_ms or waited, *spent, *fixed_work()]
        print(
            f"{item.name:26}"
            + "".join(f"{cell:9.1f}" for cell in cells)
            + f"{item.limit_ms:9.0f}{item.peer:>9}{'  over' if is_over else ''}"
            + (
                f"  {client.timed_out - timed_out} timed out"
                if client.timed_out > timed_out
                else ""
            ),
            flush=True,
        )
    return medians, is_held


def export_all(product: Product) -> bool:
    """Export everything; return whether speed and memory of the query servers were within limits."""
    pids = product.pids("opslog query")
    client = QueryClient(product.api_url, product.token("SUPER_ADMIN"))
    before = private_pss_bytes(pids)
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # reset the peak
    begin = time.monotonic()
    lines, size = client.export(EXPORT)
    spent_s = time.monotonic() - begin
    peak_mb = max(
        int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
        for pid in pids
    )
    print(
        f"export of everything: {lines:,} records, {size / 1e6:,.0f} MB, {spent_s:.0f} s,"
        f" {lines / spent_s:,.0f} records/s (limit {EXPORT_LIMIT:,}); query servers had"
        f" {before / 2**20:.0f} MB, the largest at most {peak_mb:.0f} MB (limit {MEMORY_LIMIT_MB})"
    )
    return peak_mb < MEMORY_LIMIT_MB and lines / spent_s >= EXPORT_LIMIT


if __name__ == "__main__":
    sys.exit(main())
