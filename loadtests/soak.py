"""`make soak`: half an hour at 10,000 records/s; memory and open files stay flat, counts balance.

    python -m loadtests.soak --minutes 30 --rate 10000

A fresh `opslog up` with its defaults (segments roll over and are packed meanwhile). Private memory and
open files of each process are sampled every few seconds; a process is flat if the median of the last
quarter is not far above that of the second quarter. Finally every acknowledged record must be stored once,
`opslog ledger check` must balance and `opslog verify` succeed. Prints a table; exits with 1 otherwise.
"""

import argparse
import multiprocessing
import os
import platform
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from loadtests.soak_sender import Sent, send
from loadtests.stored import Stored
from opslog import __version__
from tests.support.product import Product, command_of

SENDERS = 4
SAMPLE_EVERY_S = 5.0
MIB = 2**20
BYTES_PER_RECORD = 150
"""On disk, packed (docs/performance.md), with a margin."""
WAL_BYTES = 7 * 2**30
"""With the leaves that wait for packing."""
MOST_GROWTH = 0.10
LEAST_GROWTH_BYTES = 24 * MIB
"""Smaller growth is ignored, however small the process is."""
LEAST_GROWTH_FILES = 8
ROLES = ("receiver-0", "receiver-1", "query-0", "worker", "scheduler", "postgres", "valkey")


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of all processes of a role."""

    at_s: float
    memory_bytes: int
    """Private memory."""
    files: int


@dataclass(frozen=True, slots=True)
class Trend:
    """The development of one value of a role."""

    role: str
    what: str
    first: float
    last: float
    most: float
    is_flat: bool


def main() -> int:
    """Run the test; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=int, default=10_000, help="records/s over all senders")
    chosen = parser.parse_args()
    needed = round(chosen.rate * chosen.minutes * 60 * BYTES_PER_RECORD) + WAL_BYTES
    if (free := shutil.disk_usage(tempfile.gettempdir()).free) < needed:
        raise SystemExit(
            f"{tempfile.gettempdir()} has {free >> 30} GiB free and {needed >> 30} GiB are needed:"
            " set TMPDIR, or run for a shorter time (MINUTES=10)"
        )
    with Product.running() as product:
        print(
            f"opslog is ready; {chosen.rate:,} records/s for {chosen.minutes:g} min …", flush=True
        )
        samples, sent = load(product, chosen.rate, chosen.minutes * 60)
        trends = [trend for role in samples for trend in trends_of(role, samples[role])]
        problems = [f"{each.role}: {each.what} is not flat" for each in trends if not each.is_flat]
        problems += check_rate(sent, chosen.rate, chosen.minutes * 60)
        problems += check_rows(product, sent)
        problems += check_evidence(product)
    print(table(trends, sent, chosen.minutes))
    print("\n".join([f"PROBLEM: {each}" for each in problems] or ["all checks passed"]))
    return 1 if problems else 0


def load(
    product: Product, rate: int, seconds: float
) -> tuple[Mapping[str, list[Sample]], list[Sent]]:
    """Send for `seconds` and sample the processes meanwhile."""
    samples: dict[str, list[Sample]] = defaultdict(list)
    # spawn: a sender must not inherit open files of this process
    with multiprocessing.get_context("spawn").Pool(SENDERS) as pool:
        work = [(product.otlp_url, client, rate / SENDERS, seconds) for client in range(SENDERS)]
        sending = pool.starmap_async(send, work)
        began_s = time.monotonic()
        while not sending.ready():
            sending.wait(SAMPLE_EVERY_S)
            for role, sample in look(product, time.monotonic() - began_s).items():
                samples[role].append(sample)
        return samples, sending.get()


def look(product: Product, at_s: float) -> dict[str, Sample]:
    """Return memory and files by role; a process that ends meanwhile is skipped."""
    assert product.process is not None
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for pid in product.pids():
        line = command_of(pid)
        role = next((name for name in ROLES if name in line), "")
        try:
            if role == "worker" and parent_of(pid) != product.process.pid:
                continue  # a job, some seconds long
            memory, files = private_bytes(pid), len([*Path(f"/proc/{pid}/fd").iterdir()])
        except OSError:
            continue
        sums[role or "other"][0] += memory
        sums[role or "other"][1] += files
    return {role: Sample(at_s, memory, files) for role, (memory, files) in sums.items()}


def parent_of(pid: int) -> int:
    """Return the parent process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def private_bytes(pid: int) -> int:
    """Return RssAnon of a process: without shared buffers and mapped files."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def trends_of(role: str, samples: Sequence[Sample]) -> list[Trend]:
    """Compare memory and files in the second quarter with the last one."""
    end_s = samples[-1].at_s
    early = [each for each in samples if end_s / 4 <= each.at_s < end_s / 2]
    late = [each for each in samples if each.at_s >= end_s * 3 / 4]
    found = []
    for what, least in (("memory_bytes", LEAST_GROWTH_BYTES), ("files", LEAST_GROWTH_FILES)):
        first, last = (median(getattr(each, what) for each in part) for part in (early, late))
        most = max(getattr(each, what) for each in samples)
        is_flat = last - first <= max(least, first * MOST_GROWTH)
        found.append(Trend(role, what, first, last, most, is_flat))
    return found


def check_rate(sent: Sequence[Sent], rate: int, seconds: float) -> list[str]:
    """Check that opslog accepted the offered rate."""
    taken = sum(each.acknowledged for each in sent) / seconds
    return [f"only {taken:,.0f} records/s were accepted"] if taken < rate * 0.98 else []


def check_rows(product: Product, sent: Sequence[Sent]) -> list[str]:
    """Check that each acknowledged record is stored once: count, sum and sum of squares."""
    total = sum(each.acknowledged for each in sent)
    rows = Stored(product)
    product.wait(lambda: rows.rows() >= total, 300)
    expected = [
        (each.client, n, n * (n - 1) // 2, (n - 1) * n * (2 * n - 1) // 6)
        for each in sent
        if (n := each.acknowledged)
    ]
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    for client, number in rows.numbers("soak", ["load.client", "load.n"]):
        of = sums[client]
        of[0], of[1], of[2] = of[0] + 1, of[1] + number, of[2] + number * number
    stored = [(client, *sums[client]) for client in sorted(sums)]
    return [
        f"client {was[0]}: {is_there[1]:,} rows for {was[1]:,} acknowledged records"
        for was, is_there in zip(expected, stored, strict=True)
        if was != is_there
    ]


def check_evidence(product: Product) -> list[str]:
    """Check the counts and the signed ledger."""
    problems = []
    for command, good in ((("ledger", "check"), {0}), (("verify",), {0, 2})):
        done = product.run(*command, timeout_s=3600)
        print("\n".join([f"$ opslog {' '.join(command)}", *done.stdout.splitlines()[-12:], ""]))
        if done.returncode not in good:
            problems.append(f"opslog {' '.join(command)}: {done.stdout}{done.stderr}")
    return problems


def table(trends: Sequence[Trend], sent: Sequence[Sent], minutes: float) -> str:
    """Format the table of docs/reliability.md."""
    total = sum(each.acknowledged for each in sent)
    slowest = sorted(value for each in sent for value in each.latencies_ms)
    statuses: dict[str, int] = defaultdict(int)
    for each in sent:
        for status, count in each.statuses.items():
            statuses[status] += count
    responses = ", ".join(f"{status}: {count:,}" for status, count in sorted(statuses.items()))
    made = (
        f"opslog {__version__}, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()},"
        f" {os.cpu_count()} cores: {total:,} records in {minutes:g} min,"
        f" {total / minutes / 60:,.0f}/s; responses {responses};"
        f" p50 {median(slowest):.1f} ms, p99 {slowest[len(slowest) * 99 // 100]:.1f} ms"
    )
    lines = [
        made,
        "",
        "| processes | private memory early, late, most (MiB) | open files early, late, most | flat |",
        "|---|---:|---:|---|",
    ]
    for memory, files in zip(trends[::2], trends[1::2], strict=True):
        mib = [value / MIB for value in (memory.first, memory.last, memory.most)]
        lines.append(
            f"| {memory.role} | {mib[0]:.0f}, {mib[1]:.0f}, {mib[2]:.0f}"
            f" | {files.first:.0f}, {files.last:.0f}, {files.most:.0f}"
            f" | {'yes' if memory.is_flat and files.is_flat else 'NO'} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
