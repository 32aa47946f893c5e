"""Finds traces by any of their spans, with statistics of whole traces.

    spans that match, in order -> whole traces of these, by id -> traces at their first such span

A trace is listed at its first span that matches, which is one row: so each trace comes once, and
that row's key is the cursor, whatever else arrives. Whether it matches as a whole is decided by
its statistics.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from config.levels import Level
from query.planning.compile import Key, Order, key_and
from query.planning.pages import Pages, Query, key_of
from query.planning.scan_budget import Missing
from storage.database.read import Row, Session
from storage.filtering.filters import FieldEquals, FieldIn, Filter, TimeRange, all_of
from storage.record.fields import KIND, TRACE_ID, Kind
from storage.record.times import microseconds_of

SPAN_COLUMNS = key_and(
    *("kind", "level", "source_module", "action", "span_id", "parent_span_id", "duration_ns"),
    "trace_id",
)
ERRORS = frozenset({Level.ERROR.name, Level.CRITICAL.name})
MAX_SPANS = 50_000
"""Spans of the traces of one batch that are read; beyond that, traces are cut."""
MAX_BATCHES = 20
"""Batches of one page. A page of fewer traces has a cursor, too."""
_SPANS_OF_TRACE = 8
"""Spans that are read for each trace of the page, to begin with."""
_LEAST, _MOST = 200, 2000
"""Spans of a batch."""
_NEAR_NS = 3600 * 10**9
"""Spans of one trace are that near to each other, and their durations."""


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """Which traces."""

    spans: Filter
    """Of one of its spans; resources resolved."""
    matches: Callable[[Row], bool] | None
    """The same of a span that is read and visible; None: only a query tells."""
    visible: Filter
    """Of the spans that its statistics are of."""
    order: Order
    limit: int
    after: Key | None
    accepts: Callable[["TraceStatistics"], bool]
    """Whether the whole trace matches."""


@dataclass(slots=True)
class TraceStatistics:
    """A whole trace."""

    top: Row
    """Its root, or the first span whose parent is not there."""
    has_root: bool
    start_ns: int
    end_ns: int
    spans: int
    errors: int
    services: list[str]
    """That of the top first."""
    is_cut: bool
    """Not all of its spans were read."""

    @property
    def duration_ns(self) -> int:
        """From the first start to the last end."""
        return self.end_ns - self.start_ns


@dataclass(slots=True)
class TraceList:
    """A page of traces, in the order of the spans they were found by."""

    traces: list[TraceStatistics] = field(default_factory=list)
    after: Key | None = None
    """Where the next page begins; None: there are no more."""
    missing: Missing | None = None


Place: TypeAlias = tuple[datetime, int, int, int]


def place_of(row: Row) -> Place:
    """Where a row is in the order: its key without the id, which no two rows share."""
    return row["created_at"], row["created_ns"], row["batch_id"], row["position"]


def start_ns(row: Row) -> int:
    """Start of a span in nanoseconds since 1970."""
    return microseconds_of(row["created_at"]) * 1000 + int(row["created_ns"])


def statistics_of(spans: Sequence[Row], *, is_cut: bool) -> TraceStatistics:
    """The statistics of a trace's spans, of which there is at least one. Duplicates count once."""
    distinct: dict[tuple[object, ...], tuple[int, Row]] = {}
    for row in spans:
        begin_ns = start_ns(row)
        same = (row["span_id"], row["source_module"], row["action"], begin_ns)
        distinct.setdefault(same, (begin_ns, row))
    timed = sorted(distinct.values(), key=lambda item: item[0])
    rows = [row for _, row in timed]
    ids = {row["span_id"] for row in rows}
    roots = [row for row in rows if row["parent_span_id"] is None]
    tops = roots or [row for row in rows if row["parent_span_id"] not in ids] or rows
    return TraceStatistics(
        top=tops[0],
        has_root=bool(roots),
        start_ns=timed[0][0],
        end_ns=max(begin_ns + (row["duration_ns"] or 0) for begin_ns, row in timed),
        spans=len(rows),
        errors=sum(row["level"] in ERRORS for row in rows),
        services=list(dict.fromkeys(row["source_module"] for row in [tops[0], *rows])),
        is_cut=is_cut,
    )


async def find_traces(session: Session, pages: Pages, request: TraceRequest) -> TraceList:
    """A page of traces. Raises the errors of storage/database/read.py."""
    found = TraceList(after=request.after)
    known: dict[UUID, tuple[TraceStatistics, Place]] = {}
    size = min(max(request.limit * _SPANS_OF_TRACE, _LEAST), _MOST)
    for _ in range(MAX_BATCHES):
        query = Query(request.spans, request.order, size, found.after, SPAN_COLUMNS)
        page = await pages.read(session, query)
        found.missing = found.missing or page.missing
        new = [row for row in page.rows if row["trace_id"] not in known]
        if new:
            await _learn(session, pages, request, new, known)
        for row in page.rows:
            trace, first = known[row["trace_id"]]
            if place_of(row) == first and request.accepts(trace):
                if len(found.traces) == request.limit:
                    return found
                found.traces.append(trace)
                found.after = key_of(row)
        if not page.has_more:
            found.after = None
            return found
        found.after = key_of(page.rows[-1])
    return found


async def _learn(
    session: Session,
    pages: Pages,
    request: TraceRequest,
    rows: Sequence[Row],
    known: dict[UUID, tuple[TraceStatistics, Place]],
) -> None:
    """Read the whole traces of these spans, and which of their spans is the first that matches."""
    ids = tuple(dict.fromkeys(row["trace_id"] for row in rows))
    begins = [start_ns(row) for row in rows]
    longest = max(row["duration_ns"] or 0 for row in rows)
    near = TimeRange(min(begins) - _NEAR_NS, max(begins) + longest + _NEAR_NS)
    of_traces = all_of(FieldIn(TRACE_ID, ids), FieldEquals(KIND, Kind.SPAN))
    whole = Query(
        all_of(near, request.visible, of_traces), Order.OLDEST, MAX_SPANS, columns=SPAN_COLUMNS
    )
    spans = await pages.read(session, whole)
    by_trace: dict[UUID, list[Row]] = {trace_id: [] for trace_id in ids}
    # A span that was just found is there even if the whole trace is not.
    for row in (*spans.rows, *rows):
        by_trace[row["trace_id"]].append(row)
    if request.matches is not None:
        matching = [row for row in (*spans.rows, *rows) if request.matches(row)]
    else:
        query = Query(
            all_of(request.spans, of_traces), Order.OLDEST, MAX_SPANS, columns=key_and("trace_id")
        )
        matching = [*(await pages.read(session, query)).rows, *rows]
    first: dict[UUID, Place] = {}
    for row in matching:
        place = place_of(row)
        first[row["trace_id"]] = min(first.get(row["trace_id"], place), place)
    for trace_id, of_trace in by_trace.items():
        trace = statistics_of(of_trace, is_cut=spans.has_more)
        known[trace_id] = trace, first[trace_id]
