"""`make bench-query`: how long questions take over HTTP, with token and access audit.

    python -m loadtests.bench_query --load-tool ../shared/tools/otlp_load.py --rows 500000

A fresh opslog takes the load tool's records, spread over 24 hours, rolls over and seals all of
them; then some more come, which stay unsealed. PostgreSQL is started anew and the system's copies
of its files are dropped. Each question is then asked `--repeats` times for one set of ids (`first`
is the very first, `cold` the median: what a rare question costs) and as often for other ids, never
the same twice (p50, p90, max). `database` is the time spent waiting for PostgreSQL, part of p50;
`cpu q` and `cpu db` are what a question costs the query server and PostgreSQL, whatever else the
machine does.
At last everything is exported while the memory of the query server is watched.

Limits are for 5,000,000 records; `peer` is VictoriaLogs with as many on the same kind of machine.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from loadtests.query_asking import Asker, Spending, Taken
from loadtests.query_questions import Question, questions
from tests.support.product import Product
from tests.support.senders import numbered_body

MEMORY_LIMIT_MB = 300
CLASSES = ("debug", "info", "warn", "error", "critical")
SMALL_REQUEST = 50
"""Records of a request that fills one small segment of each class."""
UNSEALED_HOURS = 1.0
"""The time that the unsealed records are spread over, among the last of the others."""
SETTINGS = {"OPSLOG_API__USER_CONCURRENCY": "100"}
EXPORT = "/api/v1/logs/export"
FILLED = "filled.json"
HEAD = ("first", "cold", "p50", "p90", "max", "database", "cpu q", "cpu db", "limit", "peer")


def main() -> int:
    """Run it; 1 when a limit is passed."""
    chosen = wishes()
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


def wishes() -> argparse.Namespace:
    """What was asked for on the command line."""
    wish = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    wish.add_argument("--load-tool", type=Path, required=True)
    wish.add_argument("--rows", type=int, default=500_000)
    wish.add_argument("--unsealed-rows", type=int, default=250_000)
    wish.add_argument("--segments", type=int, default=0, help="so many small segments besides")
    wish.add_argument("--segment-rows", type=int, default=250_000, help="as storage.segment_rows")
    wish.add_argument("--repeats", type=int, default=20)
    wish.add_argument("--seal-wait-s", type=float, default=3600)
    wish.add_argument("--only", default="", help="questions whose name has this in it")
    wish.add_argument("--no-export", action="store_true", help="do not export everything")
    wish.add_argument(
        "--keep", type=Path, help="keep the store in this folder, and ask the one that is there"
    )
    return wish.parse_args()


def run(product: Product, chosen: argparse.Namespace) -> int:
    """Fill, ask, compare."""
    known = product.folder / FILLED
    if not known.exists():
        known.write_text(json.dumps(fill(product, chosen)))
    asked = [
        question
        for question in questions(product, **json.loads(known.read_text()))
        if chosen.only in question.name
    ]
    product.stop()
    forget(product.data_dir)
    product.start()
    asker = Asker(product.api_url, product.token("SUPER_ADMIN"))
    is_held = measure(asker, Spending(product), asked, chosen.repeats)
    if not chosen.no_export:
        is_held = export_all(product, asker) and is_held
    return 0 if is_held else 1


def fill(product: Product, chosen: argparse.Namespace) -> dict[str, str | int]:
    """A store with a sealed and an unsealed part; what `questions` wants to know of it."""
    begin = now_text()
    send(product, chosen.load_tool, chosen.rows, hours=24)
    small_segments(product, chosen.segments)
    for name in CLASSES:
        roll(product, name)
    wait_for_seals(product, chosen.seal_wait_s)
    sealed_until, unsealed_from = now_text(), now_text(-UNSEALED_HOURS * 3600)
    send(product, chosen.load_tool, chosen.unsealed_rows, hours=UNSEALED_HOURS, seed=8)
    return {
        "rows": chosen.rows,
        "begin": begin,
        "sealed_until": sealed_until,
        "unsealed_from": unsealed_from,
    }


def now_text(later_s: float = 0) -> str:
    """The time as the API takes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + later_s))


def send(product: Product, tool: Path, rows: int, *, hours: float, seed: int = 7) -> None:
    """Store so many more records, dated within the last `hours`."""
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
    """Records that are in the database."""
    rows = product.sql("SELECT coalesce(sum(rows), 0)::bigint FROM log_counts WHERE kind <> 'a'")
    return int(rows[0][0])


def roll(product: Product, name: str) -> None:
    """Close the open segment of a class."""
    number = product.sql(f"SELECT opslog_open_segment('{name}')")[0][0]
    product.sql(f"SELECT opslog_roll_segment('{name}', {number})")


def small_segments(product: Product, count: int) -> None:
    """Segments of a few records each, as quiet classes have them after years."""
    for number in range(-(-count // len(CLASSES))):
        before = stored(product)
        body = numbered_body("quiet", 0, number * SMALL_REQUEST, SMALL_REQUEST)
        status, _, said = product.export(body)
        if status != 200:
            sys.exit(f"{status} {said[:200]!r}")
        product.wait(lambda before=before: stored(product) >= before + SMALL_REQUEST, 60)
        for name in CLASSES:
            roll(product, name)


def wait_for_seals(product: Product, longest_s: float) -> None:
    """Until nothing closed waits to be sealed, or time is up."""
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


def forget(folder: Path) -> None:
    """Drop the system's copies of these files, so that the first touch is one of the disk."""
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        opened = os.open(path, os.O_RDONLY)
        try:
            os.fsync(opened)
            os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(opened)


def measure(asker: Asker, spending: Spending, asked: list[Question], repeats: int) -> bool:
    """Ask in two rounds, print; whether all limits held."""
    cold = {item.name: [asker.ask(*item.ask()) for _ in range(repeats)] for item in asked}
    print(f"{'ms':26}" + "".join(f"{word:>9}" for word in HEAD))
    is_held = True
    for item in asked:
        waited = asker.database_ms(EXPORT)
        before = spending.ms()
        given_up = asker.given_up
        taken = Taken([asker.ask(*item.ask()) for _ in range(repeats)])
        spent = [(after - was) / repeats for was, after in zip(before, spending.ms(), strict=True)]
        waited = (asker.database_ms(EXPORT) - waited) / repeats
        first = Taken(cold[item.name])
        is_over = taken.p50_ms > item.limit_ms
        is_held = is_held and not is_over
        cells = [first.first_ms, first.p50_ms, taken.p50_ms, taken.p90_ms, taken.worst_ms]
        print(
            f"{item.name:26}"
            + "".join(f"{cell:9.1f}" for cell in [*cells, taken.database_ms or waited, *spent])
            + f"{item.limit_ms:9.0f}{item.peer:>9}{'  over' if is_over else ''}"
            + (f"  {asker.given_up - given_up} given up" if asker.given_up > given_up else ""),
            flush=True,
        )
    return is_held


def export_all(product: Product, asker: Asker) -> bool:
    """Export everything; whether the query server's memory stayed within its limit."""
    pid = product.find("query")
    assert pid is not None
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
    begin = time.monotonic()
    lines, size = asker.export(EXPORT)
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
