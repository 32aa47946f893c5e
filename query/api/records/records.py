"""The handlers of records: search, one record, what stood around it, timelines."""

from contextlib import suppress
from uuid import UUID

import orjson
from aiohttp import web

from config.errors import BadInput
from query.api.http.call import Call
from query.api.records.querying import Asking, finished, json_answer
from query.auth.scope import visible
from query.errors import NotFound
from query.language.parameters import one_text, record_id, trace_id
from query.planning.compile import Order
from query.planning.pages import Page, Question, key_of
from query.planning.search import CONTEXT, SEARCH, TIMELINE, Search, whole_number
from query.render.records import record_json, records
from storage.database.read import NO_STREAM, Row, Session, Stream
from storage.filtering.filters import FieldEquals, Filter, Or, ResourceEquals, TimeRange, all_of
from storage.filtering.resolve import resolve
from storage.record.correlation import stored_correlation
from storage.record.fields import ACTOR_ID, CORRELATION_ID, ID, RESOURCE_ID, SOURCE_MODULE, TRACE_ID
from storage.record.times import microseconds_of

_MS_NS = 1_000_000
_REACHES_NS = (60 * 10**9, 1800 * 10**9, 24 * 3600 * 10**9)
"""How far from a record its surroundings are looked for: farther while there are too few.

What is not sealed yet has no index by service, and is read for them.
"""
MOST_AROUND = 200
_AROUND = 20
_HOST_ATTRIBUTES = ("service.instance.id", "host.name", "k8s.pod.name", "host.id", "container.id")
"""What tells one running copy of a service from another, the most telling first."""


class Logs:
    """Answers questions about records."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._from = asking.sources

    async def search(self, call: Call) -> web.Response:
        """GET /api/v1/logs."""
        search = self._asking.search(call, SEARCH)
        return await self._asking.page(call, self._asking.asked(call, search))

    async def resource(self, call: Call) -> web.Response:
        """GET /api/v1/logs/resource/{id}: all that happened to a thing, in every service."""
        return await self._timeline(call, FieldEquals(RESOURCE_ID, _typed(call)))

    async def actor(self, call: Call) -> web.Response:
        """GET /api/v1/logs/actor/{id}: all that somebody did."""
        stored = self._from.stored_as("user.id", _typed(call))
        return await self._timeline(call, FieldEquals(ACTOR_ID, stored))

    async def correlation(self, call: Call) -> web.Response:
        """GET /api/v1/logs/correlation/{id}: a request's records, by its id or its trace's."""
        text = _typed(call)
        within: Filter = FieldEquals(CORRELATION_ID, stored_correlation(text))
        with suppress(BadInput):
            within = Or((within, FieldEquals(TRACE_ID, trace_id("id", text))))
        return await self._timeline(call, within)

    async def _timeline(self, call: Call, within: Filter) -> web.Response:
        search = self._asking.search(call, TIMELINE, within)
        asked = self._asking.asked(call, search, takes_audit=True)
        return await self._asking.page(call, asked)

    async def one(self, call: Call) -> web.Response:
        """GET /api/v1/logs/{id}. Of copies with the same id the one that arrived first."""
        if call.request.query:
            raise BadInput("this address takes no parameters", where=next(iter(call.request.query)))
        async with self._from.reader.session(is_lookup=True) as session:
            row, stream = await self._find(session, call)
        call.rows = 1
        return json_answer(record_json(row, stream))

    async def context(self, call: Call) -> web.Response:
        """GET /api/v1/logs/{id}/context: what its service said just before and after."""
        search = self._asking.search(call, CONTEXT)
        before, after = (_count(search, name) for name in ("before", "after"))
        async with self._from.reader.session(is_lookup=True) as session:
            row, stream = await self._find(session, call)
        async with self._from.reader.session() as session:
            where = await resolve(session, _same_place(row, stream, call))
            earlier = await self._beside(session, where, row, Order.NEWEST, before)
            later = await self._beside(session, where, row, Order.OLDEST, after)
            rows = [*reversed(earlier.rows), row, *later.rows]
            streams = await self._from.streams.of(session, [item["stream_id"] for item in rows])
        call.rows = len(rows)
        written = records(rows, streams)
        middle = len(earlier.rows)
        body = b'{"before":[%s],"record":%s,"after":[%s]}' % (
            b",".join(written[:middle]),
            written[middle],
            b",".join(written[middle + 1 :]),
        )
        return finished(call, body)

    async def _find(self, session: Session, call: Call) -> tuple[Row, Stream]:
        """The record with the id in the path. Raises NotFound, also where it may not be seen."""
        wanted = record_id("id", call.request.match_info["id"])
        where = all_of(FieldEquals(ID, wanted), _moment(wanted), visible(call.principal))
        page = await self._from.pages.read(session, Question(where, Order.OLDEST, 1))
        if not page.rows:
            raise NotFound("there is no record with this id")
        row = page.rows[0]
        streams = await self._from.streams.of(session, [row["stream_id"]])
        return row, streams.get(row["stream_id"], NO_STREAM)

    async def _beside(
        self, session: Session, where: Filter, row: Row, order: Order, limit: int
    ) -> Page:
        if not limit:
            return Page([], has_more=False)
        at_ns = microseconds_of(row["created_at"]) * 1000
        page = Page([], has_more=False)
        for reach_ns in _REACHES_NS:
            span = (
                TimeRange(at_ns - reach_ns, at_ns + 1000)
                if order is Order.NEWEST
                else TimeRange(at_ns, at_ns + reach_ns)
            )
            question = Question(all_of(span, where), order, limit, after=key_of(row))
            page = await self._from.pages.read(session, question)
            if len(page.rows) == limit:
                break
        return page


def _same_place(row: Row, stream: Stream, call: Call) -> Filter:
    """The records of the same service, and of the same copy of it where that is known."""
    resource = orjson.loads(stream.resource)
    place = next((name for name in _HOST_ATTRIBUTES if isinstance(resource.get(name), str)), None)
    same: Filter = FieldEquals(SOURCE_MODULE, row["source_module"])
    if place is not None:
        same = all_of(same, ResourceEquals(place, resource[place]))
    return all_of(same, visible(call.principal))


def _count(search: Search, name: str) -> int:
    text = search.only(name)
    return _AROUND if text is None else whole_number(name, text, 0, MOST_AROUND)


def _typed(call: Call) -> str:
    return one_text("id", (call.request.match_info["id"],))


def _moment(wanted: UUID) -> TimeRange:
    """The millisecond that the id begins with (design: ids)."""
    created_ms = int.from_bytes(wanted.bytes[:6], "big")
    return TimeRange(created_ms * _MS_NS, (created_ms + 1) * _MS_NS)
