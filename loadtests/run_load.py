"""`make load`: a fresh opslog under Locust at a fixed rate; nothing lost or stored twice.

    python -m loadtests.run_load --rate 10000 --seconds 60

Prints throughput, p50 and p99 of the responses, and the rows in the database against the acknowledged
records; exits with 1 if a record is missing or stored twice.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from loadtests.stored import Stored
from tests.support.product import Product

RECORDS = 100
USERS = 10


def main() -> int:
    """Run the load; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rate", type=int, default=10_000, help="offered records/s")
    parser.add_argument("--seconds", type=int, default=60)
    chosen = parser.parse_args()
    with Product.running() as product, tempfile.TemporaryDirectory() as folder:
        print(
            f"opslog is ready; offering {chosen.rate} records/s for {chosen.seconds} s …",
            flush=True,
        )
        output = _locust(product, chosen.rate, chosen.seconds, Path(folder))
        acknowledged = int(output.rpartition("acknowledged_records=")[2].split()[0])
        product.wait(lambda: Stored(product).rows() >= acknowledged, 120)
        rows, distinct = _stored(product)
        report(Path(folder), chosen.seconds, acknowledged, rows, distinct)
        return 0 if rows == distinct >= acknowledged else 1


def _locust(product: Product, rate: int, seconds: int, folder: Path) -> str:
    command = [
        sys.executable, "-m", "locust", "-f", "loadtests/ingest.py", "--headless",
        "--host", product.otlp_url, "-u", str(USERS), "-r", str(USERS), "-t", f"{seconds}s",
        "--stop-timeout", "20", "--csv", str(folder / "run"), "--only-summary",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "OPSLOG_LOAD_RUN": "load",
        "OPSLOG_LOAD_REQUESTS_PER_S": str(rate / RECORDS / USERS),
        "OPSLOG_LOAD_RECORDS": str(RECORDS),
    }
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    if "acknowledged_records=" not in done.stdout:
        raise SystemExit(f"locust did not run:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def _stored(product: Product) -> tuple[int, int]:
    """(rows, distinct ones)."""
    rows, seen = 0, set()
    for (number,) in Stored(product).numbers("load", ["load.n"]):
        rows += 1
        seen.add(number)
    return rows, len(seen)


def report(folder: Path, seconds: int, acknowledged: int, rows: int, distinct: int) -> None:
    """Print the summary."""
    with (folder / "run_stats.csv").open(newline="") as file:
        total = next(row for row in csv.DictReader(file) if row["Name"] == "Aggregated")
    print(f"throughput      {acknowledged / seconds:,.0f} records/s acknowledged")
    print(
        f"response        p50 {total['50%']} ms, p99 {total['99%']} ms, max {total['Max Response Time']} ms"
    )
    print(f"requests        {total['Request Count']}, failed {total['Failure Count']}")
    print(f"acknowledged    {acknowledged:,} records")
    print(
        f"in the database {rows:,} rows, {distinct:,} distinct: lost {max(0, acknowledged - distinct)}, twice {rows - distinct}"
    )


if __name__ == "__main__":
    sys.exit(main())
