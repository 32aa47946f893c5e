"""Asks questions over one connection and takes the time (loadtests/bench_query.py)."""

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
_PIECE_BYTES = 2**18


@dataclass(frozen=True, slots=True)
class Once:
    """One answer."""

    total_ms: float
    database_ms: float


@dataclass(frozen=True, slots=True)
class Taken:
    """The times of one question."""

    of: Sequence[Once]

    @property
    def first_ms(self) -> float:
        """The very first one."""
        return self.of[0].total_ms

    @property
    def p50_ms(self) -> float:
        """Median."""
        return statistics.median(item.total_ms for item in self.of)

    @property
    def p90_ms(self) -> float:
        """One in ten is slower."""
        return sorted(item.total_ms for item in self.of)[len(self.of) * 9 // 10]

    @property
    def worst_ms(self) -> float:
        """The slowest."""
        return max(item.total_ms for item in self.of)

    @property
    def database_ms(self) -> float:
        """Median of the time spent waiting for PostgreSQL."""
        return statistics.median(item.database_ms for item in self.of)


class Spending:
    """CPU time of the product's processes, which other work on the machine does not change."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._query = [product.find("query") or 0]

    def ms(self) -> tuple[float, float]:
        """Of the query server and of PostgreSQL, since they began."""
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


class Asker:
    """One client with one token and one kept connection, as a dashboard has."""

    def __init__(self, url: str, token: str) -> None:
        place = urlsplit(url)
        self._client = http.client.HTTPConnection(place.hostname or "", place.port, timeout=120)
        self._headers = {"Authorization": f"Bearer {token}"}
        self.given_up = 0
        """Questions that took longer than they may."""
        self.cursor = ""
        """`nextCursor` of the last answer that had one."""

    def ask(self, path: str, pairs: Pairs) -> Once:
        """One question."""
        address = quote(path) + (f"?{urlencode(pairs)}" if pairs else "")
        begin = time.perf_counter()
        self._client.request("GET", address, headers=self._headers)
        answer = self._client.getresponse()
        body = answer.read()
        spent_ms = (time.perf_counter() - begin) * 1000
        if answer.status not in {200, 503}:
            sys.exit(f"{address}: {answer.status} {body[:300]!r}")
        self.given_up += answer.status == 503
        said = answer.headers.get("Server-Timing", "db;dur=0")
        self.cursor = following(body)
        return Once(spent_ms, float(said.partition("dur=")[2]))

    def export(self, path: str) -> tuple[int, int]:
        """Reads an export to its end; its lines and bytes."""
        self._client.request("GET", path, headers=self._headers)
        answer = self._client.getresponse()
        lines = size = 0
        while piece := answer.read(_PIECE_BYTES):
            lines += piece.count(b"\n")
            size += len(piece)
        return lines, size

    def database_ms(self, route: str) -> float:
        """What answers of a route have waited for PostgreSQL so far: streams have no header."""
        self._client.request("GET", "/metrics", headers=self._headers)
        found = dict(_SUM.findall(self._client.getresponse().read().decode()))
        return float(found.get(route, 0)) * 1000


def following(body: bytes) -> str:
    """The cursor in an answer, without reading all of it."""
    found = re.search(rb'"nextCursor":"([^"]+)"', body)
    return found[1].decode() if found else ""
