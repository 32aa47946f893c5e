"""The values of several fields and how many records have them, exact.

Packs are counted column by column, tables by one statement with grouping sets, both at a time. Too
many records in tables are not counted: they are not stored by column, so the caller samples.
SQL: names come from the tables below and the catalogue's segment numbers, values are arguments.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from query.planning.compile import LeafFilter, Order
from query.planning.counting import finish_scan, has_counters
from query.planning.explain import Explain, Skipped, add_explained
from query.planning.index_use import is_id_lookup
from query.planning.packed.facets import MOST_VALUES, FacetScan
from query.planning.pages import TRIES, WAVE_LEAVES, Pages, plan
from query.planning.scan_budget import Missing
from storage.database.read import LeafGone, Session, Statement
from storage.filtering.conditions import Arguments, attribute_text, condition_of, leaf_table
from storage.filtering.filters import Filter, TimeRange, all_of
from storage.record.times import datetime_of

MAX_TABLE_ROWS = 50_000
"""Records in tables that are counted: a tenth of a second. Packs have a budget of their own."""
MAX_FILTERED_ROWS = 300_000
"""The same where a filter leaves few of them to count."""
MAX_SCANNED_ROWS = 8_000_000
"""Records in packs that are looked at."""
_HOUR_NS = 3600 * 10**9


def _text(value: bytes) -> str:
    return value.decode()


COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    **{
        name: (f"{name}::text", _text)
        for name in (
            *("level", "kind", "source_module", "action", "resource_type", "resource_id"),
            *("actor_id", "correlation_id", "message"),
        )
    },
    "trace_id": ("replace(trace_id::text, '-', '')", bytes.hex),
    "span_id": ("encode(span_id, 'hex')", bytes.hex),
    "parent_span_id": ("encode(parent_span_id, 'hex')", bytes.hex),
    "duration_ns": ("duration_ns::text", str),
    "stream_id": ("stream_id::text", str),
    "ip_address": ("host(ip_address)", lambda text: text.decode().partition("/")[0]),
}
"""Column -> its text in SQL, and the text of a value in a pack."""


@dataclass(frozen=True, slots=True)
class FacetRequest:
    """What to count."""

    where: Filter
    """Without the time range; resources resolved."""
    start_ns: int
    end_ns: int
    columns: tuple[str, ...]
    attributes: tuple[str, ...]


@dataclass(slots=True)
class FacetCounts:
    """Result: value -> records, of each column, then of each attribute."""

    counts: list[Counter[str]]
    cut: set[int] = field(default_factory=set)
    """Places of the fields with too many values to count all."""
    missing: Missing | None = None


async def count_facets(session: Session, pages: Pages, request: FacetRequest) -> FacetCounts | None:
    """Count; None: too many records are in tables.

    Raises the errors of storage/database/read.py.
    """
    for _ in range(TRIES - 1):
        try:
            return await _count(session, pages, request)
        except LeafGone:
            await pages.refresh()
    return await _count(session, pages, request)


async def _count(session: Session, pages: Pages, request: FacetRequest) -> FacetCounts | None:
    leaves = await pages.leaves(session)
    where = all_of(TimeRange(request.start_ns, request.end_ns), request.where)
    parts = plan(leaves, where, Order.NEWEST)
    tables = [part for part in parts if not part.leaf.is_packed]
    if tables and not is_id_lookup(where):
        rows = await session.rows(_rows_statement(request, tables))
        most = MAX_TABLE_ROWS if has_counters(request.where) else MAX_FILTERED_ROWS
        if (rows[0]["rows"] or 0) > most:
            return None
    found = FacetCounts([Counter() for _ in (*request.columns, *request.attributes)])
    packed = [part for part in parts if part.leaf.is_packed]
    explain = Explain(segments=len(leaves), leaves_read=len(tables))
    explain.skip_segments(Skipped.CATALOGUE, len(leaves) - len(parts))
    columns = {name: COLUMNS[name][1] for name in request.columns}
    scan = FacetScan(
        pages.packs, packed, columns, request.attributes, most_scanned=MAX_SCANNED_ROWS
    )
    scan.explain = explain
    scanning = asyncio.create_task(_scan(session, pages, scan, found))
    try:
        for begin in range(0, len(tables), WAVE_LEAVES):
            wave = tables[begin : begin + WAVE_LEAVES]
            for row in await session.rows(_statement(request, wave)):
                found.counts[row["place"]][row["value"]] += row["n"]
        await scanning
    finally:
        scanning.cancel()
        await asyncio.gather(scanning, return_exceptions=True)
    add_explained(explain)
    return found


async def _scan(session: Session, pages: Pages, scan: FacetScan, found: FacetCounts) -> None:
    found.missing = await finish_scan(session, pages, scan)
    for counts, more in zip(found.counts, scan.counts, strict=True):
        counts.update(more)
    found.cut |= scan.cut


def _rows_statement(request: FacetRequest, tables: Sequence[LeafFilter]) -> Statement:
    """At least as many rows as these tables have in the range."""
    segments = [part.leaf.segment for part in tables]
    begin = datetime_of(request.start_ns // _HOUR_NS * _HOUR_NS // 1000)
    end = datetime_of(request.end_ns // 1000)
    text = (
        "SELECT sum(rows)::bigint AS rows FROM log_counts_hourly"
        " WHERE segment = ANY ($1) AND hour >= $2 AND hour <= $3"
    )
    return Statement(text, (segments, begin, end))


def _statement(request: FacetRequest, wave: Sequence[LeafFilter]) -> Statement:
    """The values of all fields, each row with the place of its field."""
    arguments = Arguments()
    texts = [COLUMNS[name][0] for name in request.columns]
    texts += [attribute_text(name, arguments) for name in request.attributes]
    named = ", ".join(f"{text} AS c{place}" for place, text in enumerate(texts))
    leaves = " UNION ALL ".join(
        f"SELECT {named} FROM {leaf_table(part.leaf.segment)} "  # noqa: S608
        f"WHERE {condition_of(part.condition, arguments)}"
        for part in wave
    )
    names = [f"c{place}" for place in range(len(texts))]
    place = " ".join(f"WHEN GROUPING({name}) = 0 THEN {at}" for at, name in enumerate(names))
    sets = ", ".join(f"({name})" for name in names)
    most = arguments.add(MOST_VALUES * len(names), "bigint")
    text = (
        f"SELECT place, value, n FROM (SELECT CASE {place} END AS place,"  # noqa: S608
        f" coalesce({', '.join(names)}) AS value, count(*) AS n"
        f" FROM ({leaves}) AS l GROUP BY GROUPING SETS ({sets})) AS g"
        f" WHERE value IS NOT NULL ORDER BY n DESC LIMIT {most}"
    )
    return Statement(text, arguments.values())
