"""`make bench-sustained`: a steady load with concurrent packing; does the backlog of packing grow?

    python -m loadtests.sustain --load-tool ../shared/tools/otlp_load.py --minutes 15

A fresh installation with defaults. The rate is 70 % of what it takes for ten seconds as fast as it can, at most
40,000 records/s. Twice a minute: rows acknowledged and stored, the backlog of packing in rows,
CPU per record of receiver, PostgreSQL and packing since the last sample (0 for packing if its process has
just changed). Finally the growth of the backlog per second over the second half (linear fit, as it varies
by whole segments), and the packing rate under this load, above which the backlog would grow. Exits with 1
if a record is missing or the backlog grew by more than a fiftieth of the rate.
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

from loadtests.bench import cpu_seconds, spent_us
from loadtests.stored import Stored
from tests.support.product import Product

SAMPLE_EVERY_S = 30.0
BURST_S = 10
SHARE_OF_BURST = 0.7
MOST_RATE = 40_000
ALLOWED = 0.02
"""Allowed growth of the backlog relative to the rate: segments are closed and packed as a whole."""
_SEGMENTS = """
    SELECT coalesce(sum(rows) FILTER (WHERE state = 'closed'), 0)::bigint AS waiting,
           coalesce(sum(rows) FILTER (WHERE state = 'packed'), 0)::bigint AS packed,
           (SELECT coalesce(sum(stored), 0)::bigint FROM ingest_batches) AS stored
      FROM segments
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of all processes."""

    at_s: float
    rows: int
    waiting: int
    packed: int
    cpu: dict[str, float]


def main() -> int:
    """Run, print a line for each sample, then the summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--load-tool", type=Path, required=True, help="otlp_load.py")
    parser.add_argument("--rate", type=int, default=0, help="records/s; 0: by the burst rate")
    parser.add_argument("--minutes", type=float, default=15)
    chosen = parser.parse_args()
    if chosen.minutes * 60 < 4 * SAMPLE_EVERY_S:
        parser.error(
            f"--minutes: at least {4 * SAMPLE_EVERY_S / 60:g}, of which the second half is evaluated"
        )
    with Product.running() as product:
        chosen.rate = chosen.rate or sustained_rate(chosen.load_tool, product)
        stored = Stored(product)
        before = stored.rows()
        samples, result = steady_load(chosen, product)
        product.wait(lambda: stored.rows() >= before + result["acked"], 600)
        rows = stored.rows() - before
    print(summary(samples, result, rows))
    return int(rows < result["acked"] or growth(samples) > chosen.rate * ALLOWED)


def sustained_rate(tool: Path, product: Product) -> int:
    """Measure the burst rate; return the rate to sustain."""
    stored = Stored(product)
    done = subprocess.run(
        [sys.executable, str(tool), "--url", product.otlp_url, "--seconds", str(BURST_S)],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    result = json.loads(done.stdout)
    product.wait(lambda: stored.rows() >= result["acked"], 600)
    burst = int(result["records_per_s"])
    rate = min(MOST_RATE, int(burst * SHARE_OF_BURST))
    print(f"{burst:,} records/s in a burst of {BURST_S} s; sustaining {rate:,}", flush=True)
    return rate


def steady_load(
    chosen: argparse.Namespace, product: Product
) -> tuple[list[Sample], dict[str, Any]]:
    """Run the load; return the samples and its result."""
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
    samples = [sample(product, began)]
    while (ended := _ended(process)) is None:
        samples.append(sample(product, began))
        print(line(samples[-2], samples[-1]), flush=True)
    if process.returncode:
        raise SystemExit(f"{chosen.load_tool} ended with {process.returncode}; its output is above")
    result: dict[str, Any] = json.loads(ended)
    return samples, result


def _ended(process: subprocess.Popen[str]) -> str | None:
    """Return its output if it ends before the next sample is due, else None."""
    try:
        return process.communicate(timeout=SAMPLE_EVERY_S)[0]
    except subprocess.TimeoutExpired:
        return None


def growth(samples: list[Sample]) -> float:
    """Return the growth of the backlog in rows/s over the second half of the samples."""
    half = samples[len(samples) // 2 :]
    return statistics.linear_regression([at.at_s for at in half], [at.waiting for at in half]).slope


def sample(product: Product, began: float) -> Sample:
    """Take one sample."""
    waiting, packed, rows = product.sql(_SEGMENTS)[0]
    return Sample(time.monotonic() - began, rows, waiting, packed, cpu_seconds(product))


def line(before: Sample, now: Sample) -> str:
    """Format the changes since the previous sample."""
    rows = max(1, now.rows - before.rows)
    cpu = spent_us(before.cpu, now.cpu, rows)
    return (
        f"{now.at_s:6.0f} s  {now.rows:11,} stored  {rows / (now.at_s - before.at_s):8,.0f}/s"
        f"  {now.waiting:10,} unpacked  receiver {cpu['receiver']:5.1f} us"
        f"  postgres {cpu['postgres']:5.1f} us  packing {max(cpu['packing'], 0):5.1f} us"
    )


def summary(samples: list[Sample], result: dict[str, Any], rows: int) -> str:
    """Format the summary."""
    first, last = samples[len(samples) // 2], samples[-1]
    pace = (last.packed - first.packed) / max(1.0, last.at_s - first.at_s)
    return (
        f"{result['records_per_s']:,} records/s acknowledged, p50 {result['p50_ms']} ms,"
        f" p99 {result['p99_ms']} ms, errors {result['errors']}; {rows:,} stored of {result['acked']:,}\n"
        f"second half: {first.waiting:,} unpacked rows at its start,"
        f" {last.waiting:,} at its end, {growth(samples):+,.0f} rows/s; packed {pace:,.0f} rows/s,"
        f" others' cores"
        f" {result.get('others_cores')}"
    )


if __name__ == "__main__":
    sys.exit(main())
