"""The search for traces by their root spans: handler, models, route."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import orjson
from aiohttp import web

from config.errors import BadInput
from config.levels import Level
from query.api.http.call import Call, Route
from query.api.http.models import Model
from query.api.http.responses import conditional_response
from query.api.records.models import Explanation, Partial
from query.api.records.querying import Querying, notes, read_route
from query.api.records.traces.spans import ERRORS, MAX_SPANS, SPAN_COLUMNS, start_ns
from query.auth.record_scope import visible
from query.errors import BadQuery
from query.language.filter_parameters import one_text
from query.language.terms import nanoseconds
from query.planning.compile import Order
from query.planning.pages import Query
from query.planning.search import TRACES, Search
from storage.database.read import Row, Session
from storage.filtering.filters import (
    Comparison,
    FieldCompare,
    FieldEquals,
    FieldIn,
    FieldPresent,
    Filter,
    Not,
    TimeRange,
    all_of,
)
from storage.record.fields import (
    ACTION,
    DURATION_NS,
    KIND,
    LEVEL,
    PARENT_SPAN_ID,
    SOURCE_MODULE,
    TRACE_ID,
    Kind,
)
from storage.record.times import microseconds_of, rfc3339_ns

_HOUR_NS = 3600 * 10**9


class FoundTrace(Model):
    """A root span, with statistics of its trace."""

    trace_id: str
    span_id: str | None
    service: str
    operation: str
    start: datetime
    duration_ns: int
    spans: int
    errors: int
    services: list[str]


class FoundTraces(Model):
    """A page of traces."""

    data: list[FoundTrace]
    next_cursor: str | None
    notice: str = ""
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
        """GET /api/v1/traces: root spans, each with statistics of its whole trace."""
        search = self._querying.search(call, TRACES, _roots())
        scoped = self._querying.scoped(call, search)
        where = all_of(scoped.where, *_filters(search))
        after = None if scoped.position is None else scoped.position.after
        query = Query(where, search.order, search.limit, after, SPAN_COLUMNS)
        async with self._from.reader.session() as session:
            page = await self._from.pages.read(session, query)
            parts = await self._parts(session, page.rows, visible(call.principal))
        call.rows = len(page.rows)
        cursor = self._querying.next_cursor(page, scoped)
        found = [_found(row, parts[row["trace_id"]] or [row]) for row in page.rows]
        document: dict[str, object] = {"data": found, "nextCursor": cursor}
        body = orjson.dumps(document | notes(search, page.missing))
        return conditional_response(call, body, cursor, is_closed=self._querying.is_closed(scoped))

    async def _parts(
        self, session: Session, roots: Sequence[Row], visible_to: Filter
    ) -> dict[UUID, list[Row]]:
        """The spans of these roots' traces, by trace id."""
        found: dict[UUID, list[Row]] = defaultdict(list)
        ids = tuple(dict.fromkeys(row["trace_id"] for row in roots if row["trace_id"]))
        if not ids:
            return found
        starts_ns = [microseconds_of(row["created_at"]) * 1000 for row in roots]
        longest_ns = max(row["duration_ns"] or 0 for row in roots)
        # Spans are close to their root in time; the range excludes all other segments.
        near = TimeRange(min(starts_ns) - _HOUR_NS, max(starts_ns) + longest_ns + _HOUR_NS)
        where = all_of(near, visible_to, FieldEquals(KIND, Kind.SPAN), FieldIn(TRACE_ID, ids))
        query = Query(where, Order.OLDEST, MAX_SPANS, columns=SPAN_COLUMNS)
        for row in (await self._from.pages.read(session, query)).rows:
            found[row["trace_id"]].append(row)
        return found


def _roots() -> Filter:
    return all_of(
        FieldEquals(KIND, Kind.SPAN), Not(FieldPresent(PARENT_SPAN_ID)), FieldPresent(TRACE_ID)
    )


def _filters(search: Search) -> Iterable[Filter]:
    """The filters of a search for traces."""
    for name, field in (("service", SOURCE_MODULE), ("operation", ACTION)):
        if name in search.own:
            yield FieldEquals(field, one_text(name, search.own[name]))
    for name, comparison in (
        ("minDuration", Comparison.GREATER_OR_EQUAL),
        ("maxDuration", Comparison.LESS_OR_EQUAL),
    ):
        text = search.only(name)
        if text is not None:
            yield FieldCompare(DURATION_NS, comparison, _duration(name, text))
    _check_durations(search)
    status = search.only("status")
    if status is not None:
        if status not in {"ok", "error"}:
            raise BadInput("status must be ok or error", where="status")
        comparison = Comparison.GREATER_OR_EQUAL if status == "error" else Comparison.LESS
        yield FieldCompare(LEVEL, comparison, Level.ERROR)


def _check_durations(search: Search) -> None:
    least, most = (search.only(name) for name in ("minDuration", "maxDuration"))
    if least and most and _duration("minDuration", least) > _duration("maxDuration", most):
        raise BadInput("minDuration is longer than maxDuration", where="minDuration")


def _duration(name: str, text: str) -> int:
    try:
        return nanoseconds(text, 0)
    except BadQuery as error:
        raise BadInput(str(error), where=name) from error


def _found(root: Row, spans: Sequence[Row]) -> dict[str, object]:
    modules = dict.fromkeys([root["source_module"], *(row["source_module"] for row in spans)])
    return {
        "traceId": root["trace_id"].hex,
        "spanId": root["span_id"].hex() if root["span_id"] else None,
        "service": root["source_module"],
        "operation": root["action"],
        "start": rfc3339_ns(start_ns(root)),
        "durationNs": root["duration_ns"] or 0,
        "spans": len(spans),
        "errors": sum(row["level"] in ERRORS for row in spans),
        "services": list(modules),
    }
