"""The search for traces: handler, models, route."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial

import orjson
from aiohttp import web

from config.errors import BadInput
from config.levels import Level
from query.api.http.call import Call, Route
from query.api.http.models import Model
from query.api.http.responses import conditional_response
from query.api.records.models import Explanation, NoticeModel, Partial
from query.api.records.querying import Querying, ScopedSearch, notes, read_route
from query.auth.record_scope import visible
from query.errors import BadQuery
from query.language.filter_parameters import one_text
from query.language.terms import nanoseconds
from query.planning.search import TRACES, Search
from query.planning.trace_list import ERRORS, TraceRequest, TraceStatistics, find_traces, start_ns
from storage.database.read import Row
from storage.filtering.filters import (
    Comparison,
    FieldCompare,
    FieldEquals,
    FieldPresent,
    Filter,
    all_of,
)
from storage.filtering.resolve import resolve
from storage.record.fields import ACTION, KIND, LEVEL, SOURCE_MODULE, TRACE_ID, Kind
from storage.record.times import rfc3339_ns


class FoundTrace(Model):
    """A trace: its topmost span that is stored, and statistics of all of its spans."""

    trace_id: str
    span_id: str | None
    service: str
    operation: str
    has_root: bool
    """Whether the topmost span is the root; else the root was sampled out, or never sent."""
    start: datetime
    """Of the span that started first."""
    duration_ns: int
    """From the first start to the last end."""
    root_duration_ns: int | None
    spans: int
    """Duplicates count once."""
    errors: int
    services: list[str]
    is_cut: bool
    """The trace has more spans than were counted."""


class FoundTraces(Model):
    """A page of traces. It may have fewer than requested, even none, and still a cursor."""

    data: list[FoundTrace]
    next_cursor: str | None
    notice: str = ""
    notices: tuple[NoticeModel, ...] = ()
    partial: Partial | None = None
    explain: Explanation | None = None


class TraceSearchRoutes:
    """The route that finds traces."""

    def __init__(self, querying: Querying) -> None:
        self._querying = querying
        self._from = querying.sources

    def routes(self) -> Iterable[Route]:
        """GET /api/v1/traces."""
        yield read_route(
            "/traces",
            self.search,
            action="traces.search",
            summary="Find traces",
            parameters=TRACES,
            response=FoundTraces,
        )

    async def search(self, call: Call) -> web.Response:
        """GET /api/v1/traces: traces with a span that matches, and statistics of them."""
        search = await self._querying.search(call, TRACES, _SPANS)
        scoped = self._querying.scoped(call, search)
        accepts = _accepts(search)
        filters = list(_filters(search))
        matches = _matches(scoped, [test for _, test in filters])
        async with self._from.reader.session() as session:
            request = TraceRequest(
                spans=await resolve(session, all_of(scoped.where, *[each for each, _ in filters])),
                matches=matches if search.where == _SPANS else None,
                visible=visible(call.principal),
                order=search.order,
                limit=search.limit,
                after=None if scoped.position is None else scoped.position.after,
                accepts=accepts,
            )
            found = await find_traces(session, self._from.pages, request)
            remarks = await self._querying.notices(session, scoped, is_empty=False)
        call.rows = len(found.traces)
        cursor = self._querying.cursor_after(found.after, scoped)
        data = [_shown(trace) for trace in found.traces]
        document: dict[str, object] = {"data": data, "nextCursor": cursor}
        body = orjson.dumps(document | notes(remarks, found.missing))
        return conditional_response(call, body, cursor, is_closed=self._querying.is_closed(scoped))


_SPANS = all_of(FieldEquals(KIND, Kind.SPAN), FieldPresent(TRACE_ID))


def _filters(search: Search) -> Iterable[tuple[Filter, Callable[[Row], bool]]]:
    """What one span of the trace must match: as a filter, and as a test of a span that is read."""
    for name, field in (("service", SOURCE_MODULE), ("operation", ACTION)):
        if name in search.own:
            text = one_text(name, search.own[name])
            yield FieldEquals(field, text), partial(_has, field.column, text)
    if _status(search, "status") == "error":
        is_error = FieldCompare(LEVEL, Comparison.GREATER_OR_EQUAL, Level.ERROR)
        yield is_error, lambda row: row["level"] in ERRORS


def _has(column: str, text: str, row: Row) -> bool:
    return bool(row[column] == text)


def _matches(scoped: ScopedSearch, tests: Sequence[Callable[[Row], bool]]) -> Callable[[Row], bool]:
    begin_ns, end_ns = scoped.start_ns, scoped.end_ns

    def matches(row: Row) -> bool:
        at_ns = start_ns(row)
        return (
            (begin_ns is None or at_ns >= begin_ns)
            and (end_ns is None or at_ns < end_ns)
            and all(test(row) for test in tests)
        )

    return matches


def _accepts(search: Search) -> Callable[[TraceStatistics], bool]:
    """What the whole trace, and its root, must match. Raises BadInput."""
    status, root_status = (_status(search, name) for name in ("status", "rootStatus"))
    least, most = _durations(search, "minDuration", "maxDuration")
    root_least, root_most = _durations(search, "rootMinDuration", "rootMaxDuration")
    is_of_root = any(item is not None for item in (root_status, root_least, root_most))

    def accepts(trace: TraceStatistics) -> bool:
        if status is not None and (trace.errors > 0) != (status == "error"):
            return False
        if not _within(trace.duration_ns, least, most):
            return False
        if not is_of_root:
            return True
        is_error = trace.top["level"] in ERRORS
        return (
            trace.has_root
            and (root_status is None or is_error == (root_status == "error"))
            and _within(trace.top["duration_ns"] or 0, root_least, root_most)
        )

    return accepts


def _within(duration_ns: int, least: int | None, most: int | None) -> bool:
    return (least is None or duration_ns >= least) and (most is None or duration_ns <= most)


def _status(search: Search, name: str) -> str | None:
    status = search.only(name)
    if status not in {None, "ok", "error"}:
        raise BadInput(f"{name} must be ok or error", where=name)
    return status


def _durations(search: Search, least: str, most: str) -> tuple[int | None, int | None]:
    texts = search.only(least), search.only(most)
    bounds = [
        None if text is None else _duration(name, text)
        for name, text in zip((least, most), texts, strict=True)
    ]
    if bounds[0] is not None and bounds[1] is not None and bounds[0] > bounds[1]:
        raise BadInput(f"{least} is longer than {most}", where=least)
    return bounds[0], bounds[1]


def _duration(name: str, text: str) -> int:
    try:
        return nanoseconds(text, 0)
    except BadQuery as error:
        raise BadInput(str(error), where=name) from error


def _shown(trace: TraceStatistics) -> dict[str, object]:
    top = trace.top
    return {
        "traceId": top["trace_id"].hex,
        "spanId": top["span_id"].hex() if top["span_id"] else None,
        "service": top["source_module"],
        "operation": top["action"],
        "hasRoot": trace.has_root,
        "start": rfc3339_ns(trace.start_ns),
        "durationNs": trace.duration_ns,
        "rootDurationNs": (top["duration_ns"] or 0) if trace.has_root else None,
        "spans": trace.spans,
        "errors": trace.errors,
        "services": trace.services,
        "isCut": trace.is_cut,
    }
