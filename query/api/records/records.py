"""Search, one record, its context, timelines: handlers, models, routes."""

from collections.abc import Iterable
from contextlib import suppress
from uuid import UUID

import orjson
from aiohttp import web

from config.errors import BadInput
from query.api.http.call import Call, Route
from query.api.http.models import Model
from query.api.http.responses import conditional_response, json_bytes_response
from query.api.records.models import Explanation, LogPage, LogRecord
from query.api.records.querying import Querying, read_route
from query.auth.record_scope import visible
from query.errors import NotFound
from query.language.filter_parameters import one_text, record_id, trace_id
from query.planning.compile import Order
from query.planning.pages import Page, Query, key_of
from query.planning.search import CONTEXT, SEARCH, TIMELINE, Search, whole_number
from query.render.records import record_json, records
from storage.database.read import NO_STREAM, Row, Session, Stream, spent_on
from storage.filtering.filters import FieldEquals, Filter, Or, ResourceEquals, TimeRange, all_of
from storage.filtering.resolve import resolve
from storage.record.correlation import stored_correlation
from storage.record.fields import ACTOR_ID, CORRELATION_ID, ID, RESOURCE_ID, SOURCE_MODULE, TRACE_ID
from storage.record.times import microseconds_of

_MS_NS = 1_000_000
_CONTEXT_REACHES_NS = (60 * 10**9, 1800 * 10**9, 24 * 3600 * 10**9)
"""How far from a record its context is searched; the next one while there are too few records.

Open segments have no index by service and are scanned.
"""
MAX_CONTEXT = 200
_DEFAULT_CONTEXT = 20
_INSTANCE_ATTRIBUTES = (
    *("k8s.pod.uid", "k8s.pod.name", "container.id", "service.instance.id", "host.name", "host.id"),
)
"""What distinguishes the instances of a service, the most specific first: a host has many pods, and
some SDKs make a new `service.instance.id` for each process of a pod."""


class Instance(Model):
    """The attribute of the resource that the records have in common."""

    name: str
    value: str


class Context(Model):
    """A record, and what its service logged before and after it."""

    instance: Instance | None
    """The pod, container or host whose records these are; null: those of all instances, because
    the resource names none or this one has no others near."""

    before: list[LogRecord]
    """Oldest first."""
    record: LogRecord
    after: list[LogRecord]
    """Oldest first."""
    explain: Explanation | None = None


class RecordRoutes:
    """The routes that return records."""

    def __init__(self, querying: Querying) -> None:
        self._querying = querying
        self._from = querying.sources

    def routes(self) -> Iterable[Route]:
        """Search, timelines, one record."""
        yield read_route(
            "/logs",
            self.search,
            action="logs.search",
            summary="Search records",
            parameters=SEARCH,
            response=LogPage,
        )
        for name, handler, summary in (
            ("resource", self.resource, "Everything about a resource, in all services"),
            ("correlation", self.correlation, "Records of a request, by correlation or trace id"),
            ("actor", self.actor, "Everything by an actor"),
        ):
            yield read_route(
                f"/logs/{name}/{{id}}",
                handler,
                action=f"logs.{name}",
                summary=summary,
                parameters=TIMELINE,
                response=LogPage,
            )
        yield read_route(
            "/logs/{id}",
            self.one,
            action="logs.read",
            summary="One record by its id",
            response=LogRecord,
        )
        yield read_route(
            "/logs/{id}/context",
            self.context,
            action="logs.context",
            summary="What the same service logged before and after a record",
            parameters=CONTEXT,
            response=Context,
        )

    async def search(self, call: Call) -> web.Response:
        """GET /api/v1/logs."""
        search = await self._querying.search(call, SEARCH)
        return await self._querying.page(call, self._querying.scoped(call, search))

    async def resource(self, call: Call) -> web.Response:
        """GET /api/v1/logs/resource/{id}: everything about a resource, in all services."""
        return await self._timeline(call, FieldEquals(RESOURCE_ID, _path_value(call)))

    async def actor(self, call: Call) -> web.Response:
        """GET /api/v1/logs/actor/{id}: everything by an actor."""
        stored = self._from.stored_as("user.id", _path_value(call))
        return await self._timeline(call, FieldEquals(ACTOR_ID, stored))

    async def correlation(self, call: Call) -> web.Response:
        """GET /api/v1/logs/correlation/{id}: a request's records, by correlation or trace id."""
        text = _path_value(call)
        within: Filter = FieldEquals(CORRELATION_ID, stored_correlation(text))
        with suppress(BadInput):
            within = Or((within, FieldEquals(TRACE_ID, trace_id("id", text))))
        return await self._timeline(call, within)

    async def _timeline(self, call: Call, within: Filter) -> web.Response:
        search = await self._querying.search(call, TIMELINE, within)
        scoped = self._querying.scoped(call, search, with_audit=True)
        return await self._querying.page(call, scoped)

    async def one(self, call: Call) -> web.Response:
        """GET /api/v1/logs/{id}. Of records with the same id, the one that arrived first."""
        if call.request.query:
            name = next(iter(call.request.query))
            raise BadInput("This route takes no parameters", where=name)
        async with self._from.reader.session(is_lookup=True) as session:
            row, stream = await self._find(session, call)
        call.rows = 1
        with spent_on("render_s"):
            return json_bytes_response(record_json(row, stream))

    async def context(self, call: Call) -> web.Response:
        """GET /api/v1/logs/{id}/context: what the same service logged before and after."""
        search = await self._querying.search(call, CONTEXT)
        before, after = (_count(search, name) for name in ("before", "after"))
        async with self._from.reader.session(is_lookup=True) as session:
            row, stream = await self._find(session, call)
        async with self._from.reader.session() as session:
            instance = _instance_of(stream)
            service = all_of(
                FieldEquals(SOURCE_MODULE, row["source_module"]), visible(call.principal)
            )
            for same in [instance, None] if instance else [None]:
                where = service if same is None else all_of(service, same)
                where = await resolve(session, where)
                earlier = await self._neighbors(session, where, row, Order.NEWEST, before)
                later = await self._neighbors(session, where, row, Order.OLDEST, after)
                instance = same
                if earlier.rows or later.rows:
                    break
            rows = [*reversed(earlier.rows), row, *later.rows]
            streams = await self._from.streams.of(session, [item["stream_id"] for item in rows])
        call.rows = len(rows)
        with spent_on("render_s"):
            written = records(rows, streams)
        middle = len(earlier.rows)
        shown = instance and {"name": instance.name, "value": instance.value}
        body = b'{"instance":%s,"before":[%s],"record":%s,"after":[%s]}' % (
            orjson.dumps(shown),
            b",".join(written[:middle]),
            written[middle],
            b",".join(written[middle + 1 :]),
        )
        return conditional_response(call, body)

    async def _find(self, session: Session, call: Call) -> tuple[Row, Stream]:
        """The record with the id in the path. Raises NotFound, also when it is not visible."""
        wanted = record_id("id", call.request.match_info["id"])
        where = all_of(FieldEquals(ID, wanted), _moment(wanted), visible(call.principal))
        page = await self._from.pages.read(session, Query(where, Order.OLDEST, 1))
        if not page.rows:
            raise NotFound("No record has this id")
        row = page.rows[0]
        streams = await self._from.streams.of(session, [row["stream_id"]])
        return row, streams.get(row["stream_id"], NO_STREAM)

    async def _neighbors(
        self, session: Session, where: Filter, row: Row, order: Order, limit: int
    ) -> Page:
        if not limit:
            return Page([], has_more=False)
        at_ns = microseconds_of(row["created_at"]) * 1000
        page = Page([], has_more=False)
        for reach_ns in _CONTEXT_REACHES_NS:
            span = (
                TimeRange(at_ns - reach_ns, at_ns + 1000)
                if order is Order.NEWEST
                else TimeRange(at_ns, at_ns + reach_ns)
            )
            query = Query(all_of(span, where), order, limit, after=key_of(row))
            page = await self._from.pages.read(session, query)
            if len(page.rows) == limit:
                break
        return page


def _instance_of(stream: Stream) -> ResourceEquals | None:
    """The filter of records of the same instance; None if the resource does not name one."""
    resource = orjson.loads(stream.resource)
    names = (name for name in _INSTANCE_ATTRIBUTES if isinstance(resource.get(name), str))
    name = next(names, None)
    return None if name is None else ResourceEquals(name, resource[name])


def _count(search: Search, name: str) -> int:
    text = search.only(name)
    return _DEFAULT_CONTEXT if text is None else whole_number(name, text, 0, MAX_CONTEXT)


def _path_value(call: Call) -> str:
    return one_text("id", (call.request.match_info["id"],))


def _moment(wanted: UUID) -> TimeRange:
    """The millisecond in the first 48 bits of the id (design: ids)."""
    created_ms = int.from_bytes(wanted.bytes[:6], "big")
    return TimeRange(created_ms * _MS_NS, (created_ms + 1) * _MS_NS)
