"""`make bench-workers`: requests/s of one query process and of several, by number of clients.

    python -m loadtests.bench_workers --rows 50000 --seconds 5

A fresh opslog receives records and packs them; then it runs with one query process and with several, in
turns. Clients are processes with a keep-alive connection each, which need cores as well. `cpu` is the CPU
time of a request in the query processes, whatever else the machine does: one process cannot serve more than
1,000 divided by it.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import random
import statistics
import sys
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from loadtests.bench_query import CLASSES, roll, stored, wait_for_packs
from loadtests.query_client import CpuTime
from tests.support.product import Product
from tests.support.senders import numbered_body

CLIENTS = (1, 4, 16)
REQUEST = 1_000
SETTINGS = {"OPSLOG_API__USER_CONCURRENCY": "100", "OPSLOG_STORAGE__SEGMENT_ROWS": "20000"}
IDS = 500


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    found: dict[tuple[str, int, int], list[tuple[float, float]]] = {}
    with Product.running(**SETTINGS) as product:
        fill(product, chosen.rows)
        for _ in range(chosen.rounds):
            for workers in (1, chosen.workers):
                product.stop()
                product.environment["OPSLOG_API__WORKERS"] = str(workers)
                product.start()
                for name, paths in requests(product).items():
                    for clients in CLIENTS:
                        rates = measure(product, paths, clients, chosen.seconds)
                        found.setdefault((name, clients, workers), []).append(rates)
    show(found, chosen.workers, chosen.rounds)
    return 0


def show(
    found: dict[tuple[str, int, int], list[tuple[float, float]]], workers: int, rounds: int
) -> None:
    """Print the table."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{os.cpu_count()} cores, load average at the end {load}; medians of {rounds} rounds")
    head = ("clients", "one", f"{workers}", "ratio", "cpu ms", f"cpu {workers}")
    print(f"{'requests/s':18}" + "".join(f"{word:>9}" for word in head))
    for name, clients, count in found:
        if count != 1:
            continue
        (one, one_cpu), (more, more_cpu) = (
            [statistics.median(values) for values in zip(*found[name, clients, each], strict=True)]
            for each in (1, workers)
        )
        print(
            f"{name:18}{clients:9}{one:9.0f}{more:9.0f}{more / one:9.2f}"
            f"{one_cpu:9.1f}{more_cpu:9.1f}"
        )


def fill(product: Product, rows: int) -> None:
    """Store and pack records."""
    for first in range(0, rows, REQUEST):
        status, _, body = product.export(numbered_body("bench", 0, first, REQUEST))
        if status != 200:
            sys.exit(f"{status} {body[:200]!r}")
    product.wait(lambda: stored(product) >= rows, 120)
    for name in CLASSES:
        roll(product, name)
    wait_for_packs(product, 300)


def requests(product: Product) -> dict[str, list[str]]:
    """Paths by the name of the request."""
    ids: list[str] = []
    cursor = ""
    while len(ids) < IDS:
        page = product.get(f"/api/v1/logs?sourceModule=bench&limit=1000{cursor}")
        ids += [item["id"] for item in page["data"][::10]]
        cursor = f"&cursor={page['nextCursor']}"
    pages = [f"/api/v1/logs?actorId=u-{number}&limit=100" for number in range(97)]
    return {"record by id": [f"/api/v1/logs/{each}" for each in ids], "page of 100": pages}


def measure(
    product: Product, paths: Sequence[str], clients: int, seconds: float
) -> tuple[float, float]:
    """Requests per second of this many clients, and CPU milliseconds of one in query processes."""
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    token = product.token("ADMIN")
    processes = [
        context.Process(target=client, args=(product.api_url, token, paths, seed, seconds, results))
        for seed in range(clients)
    ]
    cpu = CpuTime(product)
    before = cpu.ms()[0]
    for process in processes:
        process.start()
    counts = [json.loads(results.get()) for _ in processes]
    for process in processes:
        process.join()
    rate = sum(count / spent_s for count, spent_s in counts)
    return rate, (cpu.ms()[0] - before) / sum(count for count, _ in counts)


def client(  # noqa: PLR0917 - of a process
    url: str, token: str, paths: Sequence[str], seed: int, seconds: float, results: object
) -> None:
    """Send requests for some seconds; put their count and the time into `results`."""
    chance = random.Random(seed)
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    headers = {"Authorization": f"Bearer {token}"}
    count, begin = 0, time.monotonic()
    while (spent_s := time.monotonic() - begin) < seconds:
        connection.request("GET", chance.choice(paths), headers=headers)
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            sys.exit(f"{response.status}")
        count += 1
    results.put(json.dumps((count, spent_s)))  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
