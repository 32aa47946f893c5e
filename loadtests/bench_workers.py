"""`make bench-workers`: requests/s of one query process and of several, by number of clients.

    python -m loadtests.bench_workers --rows 50000 --seconds 5

A fresh opslog receives records and packs them; then it runs with one query process and with several, in
turns. Clients are processes with a keep-alive connection each, and take a core of their own: on a machine
with two cores, compare ratios.
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
    found: dict[tuple[str, int, int], list[float]] = {}
    with Product.running(**SETTINGS) as product:
        fill(product, chosen.rows)
        for _ in range(chosen.rounds):
            for workers in (1, chosen.workers):
                product.stop()
                product.environment["OPSLOG_API__WORKERS"] = str(workers)
                product.start()
                for name, paths in requests(product).items():
                    for clients in CLIENTS:
                        rate = measure(product, paths, clients, chosen.seconds)
                        found.setdefault((name, clients, workers), []).append(rate)
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(
        f"{os.cpu_count()} cores, load average at the end {load}; median of {chosen.rounds} rounds"
    )
    print(
        f"{'requests/s':18}{'clients':>8}{'1 process':>11}{f'{chosen.workers} processes':>13}{'ratio':>7}"
    )
    for name, clients, workers in found:
        if workers == 1:
            one, more = (
                statistics.median(found[name, clients, count]) for count in (1, chosen.workers)
            )
            print(f"{name:18}{clients:8}{one:11.0f}{more:13.0f}{more / one:7.2f}", flush=True)
    return 0


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


def measure(product: Product, paths: Sequence[str], clients: int, seconds: float) -> float:
    """Requests per second of this many clients."""
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    token = product.token("ADMIN")
    processes = [
        context.Process(target=client, args=(product.api_url, token, paths, seed, seconds, results))
        for seed in range(clients)
    ]
    for process in processes:
        process.start()
    rates = [json.loads(results.get()) for _ in processes]
    for process in processes:
        process.join()
    return sum(rates)


def client(  # noqa: PLR0917 - of a process
    url: str, token: str, paths: Sequence[str], seed: int, seconds: float, results: object
) -> None:
    """Send requests for some seconds; put the rate into `results`."""
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
    results.put(json.dumps(count / spent_s))  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
