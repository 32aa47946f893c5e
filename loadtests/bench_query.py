"""`make bench-query`: how long questions take over HTTP, with token and access audit.

    python -m loadtests.bench_query --load-tool ../shared/tools/otlp_load.py --rows 500000

A fresh opslog takes the load tool's records, spread over 24 hours; its worker seals what has
closed. Every repeat asks for another id; `first` is the first of all, right after a restart.
The limits are for 5,000,000 records.
"""

import argparse
import http.client
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from tests.support.product import Product

Pairs = dict[str, str | int]
Ask = Callable[[], tuple[str, Pairs]]


def main() -> int:
    """Run it; 1 when a limit is passed."""
    wish = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    wish.add_argument("--load-tool", type=Path, required=True)
    wish.add_argument("--rows", type=int, default=500_000)
    wish.add_argument("--repeats", type=int, default=20)
    wish.add_argument("--seal-wait-s", type=float, default=600)
    chosen = wish.parse_args()
    if not chosen.load_tool.is_file():
        sys.exit(f"{chosen.load_tool} is not there: make bench-query LOAD_TOOL=path")
    with Product.running(OPSLOG_API__USER_CONCURRENCY="100") as product:
        send(product, chosen.load_tool, chosen.rows)
        wait_for_seals(product, chosen.seal_wait_s)
        asked = questions(samples(product))
        product.stop()
        product.start()
        return measure(product, asked, chosen.repeats)


def send(product: Product, tool: Path, rows: int) -> None:
    """Fill the store."""
    print(f"sending {rows:,} records …", flush=True)
    command = [sys.executable, str(tool), "--url", product.otlp_url]
    command += ["--total-records", str(rows), "--spread", "24", "--concurrency", "2"]
    command += ["--deadline", "3600"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    product.wait(lambda: stored(product) >= rows, 600)


def stored(product: Product) -> int:
    """Records that questions can find."""
    total: int = product.get("/api/v1/logs/stats?interval=none&start=-30d")["total"]
    return total


def wait_for_seals(product: Product, longest_s: float) -> None:
    """Until nothing closed waits to be sealed, or time is up."""
    end = time.monotonic() + longest_s
    states: dict[str, int] = {}
    while time.monotonic() < end:
        states = dict(
            product.sql("SELECT state, sum(coalesce(rows, 0))::bigint FROM segments GROUP BY 1")
        )
        if not states.get("closed"):
            break
        time.sleep(2)
    print("records by state of their segment: ", {k: int(v) for k, v in states.items() if v})


def samples(product: Product) -> dict[str, Iterator[str]]:
    """Ids to ask for, another one each time."""
    rows = product.sql(
        "SELECT replace(trace_id::text, '-', ''), actor_id, message, metadata->'attributes' "
        "FROM system_logs TABLESAMPLE system (1) WHERE trace_id IS NOT NULL LIMIT 2000"
    )
    words = [
        word
        for row in rows
        for word in row[2].split()
        if any(c.isdigit() for c in word) and len(word) > 9
    ]
    users = [
        f'{name}:"{value}"'
        for row in rows
        for name, value in json.loads(row[3] or "{}").items()
        if name == "user.id" and isinstance(value, str)
    ]
    return {
        "trace": itertools.cycle(row[0] for row in rows),
        "actor": itertools.cycle([row[1] for row in rows if row[1]] or ["nobody"]),
        "needle": itertools.cycle(words or ["none"]),
        "attribute": itertools.cycle(users or ["user.id:none"]),
        "text": itertools.repeat(frequent(row[2] for row in rows)),
    }


def frequent(messages: Iterator[str]) -> str:
    """Two neighbouring words that many messages have."""
    pairs: dict[str, int] = {}
    for message in messages:
        words = message.split()
        for pair in itertools.pairwise(words):
            text = " ".join(pair)
            if not any(character.isdigit() for character in text):
                pairs[text] = pairs.get(text, 0) + 1
    return max(pairs, key=lambda text: pairs[text], default="order placed")


def questions(ids: dict[str, Iterator[str]]) -> list[tuple[str, float, Ask]]:
    """What is asked, its limit in milliseconds, and how."""
    day = {"start": "-25h"}
    logs, stats = "/api/v1/logs", "/api/v1/logs/stats"
    return [
        ("trace by id, no range", 6, lambda: (f"{logs}/trace/{next(ids['trace'])}", {})),
        ("actor, newest 100", 10, lambda: (f"{logs}/actor/{next(ids['actor'])}", {})),
        ("last 100 ERROR", 6, lambda: (logs, {"level": "ERROR"})),
        ("phrase, newest 100", 20, lambda: (logs, {"q": f'"{next(ids["text"])}"', **day})),
        ("needle in the message", 25, lambda: (logs, {"q": f'"{next(ids["needle"])}"', **day})),
        ("attribute equals", 20, lambda: (logs, {"q": next(ids["attribute"]), **day})),
        ("count by service", 4, lambda: (stats, {"by": "sourceModule", "interval": "none", **day})),
        ("histogram by level", 50, lambda: (stats, {"by": "level", "interval": "1m", **day})),
        (
            "count of a phrase",
            150,
            lambda: (stats, {"q": f'"{next(ids["text"])}"', "interval": "none", **day}),
        ),
        ("page of 500", 20, lambda: (logs, {"limit": 500})),
        ("page of 1000", 30, lambda: (logs, {"limit": 1000})),
    ]


def measure(product: Product, asked: list[tuple[str, float, Ask]], repeats: int) -> int:
    """Ask, print, compare."""
    place = urlsplit(product.api_url)
    client = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    token = product.token("SUPER_ADMIN")
    print(f"{'':24} {'first':>9} {'p50':>9} {'max':>9} {'database':>9} {'limit':>7}  (ms)")
    is_held = True
    for name, limit_ms, ask in asked:
        first, *rest = [one(client, token, *ask()) for _ in range(repeats + 1)]
        p50 = statistics.median(total for total, _ in rest)
        share = statistics.median(database for _, database in rest)
        worst = max(total for total, _ in rest)
        mark = "" if p50 <= limit_ms else "  over"
        is_held = is_held and p50 <= limit_ms
        print(
            f"{name:24} {first[0]:9.1f} {p50:9.1f} {worst:9.1f} {share:9.1f} {limit_ms:7.0f}{mark}"
        )
    return 0 if is_held else 1


def one(
    client: http.client.HTTPConnection, token: str, path: str, pairs: Pairs
) -> tuple[float, float]:
    """Milliseconds of one question, and of the database in it."""
    address = f"{path}?{urlencode(pairs)}" if pairs else path
    begin = time.perf_counter()
    client.request("GET", address, headers={"Authorization": f"Bearer {token}"})
    answer = client.getresponse()
    body = answer.read()
    spent = (time.perf_counter() - begin) * 1000
    if answer.status != 200:
        sys.exit(f"{address}: {answer.status} {body[:300]!r}")
    said = answer.headers.get("Server-Timing", "db;dur=0")
    return spent, float(said.partition("dur=")[2])


if __name__ == "__main__":
    sys.exit(main())
