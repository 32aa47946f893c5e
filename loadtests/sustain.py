"""`make bench-sustained`: a steady load with sealing beside it; does what waits to be sealed grow?

    python -m loadtests.sustain --load-tool ../shared/tools/otlp_load.py --rate 25000 --minutes 15

A fresh product with its defaults. Twice a minute: rows acknowledged and stored, rows in closed
segments that wait to be sealed, CPU a record of receiver, PostgreSQL and sealing since the last look
(of sealing 0 where its process has just changed). In the end what the backlog grew by a second over the
second half (the straight line nearest to the looks, as it falls and rises by whole segments), and
the pace of sealing beside this load, which is the rate at which the backlog would begin to grow.
The exit code is 1 when a record is missing or the backlog grew by more than a fiftieth of the rate.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.bench import cpu_seconds, spent_us, stored
from tests.support.product import Product

LOOK_EVERY_S = 30.0
ALLOWED = 0.02
"""Of the rate: what the backlog may seem to grow by, as segments are closed and sealed whole."""
_SEGMENTS = """
    SELECT coalesce(sum(rows) FILTER (WHERE state = 'closed'), 0)::bigint AS waiting,
           coalesce(sum(rows) FILTER (WHERE state = 'sealed'), 0)::bigint AS sealed,
           (SELECT coalesce(sum(stored), 0)::bigint FROM ingest_batches) AS stored
      FROM segments
"""


@dataclass(frozen=True, slots=True)
class Look:
    """The house at one moment."""

    at_s: float
    rows: int
    waiting: int
    sealed: int
    cpu: dict[str, float]


def main() -> int:
    """Run, print a line for each look, then the summary."""
    wish = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    wish.add_argument("--load-tool", type=Path, required=True, help="otlp_load.py")
    wish.add_argument("--rate", type=int, default=25_000, help="records a second")
    wish.add_argument("--minutes", type=float, default=15)
    chosen = wish.parse_args()
    if chosen.minutes * 60 < 4 * LOOK_EVERY_S:
        wish.error(
            f"--minutes: at least {4 * LOOK_EVERY_S / 60:g}, of which the second half counts"
        )
    with Product.running() as product:
        looks, said = steady_load(chosen, product)
        product.wait(lambda: stored(product) >= said["acked"], 600)
        rows = stored(product)
    print(summary(looks, said, rows))
    return int(rows < said["acked"] or growth(looks) > chosen.rate * ALLOWED)


def steady_load(chosen: argparse.Namespace, product: Product) -> tuple[list[Look], dict[str, Any]]:
    """The load, and what was seen meanwhile."""
    assert product.process is not None
    seconds = chosen.minutes * 60
    process = subprocess.Popen(
        [
            *(sys.executable, str(chosen.load_tool), "--url", product.otlp_url),
            *("--rate", str(chosen.rate), "--seconds", str(seconds), "--concurrency", "4"),
            *("--prebuild-records", str(int(chosen.rate * seconds * 1.1))),
            *("--pid", str(product.process.pid)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    began = time.monotonic()
    looks = [look(product, began)]
    while (ended := _ended(process)) is None:
        looks.append(look(product, began))
        print(line(looks[-2], looks[-1]), flush=True)
    if process.returncode:
        raise SystemExit(f"{chosen.load_tool} ended with {process.returncode}; its words are above")
    said: dict[str, Any] = json.loads(ended)
    return looks, said


def _ended(process: subprocess.Popen[str]) -> str | None:
    """What it said, when it ends before the next look is due: looks without a load tell nothing."""
    try:
        return process.communicate(timeout=LOOK_EVERY_S)[0]
    except subprocess.TimeoutExpired:
        return None


def growth(looks: list[Look]) -> float:
    """Rows a second by which the backlog grew over the second half of the looks."""
    half = looks[len(looks) // 2 :]
    return statistics.linear_regression([at.at_s for at in half], [at.waiting for at in half]).slope


def look(product: Product, began: float) -> Look:
    """One look."""
    waiting, sealed, rows = product.sql(_SEGMENTS)[0]
    return Look(time.monotonic() - began, rows, waiting, sealed, cpu_seconds(product))


def line(before: Look, now: Look) -> str:
    """What changed since the look before."""
    rows = max(1, now.rows - before.rows)
    cpu = spent_us(before.cpu, now.cpu, rows)
    return (
        f"{now.at_s:6.0f} s  {now.rows:11,} stored  {rows / (now.at_s - before.at_s):8,.0f}/s"
        f"  {now.waiting:10,} wait to be sealed  receiver {cpu['receiver']:5.1f} us"
        f"  postgres {cpu['postgres']:5.1f} us  sealing {max(cpu['sealing'], 0):5.1f} us"
    )


def summary(looks: list[Look], said: dict[str, Any], rows: int) -> str:
    """The last lines."""
    first, last = looks[len(looks) // 2], looks[-1]
    pace = (last.sealed - first.sealed) / max(1.0, last.at_s - first.at_s)
    return (
        f"{said['records_per_s']:,} records/s acknowledged, p50 {said['p50_ms']} ms,"
        f" p99 {said['p99_ms']} ms, errors {said['errors']}; {rows:,} stored of {said['acked']:,}\n"
        f"second half: {first.waiting:,} rows waited to be sealed at its beginning,"
        f" {last.waiting:,} at its end, {growth(looks):+,.0f} rows/s; sealed {pace:,.0f} rows/s,"
        f" others' cores"
        f" {said.get('others_cores')}"
    )


if __name__ == "__main__":
    sys.exit(main())
