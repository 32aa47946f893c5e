"""The cost of a record as JSON and as protobuf over all processes; goal: at most twice as much.

    python -m loadtests.bench_encodings --load-tool ../shared/tools/otlp_load.py [--requests 120]

A fresh opslog; the load tool's records, 500 per request, first in one encoding and then in the other, over
four connections. Measured is the CPU time of receiver and PostgreSQL until the rows are stored, so other
work on the machine hardly changes the ratio.
"""

import argparse
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from loadtests.bench import cpu_seconds, spent_us
from loadtests.bench_codec import as_json
from loadtests.bench_latency import acknowledge_s
from loadtests.load_tool import BATCH, distinct_bodies
from loadtests.stored import Stored
from tests.support.product import Product

CONNECTIONS = 4
MOST = 2.0
"""Times the cost of protobuf."""


def main() -> int:
    """Measure and print; return 1 if JSON exceeds its limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--load-tool", type=Path, required=True, help="otlp_load.py")
    parser.add_argument("--requests", type=int, default=120, help="in each encoding")
    chosen = parser.parse_args()
    half = chosen.requests + CONNECTIONS  # warm-up requests are not counted
    bodies = distinct_bodies(chosen.load_tool, 2 * half, templates=40)
    kinds = {
        "protobuf": ("application/x-protobuf", bodies[:half]),
        "JSON": ("application/json", [as_json(body) for body in bodies[half:]]),
    }
    cost = {}
    with Product.running() as product:
        for name, (content_type, sent) in kinds.items():
            send(product, content_type, sent[:CONNECTIONS])
            before = cpu_seconds(product)
            send(product, content_type, sent[CONNECTIONS:])
            spent = spent_us(before, cpu_seconds(product), BATCH * chosen.requests)
            cost[name] = spent["receiver"] + spent["postgres"]
            print(
                f"{name:9} receiver {spent['receiver']:5.1f} us  postgres {spent['postgres']:5.1f} us"
                f"  together {cost[name]:5.1f} us per record"
            )
    ratio = cost["JSON"] / cost["protobuf"]
    print(f"JSON costs {ratio:.2f} times as much as protobuf (at most {MOST:g})")
    return int(ratio > MOST)


def send(product: Product, content_type: str, bodies: list[bytes]) -> None:
    """Send each body once; return when their rows are stored."""
    stored = Stored(product)
    there = stored.rows() + BATCH * len(bodies)

    def deliver(share: list[bytes]) -> None:
        place = urlsplit(product.otlp_url)
        with socket.create_connection((place.hostname, place.port), 30) as line:
            for body in share:
                acknowledge_s(line, body, content_type)

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        shares = [bodies[n::CONNECTIONS] for n in range(CONNECTIONS)]
        list(threads.map(deliver, shares))
    product.wait(lambda: stored.rows() >= there, 60)


if __name__ == "__main__":
    sys.exit(main())
