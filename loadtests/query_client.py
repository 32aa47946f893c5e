"""Run queries over one connection and measure them (loadtests/bench_query.py)."""

import http.client
import re
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from tests.support.product import Product

Pairs = dict[str, str | int]

_SUM = re.compile(r'^opslog_api_database_seconds_sum\{route="([^"]+)"\} (\S+)$', re.MULTILINE)
_DATABASE = re.compile(r"\bdb;dur=([\d.]+)")
_PIECE_BYTES = 2**18


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of one response."""

    total_ms: float
    database_ms: float


@dataclass(frozen=True, slots=True)
class Timings:
    """The times of one query."""

    of: Sequence[Timing]

    @property
    def first_ms(self) -> float:
        """First response."""
        return self.of[0].total_ms

    @property
    def p50_ms(self) -> float:
        """Median."""
        return statistics.median(item.total_ms for item in self.of)

    @property
    def p90_ms(self) -> float:
        """90th percentile."""
        return sorted(item.total_ms for item in self.of)[len(self.of) * 9 // 10]

    @property
    def worst_ms(self) -> float:
        """Maximum."""
        return max(item.total_ms for item in self.of)

    @property
    def database_ms(self) -> float:
        """Median time spent waiting for PostgreSQL."""
        return statistics.median(item.database_ms for item in self.of)


class CpuTime:
    """CPU time of opslog's processes, independent of other work on the machine."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._query = product.pids("opslog query")

    def ms(self) -> tuple[float, float]:
        """Return that of the query servers and of PostgreSQL since their start."""
        return _cpu_ms(self._query), _cpu_ms(self._product.pids("postgres"))


def _cpu_ms(pids: Iterable[int]) -> float:
    spent_ns = 0
    for pid in pids:
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                spent_ns += int(path.read_text().split()[0])
            except OSError:
                continue
    return spent_ns / 1e6


class QueryClient:
    """A client with one token and one keep-alive connection, like a dashboard."""

    def __init__(self, url: str, token: str) -> None:
        place = urlsplit(url)
        self._client = http.client.HTTPConnection(place.hostname or "", place.port, timeout=120)
        self._headers = {"Authorization": f"Bearer {token}"}
        self.timed_out = 0
        """Queries that exceeded the time limit."""
        self.cursor = ""
        """`nextCursor` of the last response that had one."""

    def run(self, path: str, pairs: Pairs) -> Timing:
        """Run one query."""
        address = quote(path) + (f"?{urlencode(pairs)}" if pairs else "")
        begin = time.perf_counter()
        self._client.request("GET", address, headers=self._headers)
        response = self._client.getresponse()
        body = response.read()
        spent_ms = (time.perf_counter() - begin) * 1000
        if response.status not in {200, 503}:
            sys.exit(f"{address}: {response.status} {body[:300]!r}")
        self.timed_out += response.status == 503
        timing = _DATABASE.search(response.headers.get("Server-Timing", ""))
        self.cursor = next_cursor(body)
        return Timing(spent_ms, float(timing[1]) if timing else 0.0)

    def export(self, path: str) -> tuple[int, int]:
        """Read an export to its end; return its lines and bytes."""
        self._client.request("GET", path, headers=self._headers)
        response = self._client.getresponse()
        lines = size = 0
        while piece := response.read(_PIECE_BYTES):
            lines += piece.count(b"\n")
            size += len(piece)
        return lines, size

    def database_ms(self, route: str) -> float:
        """Return the total time a route waited for PostgreSQL: streams have no header."""
        self._client.request("GET", "/metrics", headers=self._headers)
        found = dict(_SUM.findall(self._client.getresponse().read().decode()))
        return float(found.get(route, 0)) * 1000


def next_cursor(body: bytes) -> str:
    """Return the cursor in a response without parsing it."""
    found = re.search(rb'"nextCursor":"([^"]+)"', body)
    return found[1].decode() if found else ""
