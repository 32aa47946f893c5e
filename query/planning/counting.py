"""How many records a filter selects, by time and by one field: from counters, or from rows.

The database has counters per minute and hour by level, kind and source module, updated in the
transaction of the rows. A filter on these fields only is counted from them, except for partial
minutes at the ends of its range, which are counted from rows; both are exact. SQL: names come from
storage/record/fields.py and the catalogue's segment numbers, values are arguments.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from query.planning.compile import LeafFilter, Order
from query.planning.explain import Explain, Skipped, add_explained
from query.planning.index_use import scans_leaves
from query.planning.packed.counts import CountScan
from query.planning.packed.scanning import BlocksScan
from query.planning.pages import LOOKUP_LEAVES, TRIES, WAVE_LEAVES, Pages, plan
from query.planning.scan_budget import (
    TOO_MANY,
    Missing,
    both,
    missing_of,
    unreadable_of,
    within_budget,
)
from storage.database.read import LeafGone, QueryTimeout, Row, Session, Statement
from storage.filtering.conditions import Arguments, condition_of, leaf_table
from storage.filtering.filters import (
    And,
    FieldCompare,
    FieldEquals,
    FieldIn,
    FieldPrefix,
    FieldPresent,
    Filter,
    Not,
    Or,
    Regex,
    TimeRange,
    all_of,
)
from storage.record.fields import ACTION, KIND, KIND_OF_LETTER, LEVEL, SOURCE_MODULE, Field
from storage.record.times import datetime_of

BY: dict[str, Field] = {item.name: item for item in (LEVEL, SOURCE_MODULE, ACTION, KIND)}
"""Fields to group counts by."""
COUNTED = frozenset({LEVEL, KIND, SOURCE_MODULE})
"""Fields of the counters."""

MAX_SCANNED_ROWS = 8_000_000
"""Records scanned to count them without an index: as many as the statement timeout allows."""
_TIMED_OUT = "the rest timed out"
_MINUTE_NS = 60 * 10**9
_HOUR_S = 3600
_HOUR_NS = _HOUR_S * 10**9
_WEEK_S = 7 * 86400
_MONDAY_S = 4 * 86400
"""The first Monday after the epoch: the origin of weeks."""


@dataclass(frozen=True, slots=True)
class CountRequest:
    """What to count."""

    where: Filter
    """Without the time range; resources resolved."""
    start_ns: int
    end_ns: int
    by: Field
    step_s: int | None
    """Length of a bucket; None: a single bucket."""


@dataclass(slots=True)
class Counts:
    """Result: (bucket's start in seconds since 1970, or 0; value) -> records."""

    counts: dict[tuple[int, str], int] = field(default_factory=lambda: defaultdict(int))
    missing: Missing | None = None

    def totals(self) -> list[tuple[str, int]]:
        """Records per value, the most frequent first."""
        sums: dict[str, int] = defaultdict(int)
        for (_, value), count in self.counts.items():
            sums[value] += count
        return sorted(sums.items(), key=lambda item: (-item[1], item[0]))


def is_counted(where: Filter, by: Field, step_s: int | None = None) -> bool:
    """Whether the counters, which are per minute, suffice."""
    in_minutes = step_s is None or step_s % 60 == 0
    return in_minutes and by in COUNTED and has_counters(where)


def has_counters(condition: Filter) -> bool:
    """Whether a filter is of fields of the counters only."""
    match condition:
        case And(of) | Or(of):
            return all(map(has_counters, of))
        case Not(of):
            return has_counters(of)
        case FieldEquals() | FieldIn() | FieldCompare() | FieldPrefix() | FieldPresent() | Regex():
            return condition.field in COUNTED
        case _:
            return False


def bucket_of(at_s: int, step_s: int) -> int:
    """Start of the bucket that contains a second."""
    origin = _origin_s(step_s)
    return origin + (at_s - origin) // step_s * step_s


def _origin_s(step_s: int) -> int:
    return _MONDAY_S if step_s % _WEEK_S == 0 else 0


async def count_records(session: Session, pages: Pages, request: CountRequest) -> Counts:
    """Count. Raises the errors of storage/database/read.py unless a part could be counted."""
    for _ in range(TRIES - 1):
        try:
            return await _count(session, pages, request)
        except LeafGone:
            await pages.refresh()
    return await _count(session, pages, request)


async def _count(session: Session, pages: Pages, request: CountRequest) -> Counts:
    found = Counts()
    row_spans = [(request.start_ns, request.end_ns)]
    if is_counted(request.where, request.by, request.step_s):
        parts, row_spans = _parts(request)
        if parts:
            _add(found, request, await session.rows(_counter_statement(request, parts)))
    spans = [TimeRange(begin, end) for begin, end in row_spans if begin < end]
    if spans:
        await _count_rows(session, pages, request, spans, found)
    return found


def _parts(request: CountRequest) -> tuple[list[tuple[str, int, int]], list[tuple[int, int]]]:
    """The range split into (counter table, begin, end), and the rest to count from rows."""
    first, last = (
        -(-request.start_ns // _MINUTE_NS) * _MINUTE_NS,
        request.end_ns // _MINUTE_NS * _MINUTE_NS,
    )
    if first >= last:
        return [], [(request.start_ns, request.end_ns)]
    left = [(request.start_ns, first), (last, request.end_ns)]
    begin, end = -(-first // _HOUR_NS) * _HOUR_NS, last // _HOUR_NS * _HOUR_NS
    if begin >= end or (request.step_s is not None and request.step_s % _HOUR_S):
        return [("log_counts", first, last)], left
    parts = [
        ("log_counts", first, begin),
        ("log_counts_hourly", begin, end),
        ("log_counts", end, last),
    ]
    return [part for part in parts if part[1] < part[2]], left


_TIME = {"log_counts": "minute", "log_counts_hourly": "hour"}


def _counter_statement(request: CountRequest, parts: Sequence[tuple[str, int, int]]) -> Statement:
    arguments = Arguments()
    selects = [_select_counters(request, *part, arguments) for part in parts]
    return Statement(" UNION ALL ".join(selects), arguments.values())


def _select_counters(
    request: CountRequest, table: str, begin_ns: int, end_ns: int, arguments: Arguments
) -> str:
    at = _TIME[table]
    begin = arguments.add(datetime_of(begin_ns // 1000), "timestamptz")
    end = arguments.add(datetime_of(end_ns // 1000), "timestamptz")
    condition = condition_of(request.where, arguments)
    bucket = _bucket(request, at, arguments)
    return (
        f"SELECT {bucket} AS bucket, {request.by.column}::text AS value, sum(rows)::bigint AS n "  # noqa: S608
        f"FROM {table} WHERE {at} >= {begin} AND {at} < {end} AND {condition} GROUP BY 1, 2"
    )


def _bucket(request: CountRequest, column: str, arguments: Arguments) -> str:
    if request.step_s is None:
        return "NULL::timestamptz"
    seconds = arguments.add(request.step_s, "integer")
    origin = arguments.add(datetime_of(_origin_s(request.step_s) * 10**6), "timestamptz")
    return f"date_bin({seconds} * interval '1 second', {column}, {origin})"


async def _count_rows(
    session: Session, pages: Pages, request: CountRequest, spans: Sequence[TimeRange], found: Counts
) -> None:
    leaves = await pages.leaves(session)
    parts = [
        part for span in spans for part in plan(leaves, all_of(span, request.where), Order.NEWEST)
    ]
    packed = [part for part in parts if part.leaf.is_packed]
    tables = [part for part in parts if not part.leaf.is_packed]
    explain = Explain(segments=len(leaves) * len(spans))
    explain.skip_segments(Skipped.CATALOGUE, explain.segments - len(parts))
    of_packs = asyncio.create_task(_count_packs(session, pages, request, packed, explain))
    try:
        explain.leaves_read = await _count_tables(session, request, tables, found)
        more = await of_packs
    finally:
        of_packs.cancel()
        await asyncio.gather(of_packs, return_exceptions=True)
    for key, count in more.counts.items():
        found.counts[key] += count
    found.missing = both(found.missing, more.missing)
    explain.skip_segments(Skipped.LIMIT, len(tables) - explain.leaves_read)
    explain.rows_found = sum(found.counts.values())
    add_explained(explain)


async def _count_tables(
    session: Session, request: CountRequest, parts: Sequence[LeafFilter], found: Counts
) -> int:
    """Count what time and budget allow; how many tables that were."""
    chosen, found.missing = within_budget(parts, most_rows=MAX_SCANNED_ROWS)
    most = LOOKUP_LEAVES if session.keeps_plans else WAVE_LEAVES
    for begin in range(0, len(chosen), most):
        wave = chosen[begin : begin + most]
        try:
            rows = await session.rows(_row_statement(request, wave))
        except QueryTimeout:
            if not found.counts:
                raise
            found.missing = missing_of(chosen[begin:], _TIMED_OUT)
            return begin
        _add(found, request, rows)
    return len(chosen)


async def _count_packs(
    session: Session,
    pages: Pages,
    request: CountRequest,
    parts: Sequence[LeafFilter],
    explain: Explain,
) -> Counts:
    found = Counts()
    if not parts:
        return found
    origin_s = 0 if request.step_s is None else _origin_s(request.step_s)
    most = MAX_SCANNED_ROWS if scans_leaves(request.where) else None
    scan = CountScan(pages.packs, parts, request.by, request.step_s, origin_s, most_scanned=most)
    scan.explain = explain
    found.missing = await finish_scan(session, pages, scan)
    for (at, text), count in scan.counts.items():
        found.counts[at, _shown(request, text)] += count
    return found


async def finish_scan(session: Session, pages: Pages, scan: BlocksScan) -> Missing | None:
    """Run a scan to its end; what it did not count.

    Raises QueryTimeout if it counted nothing in time, and LeafGone if packs were replaced.
    """
    missing = None
    if not await scan.finish(session.deadline_s):
        if not scan.has_counted:
            raise QueryTimeout
        missing = missing_of(scan.left, _TIMED_OUT)
    elif scan.left:
        missing = missing_of(scan.left, TOO_MANY)
    if scan.unreadable:
        await pages.refresh()
        if not pages.are_packed(scan.unreadable):
            raise LeafGone("segments changed while they were counted")
        missing = both(missing, unreadable_of(scan.unreadable.values()))
    return missing


def _row_statement(request: CountRequest, wave: Sequence[LeafFilter]) -> Statement:
    arguments = Arguments()
    bucket = _bucket(request, "created_at", arguments)
    leaves = " UNION ALL ".join(
        f"SELECT {bucket} AS bucket, {request.by.column}::text AS value, count(*) AS n "  # noqa: S608
        f"FROM {leaf_table(part.leaf.segment)} WHERE {condition_of(part.condition, arguments)} "
        "GROUP BY 1, 2"
        for part in wave
    )
    text = f"SELECT bucket, value, sum(n)::bigint AS n FROM ({leaves}) AS l GROUP BY 1, 2"  # noqa: S608
    return Statement(text, arguments.values())


def _add(found: Counts, request: CountRequest, rows: Sequence[Row]) -> None:
    for row in rows:
        at: datetime | None = row["bucket"]
        value = _shown(request, row["value"])
        found.counts[0 if at is None else int(at.timestamp()), value] += row["n"]


def _shown(request: CountRequest, text: str) -> str:
    """A value of the counted column, as the API names it."""
    return KIND_OF_LETTER[text.encode()].word if request.by is KIND else text


FIRST_COUNTED = Statement("SELECT min(hour) AS hour FROM log_counts_hourly")
"""Hour of the oldest record."""
