"""Queries in process, without HTTP: the same records from leaves (not sealed) and from packs.

    python -m loadtests.bench_packed --rows 200000

Rough numbers for work on query/planning/packed; `make bench-query` measures the product.
"""

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import opslog  # noqa: F401 - first: it decides whether the codec is the compiled one
from query.planning import faceting
from query.planning.compile import Order
from query.planning.counting import CountRequest, count_records
from query.planning.export import Export
from query.planning.faceting import FacetRequest, count_facets
from query.planning.packed.reading import PackReader
from query.planning.pages import Pages, Query
from query.planning.trace_list import TraceRequest, find_traces, start_ns
from storage.database.pool import DatabaseRole, open_pool
from storage.database.read import Reader, Streams
from storage.database.statements import statement
from storage.filtering.filters import (
    EVERYTHING,
    AttrEquals,
    FieldEquals,
    FieldPresent,
    Filter,
    Regex,
    Text,
    TimeRange,
    all_of,
)
from storage.record.canonical import canonical
from storage.record.fields import ACTOR_ID, ID, KIND, LEVEL, SOURCE_MODULE, TRACE_ID, Kind
from storage.segments.catalogue import Segment
from tests.support.databases import fresh_database, make_template
from tests.support.querying import Packing, Storehouse
from tests.support.records import make_record
from tests.support.servers import postgres_server

REQUEST = 500
_START_NS = time.time_ns() - 86_400 * 10**9
_WORDS = [
    *("cache", "refreshed", "payment", "order", "cart", "item", "stock", "refused", "shipped"),
    *("returned", "late", "queue"),
]


class Fixed:
    """A catalogue that does not change."""

    def __init__(self, segments: list[Segment]) -> None:
        self._segments = tuple(segments)

    def segments(self) -> tuple[Segment, ...]:
        """All of them."""
        return self._segments

    async def refresh(self) -> None:
        """Nothing to do."""


def record_of(chance: random.Random, number: int, rows: int) -> Any:
    """A shop's record."""
    user, order = f"u-{chance.randrange(5000)}", f"ORD-{chance.randrange(10**8):08d}"
    at_ns = _START_NS + number * 86_000 * 10**9 // rows + chance.randrange(10**6)
    words = " ".join(chance.choice(_WORDS) for _ in range(3))
    document = {
        "otel": {"flags": 1, "observed_ns": at_ns + 1000},
        "attributes": {
            "user.id": user,
            "order.id": order,
            "duration_ms": chance.randrange(10_000) / 8,
            "http.status_code": chance.choice([200, 200, 200, 404, 500]),
            "span.key": f"{chance.getrandbits(64):016x}",
        },
    }
    is_span = number % 4 == 0
    return make_record(
        kind="span" if is_span else "log",
        parent_span_id=(number - 4).to_bytes(8, "big") if number % 32 and is_span else None,
        duration_ns=chance.randrange(10**9) if is_span else None,
        level=chance.choice([0, 0, 1, 1, 1, 1, 1, 1, 2, 3]),
        created_unix_ns=at_ns,
        id=(at_ns // 10**6).to_bytes(6, "big") + os.urandom(10),
        trace_id=(number // 32).to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big") if is_span else chance.randbytes(8),
        actor_id=user,
        source_module=chance.choice(["checkout", "payments", "stock", "mail"]),
        message=f"Order {order} by {user}: {words} after {chance.randrange(3000)} ms",
        metadata=canonical(document),
    )


async def fill(folder: Path, dsn: str, rows: int) -> tuple[list[Segment], Packing]:
    """Store and pack; the leaves stay."""
    chance = random.Random(1)
    async with (
        await open_pool(dsn, DatabaseRole.WRITER, size=2) as writers,
        await open_pool(dsn, DatabaseRole.OWNER, size=1) as owners,
        owners.acquire() as owner,
    ):
        async with Storehouse.open(folder / "spool", writers) as store:
            for begin in range(0, rows, REQUEST):
                await store.put(*[record_of(chance, begin + n, rows) for n in range(REQUEST)])
                if begin % 50_000 == 0:
                    for name in ("debug", "info", "warn", "error"):
                        await store.roll(name)
        packing = Packing(folder / "packs")
        begin_s = time.monotonic()
        await packing.pack(owner, keeps_leaves=True)
        print(f"packed in {time.monotonic() - begin_s:.1f} s")
        await owner.execute("ANALYZE")
        found = await owner.fetch(statement("catalogue"))
    return [Segment(**row) for row in found], packing


async def timed(work: Callable[[int], Awaitable[Any]], repeats: int) -> tuple[float, Any]:
    """Median in ms, and what the last run gave."""
    taken, found = [], None
    for number in range(repeats):
        begin_s = time.perf_counter()
        found = await work(number)
        taken.append((time.perf_counter() - begin_s) * 1000)
    return statistics.median(taken), found


class Cases:
    """The queries, each a function of pages and the number of the run."""

    def __init__(self, reader: Reader, rows: list[Any]) -> None:
        self._reader = reader
        self._rows = rows
        """Of these, one a run is searched for."""
        self._end_ns = _START_NS + 86_000 * 10**9
        self._hour = TimeRange(self._end_ns - 3600 * 10**9, self._end_ns)

    def all(self) -> dict[str, Any]:
        """Name to query."""
        window = TimeRange(self._end_ns - 430 * 10**9, self._end_ns)
        phrase = Text("refused late")
        return {
            "needle in message": self.page(lambda row: Text(row["message"].split()[1]), 100),
            "trace by id": self.page(
                lambda row: FieldEquals(TRACE_ID, row["trace_id"]), 1000, Order.OLDEST
            ),
            "record by id": self.page(lambda row: FieldEquals(ID, row["id"]), 1),
            "actor, newest 100": self.page(lambda row: FieldEquals(ACTOR_ID, row["actor_id"]), 100),
            "newest 100 of a service": self.page(
                lambda _: FieldEquals(SOURCE_MODULE, "stock"), 100
            ),
            "attribute equality": self.page(
                lambda row: AttrEquals("order.id", row["message"].split()[1]), 100
            ),
            "phrase, newest 100": self.page(lambda _: phrase, 100),
            "page of 500": self.page(lambda _: EVERYTHING, 500),
            "export of 1,000": self.export(window),
            "export of everything": self.export(EVERYTHING),
            "count of a phrase": self.count(phrase, LEVEL),
            "count by service, a phrase": self.count(phrase, SOURCE_MODULE),
            "count of a regex": self.count(Regex("ref.*la", ignores_case=False), LEVEL),
            "count by minute, a phrase": self.count(phrase, LEVEL, 60),
            "count of an attribute": self.count(AttrEquals("http.status_code", "500"), LEVEL),
            "facets of an hour": self.facets(self._hour),
            "facets, a phrase": self.facets(phrase),
            "traces of an hour": self.traces(EVERYTHING),
            "traces of an hour, a service": self.traces(
                FieldEquals(SOURCE_MODULE, "stock"), lambda row: row["source_module"] == "stock"
            ),
        }

    def page(self, where: Callable[[Any], Filter], limit: int, order: Order = Order.NEWEST) -> Any:
        """One page."""

        async def run(pages: Pages, number: int) -> int:
            async with self._reader.session() as session:
                query = Query(where(self._rows[number]), order, limit)
                return len((await pages.read(session, query)).rows)

        return run

    def count(self, where: Filter, by: Any, step_s: int | None = None) -> Any:
        """A count, or a histogram."""

        async def run(pages: Pages, _: int) -> int:
            end_ns = self._end_ns + 10**12
            request = CountRequest(where, _START_NS - 1, end_ns, by, step_s)
            async with self._reader.session() as session:
                return sum((await count_records(session, pages, request)).counts.values())

        return run

    def facets(self, where: Filter) -> Any:
        """Five columns and three attributes."""

        async def run(pages: Pages, _: int) -> Any:
            columns = ("level", "source_module", "action", "kind", "resource_type")
            attributes = ("http.status_code", "user.id", "duration_ms")
            request = FacetRequest(where, _START_NS, self._end_ns, columns, attributes)
            async with self._reader.session() as session:
                found = await count_facets(session, pages, request)
            return found and sum(found.counts[0].values())

        return run

    def traces(self, where: Filter, matches: Callable[[Any], bool] = lambda _: True) -> Any:
        """Fifty traces."""

        async def run(pages: Pages, _: int) -> int:
            is_span = all_of(FieldEquals(KIND, Kind.SPAN), FieldPresent(TRACE_ID))
            request = TraceRequest(
                spans=all_of(self._hour, is_span, where),
                matches=lambda row: start_ns(row) >= self._hour.start_ns and matches(row),
                visible=EVERYTHING,
                order=Order.NEWEST,
                limit=50,
                after=None,
                accepts=lambda _: True,
            )
            async with self._reader.session() as session:
                return len((await find_traces(session, pages, request)).traces)

        return run

    def export(self, where: Filter) -> Any:
        """All rows."""

        async def run(pages: Pages, _: int) -> int:
            pieces = Export(self._reader, pages, Streams()).pieces(where, Order.NEWEST)
            return sum([len(piece.rows) async for piece in pieces])

        return run


async def measure(
    dsn: str, segments: list[Segment], packing: Packing, *, repeats: int, only: str
) -> None:
    """Run and print all cases."""
    faceting.MAX_TABLE_ROWS = 10**9
    packs = PackReader(packing.store)
    unpacked = [replace(item, state="closed") if item.is_packed else item for item in segments]
    tiers = [Pages(Fixed(unpacked), packs), Pages(Fixed(segments), packs)]
    async with await open_pool(dsn, DatabaseRole.READER, size=2) as readers:
        reader = Reader(readers, limit_s=30)
        async with reader.session() as session:
            some = (await tiers[1].read(session, Query(EVERYTHING, Order.NEWEST, 5000))).rows
        chance = random.Random(3)
        cases = Cases(reader, [chance.choice(some) for _ in range(repeats)])
        print(f"{'ms, p50':30}{'leaves':>10}{'packs':>10}{'found':>10}")
        for name, run in cases.all().items():
            if only not in name:
                continue
            times = 3 if "everything" in name else -(-repeats // 2) if "count" in name else repeats
            cells = [await timed(partial(run, pages), times) for pages in tiers]
            assert cells[0][1] == cells[1][1], (name, cells)
            print(f"{name:30}{cells[0][0]:10.1f}{cells[1][0]:10.1f}{cells[1][1]:10,}", flush=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--only", default="", help="queries whose name contains this")
    chosen = parser.parse_args()

    async def run(dsn: str, folder: Path) -> None:
        segments, packing = await fill(folder, dsn, chosen.rows)
        await measure(dsn, segments, packing, repeats=chosen.repeats, only=chosen.only)

    with (
        postgres_server(durable=False) as server,
        tempfile.TemporaryDirectory() as folder,
        fresh_database(server.dsn, make_template(server.dsn)) as database,
    ):
        asyncio.run(run(database.dsn, Path(folder)))


if __name__ == "__main__":
    main()
