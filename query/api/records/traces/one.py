"""One trace, its records and its summary: handler, models, route."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from aiohttp import web

from query.analysis.traces import Span, Trace, assembled, services_of
from query.api.http.call import Call, Route
from query.api.http.models import Model
from query.api.http.responses import conditional_response
from query.api.records.models import LogPage
from query.api.records.querying import Querying, ScopedSearch, members, notes, read_route
from query.language.filter_parameters import trace_id
from query.planning.compile import Order
from query.planning.pages import Page, Query
from query.planning.search import TRACE
from query.planning.trace_list import ERRORS, SPAN_COLUMNS, start_ns
from query.render.records import page_json, records
from storage.database.read import Row, Session, spent_on
from storage.filtering.filters import FieldEquals
from storage.record.fields import TRACE_ID
from storage.record.times import rfc3339_ns

MAX_SPANS = 10_000
"""Records of one trace that its summary covers."""


class TraceService(Model):
    """One service's part of a trace."""

    service: str
    spans: int
    self_ns: int
    """Time of its spans not covered by child spans."""
    errors: int


class PathStep(Model):
    """One span of the critical path."""

    span_id: str
    self_ns: int


class TraceNode(Model):
    """A span in the tree."""

    span_id: str
    parent_span_id: str | None
    depth: int
    is_orphan: bool
    """Its parent is missing."""
    service: str
    operation: str
    start: datetime
    duration_ns: int
    self_ns: int
    is_error: bool


class TraceSummary(Model):
    """A trace as a whole."""

    trace_id: str
    start: datetime | None
    duration_ns: int
    spans: int
    logs: int
    errors: int
    services: list[TraceService]
    missing_parents: list[str]
    """Ids of parent spans that are not stored."""
    critical_path: list[PathStep]
    tree: list[TraceNode]
    """Depth first."""
    is_cut: bool
    """The trace has more records than the summary covers."""


class TracePage(LogPage):
    """A page of a trace's records, oldest first; the first page includes the summary."""

    trace: TraceSummary | None = None


class TraceRoutes:
    """The route that returns a trace."""

    def __init__(self, querying: Querying) -> None:
        self._querying = querying
        self._from = querying.sources

    def routes(self) -> Iterable[Route]:
        """GET /api/v1/logs/trace/{traceId}."""
        yield read_route(
            "/logs/trace/{traceId}",
            self.one,
            action="logs.trace",
            summary="Spans and logs of a trace, oldest first",
            parameters=TRACE,
            response=TracePage,
        )

    async def one(self, call: Call) -> web.Response:
        """GET /api/v1/logs/trace/{traceId}: all its spans and logs, oldest first."""
        wanted = trace_id("traceId", call.request.match_info["traceId"])
        search = await self._querying.search(call, TRACE, FieldEquals(TRACE_ID, wanted))
        scoped = self._querying.scoped(call, search)
        names = members(search)
        async with self._from.reader.session(is_lookup=True) as session:
            page = await self._querying.read(session, scoped)
            streams = await self._from.streams.of(session, [row["stream_id"] for row in page.rows])
            # The summary covers the whole trace; the first page includes it.
            whole = page if scoped.position is None else None
            if whole is not None and whole.has_more:
                whole = await self._whole(session, scoped)
        call.rows = len(page.rows)
        more = notes(search.notices, page.missing)
        with spent_on("render_s"):
            if whole is not None:
                more["trace"] = summary(wanted, whole.rows, is_cut=whole.has_more)
            cursor = self._querying.next_cursor(page, scoped)
            body = page_json(records(page.rows, streams, names), cursor, more)
        return conditional_response(call, body, cursor)

    async def _whole(self, session: Session, scoped: ScopedSearch) -> Page:
        query = Query(scoped.where, Order.OLDEST, MAX_SPANS, columns=SPAN_COLUMNS)
        return await self._from.pages.read(session, query)


def summary(wanted: UUID, rows: Sequence[Row], *, is_cut: bool) -> dict[str, object]:
    """The summary of a trace, from its rows."""
    spans = [_span(row) for row in rows if row["kind"] == "s" and row["span_id"]]
    trace = assembled(spans)
    others = [row for row in rows if row["kind"] != "s"]
    return {
        "traceId": wanted.hex,
        "start": rfc3339_ns(trace.start_ns) if spans else None,
        "durationNs": trace.duration_ns,
        "spans": len(trace.nodes),
        "logs": len(others),
        "errors": sum(row["level"] in ERRORS for row in rows),
        "services": [
            {"service": name, "spans": part.spans, "selfNs": part.self_ns, "errors": part.errors}
            for name, part in services_of(trace).items()
        ],
        "missingParents": trace.missing_parents,
        "criticalPath": [
            {"spanId": node.span.id, "selfNs": node.critical_ns}
            for node in trace.nodes
            if node.critical_ns > 0
        ],
        "tree": _tree(trace),
        "isCut": is_cut,
    }


def _tree(trace: Trace) -> list[dict[str, object]]:
    return [
        {
            "spanId": node.span.id,
            "parentSpanId": node.span.parent_id,
            "depth": node.depth,
            "isOrphan": node.is_orphan,
            "service": node.span.service,
            "operation": node.span.operation,
            "start": rfc3339_ns(node.span.start_ns),
            "durationNs": node.span.duration_ns,
            "selfNs": node.self_ns,
            "isError": node.span.is_error,
        }
        for node in trace.nodes
    ]


def _span(row: Row) -> Span:
    return Span(
        id=row["span_id"].hex(),
        parent_id=row["parent_span_id"].hex() if row["parent_span_id"] else None,
        service=row["source_module"],
        operation=row["action"],
        start_ns=start_ns(row),
        duration_ns=row["duration_ns"] or 0,
        is_error=row["level"] in ERRORS,
    )
