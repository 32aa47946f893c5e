"""The handlers of traces: one trace with all that belongs to it, and the search for traces."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

import orjson
from aiohttp import web

from config.errors import BadInput
from config.levels import Level
from query.analysis.traces import Span, Trace, assembled, services_of
from query.api.http.call import Call
from query.api.records.querying import Asked, Asking, finished, members, notes
from query.auth.scope import visible
from query.errors import BadQuery
from query.language.parameters import one_text, trace_id
from query.language.terms import nanoseconds
from query.planning.compile import Order, key_and
from query.planning.pages import Page, Question
from query.planning.search import TRACE, TRACES, Search
from query.render.records import page_json, records
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

MOST_SPANS = 10_000
"""Records of one trace that its summary looks at."""
_SLIM = key_and(
    *("kind", "level", "source_module", "action", "span_id", "parent_span_id", "duration_ns"),
    "trace_id",
)
_HOUR_NS = 3600 * 10**9
_ERRORS = frozenset({Level.ERROR.name, Level.CRITICAL.name})


class Traces:
    """Answers questions about traces."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._from = asking.sources

    async def one(self, call: Call) -> web.Response:
        """GET /api/v1/logs/trace/{traceId}: its spans and logs, oldest first, without a range."""
        wanted = trace_id("traceId", call.request.match_info["traceId"])
        search = self._asking.search(call, TRACE, FieldEquals(TRACE_ID, wanted))
        asked = self._asking.asked(call, search)
        names = members(search)
        async with self._from.reader.session(is_lookup=True) as session:
            page = await self._asking.read(session, asked)
            streams = await self._from.streams.of(session, [row["stream_id"] for row in page.rows])
            # The summary is of the whole trace, and comes with its first page.
            whole = page if asked.position is None else None
            if whole is not None and whole.has_more:
                whole = await self._whole(session, asked)
        call.rows = len(page.rows)
        more = notes(search, page)
        if whole is not None:
            more["trace"] = summary(wanted, whole.rows, is_cut=whole.has_more)
        cursor = self._asking.next_cursor(page, asked)
        return finished(call, page_json(records(page.rows, streams, names), cursor, more), cursor)

    async def _whole(self, session: Session, asked: Asked) -> Page:
        question = Question(asked.where, Order.OLDEST, MOST_SPANS, columns=_SLIM)
        return await self._from.pages.read(session, question)

    async def search(self, call: Call) -> web.Response:
        """GET /api/v1/traces: root spans, each with figures of its whole trace."""
        search = self._asking.search(call, TRACES, _roots())
        asked = self._asking.asked(call, search)
        where = all_of(asked.where, *_wishes(search))
        after = None if asked.position is None else asked.position.after
        question = Question(where, search.order, search.limit, after, _SLIM)
        async with self._from.reader.session() as session:
            page = await self._from.pages.read(session, question)
            parts = await self._parts(session, page.rows, visible(call.principal))
        call.rows = len(page.rows)
        cursor = self._asking.next_cursor(page, asked)
        found = [_found(row, parts[row["trace_id"]] or [row]) for row in page.rows]
        document: dict[str, object] = {"data": found, "nextCursor": cursor}
        body = orjson.dumps(document | notes(search, page))
        return finished(call, body, cursor, is_closed=self._asking.is_closed(asked))

    async def _parts(
        self, session: Session, roots: Sequence[Row], seen: Filter
    ) -> dict[UUID, list[Row]]:
        """The spans of the traces of these root spans, by trace."""
        found: dict[UUID, list[Row]] = defaultdict(list)
        ids = tuple(dict.fromkeys(row["trace_id"] for row in roots if row["trace_id"]))
        if not ids:
            return found
        starts_ns = [microseconds_of(row["created_at"]) * 1000 for row in roots]
        longest_ns = max(row["duration_ns"] or 0 for row in roots)
        # Spans lie near their root: the range keeps all other segments out of the question.
        near = TimeRange(min(starts_ns) - _HOUR_NS, max(starts_ns) + longest_ns + _HOUR_NS)
        where = all_of(near, seen, FieldEquals(KIND, Kind.SPAN), FieldIn(TRACE_ID, ids))
        question = Question(where, Order.OLDEST, MOST_SPANS, columns=_SLIM)
        for row in (await self._from.pages.read(session, question)).rows:
            found[row["trace_id"]].append(row)
        return found


def _roots() -> Filter:
    return all_of(
        FieldEquals(KIND, Kind.SPAN), Not(FieldPresent(PARENT_SPAN_ID)), FieldPresent(TRACE_ID)
    )


def _wishes(search: Search) -> Iterable[Filter]:
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
            raise BadInput("status is ok or error", where="status")
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
        "start": rfc3339_ns(_start_ns(root)),
        "durationNs": root["duration_ns"] or 0,
        "spans": len(spans),
        "errors": sum(row["level"] in _ERRORS for row in spans),
        "services": list(modules),
    }


def summary(wanted: UUID, rows: Sequence[Row], *, is_cut: bool) -> dict[str, object]:
    """What is to be said of a whole trace beside its records."""
    spans = [_span(row) for row in rows if row["kind"] == "s" and row["span_id"]]
    trace = assembled(spans)
    others = [row for row in rows if row["kind"] != "s"]
    return {
        "traceId": wanted.hex,
        "start": rfc3339_ns(trace.start_ns) if spans else None,
        "durationNs": trace.duration_ns,
        "spans": len(trace.nodes),
        "logs": len(others),
        "errors": sum(row["level"] in _ERRORS for row in rows),
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
        start_ns=_start_ns(row),
        duration_ns=row["duration_ns"] or 0,
        is_error=row["level"] in _ERRORS,
    )


def _start_ns(row: Row) -> int:
    return microseconds_of(row["created_at"]) * 1000 + int(row["created_ns"])
