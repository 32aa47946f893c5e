"""The handlers of records: search, one record, a trace, export."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from aiohttp import web

from config.access import Permission
from config.errors import BadInput, OpslogError
from query.access_audit import AccessAudit, Outcome
from query.api.call import Call
from query.compile import Order
from query.cursor import Cursors, Position
from query.errors import NotFound
from query.export import Export
from query.pages import Page, Pages, Question, key_of
from query.parameters import record_id, trace_id
from query.render.forms import FORMS, Form
from query.render.records import page_json, record_json, records
from query.scope import confine, visible
from query.search import EXPORT, SEARCH, TRACE, Search, StoredAs, parse
from storage.fields import ID, TRACE_ID
from storage.filters import FieldEquals, Filter, TimeRange, all_of
from storage.read import NO_STREAM, Reader, Streams
from storage.resolve import resolve
from storage.times import rfc3339_ns

_log = logging.getLogger(__name__)

_MS_NS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What the handlers read from and write to."""

    reader: Reader
    pages: Pages
    streams: Streams
    cursors: Cursors
    audit: AccessAudit
    stored_as: StoredAs
    now_ns: Callable[[], int]


class Logs:
    """Answers questions about records."""

    def __init__(self, sources: Sources) -> None:
        self._from = sources
        self._export = Export(sources.reader, sources.pages, sources.streams)

    async def search(self, call: Call) -> web.Response:
        """GET /api/v1/logs."""
        search = parse(
            call.request.query.items(),
            SEARCH,
            now_ns=self._from.now_ns(),
            stored_as=self._from.stored_as,
        )
        return await self._page(call, search)

    async def trace(self, call: Call) -> web.Response:
        """GET /api/v1/logs/trace/{traceId}: its spans and logs, oldest first, without a range."""
        wanted = trace_id("traceId", call.request.match_info["traceId"])
        search = parse(
            call.request.query.items(),
            TRACE,
            now_ns=self._from.now_ns(),
            stored_as=self._from.stored_as,
            within=FieldEquals(TRACE_ID, wanted),
        )
        return await self._page(call, search)

    async def one(self, call: Call) -> web.Response:
        """GET /api/v1/logs/{id}. Of copies with the same id the one that arrived first."""
        if call.request.query:
            raise BadInput("this address takes no parameters", where=next(iter(call.request.query)))
        wanted = record_id("id", call.request.match_info["id"])
        where = all_of(
            FieldEquals(ID, wanted), _moment(wanted), visible(call.principal.permissions)
        )
        async with self._from.reader.session() as session:
            page = await self._from.pages.read(session, Question(where, Order.OLDEST, 1))
            if not page.rows:
                raise NotFound("there is no record with this id")
            row = page.rows[0]
            streams = await self._from.streams.of(session, [row["stream_id"]])
        call.rows = 1
        return _json(record_json(row, streams.get(row["stream_id"], NO_STREAM)))

    async def export(self, call: Call) -> web.StreamResponse:
        """GET /api/v1/logs/export: everything that the filter selects, as a stream."""
        search = parse(
            call.request.query.items(),
            EXPORT,
            now_ns=self._from.now_ns(),
            stored_as=self._from.stored_as,
        )
        form = FORMS.get(search.format or "ndjson")
        if form is None:
            raise BadInput(f"format is one of {', '.join(FORMS)}", where="format")
        where = _where(
            call, search, TimeRange(search.start_ns, search.end_ns), Permission.LOGS_EXPORT
        )
        await self._from.audit.require(call.event(Outcome.SUCCESS))
        return await self._stream(call, form, where, search.order)

    async def _page(self, call: Call, search: Search) -> web.Response:
        start_ns, end_ns, after = search.start_ns, search.end_ns, None
        if search.cursor is not None:
            position = self._from.cursors.open(search.cursor, search.digest)
            start_ns, end_ns, after = position.start_ns, position.end_ns, position.after
        where = _where(call, search, TimeRange(start_ns, end_ns), Permission.LOGS_READ)
        async with self._from.reader.session() as session:
            question = Question(await resolve(session, where), search.order, search.limit, after)
            page = await self._from.pages.read(session, question)
            streams = await self._from.streams.of(session, [row["stream_id"] for row in page.rows])
        call.rows = len(page.rows)
        cursor = self._next(page, start_ns, end_ns, search.digest)
        answer = _json(page_json(records(page.rows, streams), cursor))
        if cursor is not None:
            following = call.request.rel_url.update_query(cursor=cursor)
            answer.headers["Link"] = f'<{following}>; rel="next"'
        return answer

    def _next(
        self, page: Page, start_ns: int | None, end_ns: int | None, digest: bytes
    ) -> str | None:
        if not page.has_more:
            return None
        return self._from.cursors.seal(Position(key_of(page.rows[-1]), start_ns, end_ns), digest)

    async def _stream(
        self, call: Call, form: Form, where: Filter, order: Order
    ) -> web.StreamResponse:
        pieces = self._export.pieces(where, order)
        # The first piece is read before the headers go, so that a question that fails at once
        # is answered with its error.
        piece = await anext(pieces, None)
        name = f"opslog-{rfc3339_ns(self._from.now_ns())[:19].replace(':', '')}Z.{form.name}"
        answer = web.StreamResponse(
            headers={
                "Content-Type": form.content_type,
                "Content-Disposition": f'attachment; filename="{name}"',
            }
        )
        await answer.prepare(call.request)
        call.rows = 0
        try:
            await answer.write(form.head)
            while piece is not None:
                await answer.write(
                    (form.between if call.rows else b"") + form.write(piece.rows, piece.streams)
                )
                call.rows += len(piece.rows)
                piece = await anext(pieces, None)
            await answer.write_eof(form.tail)
        except OpslogError as error:
            # Too late for another status: the client sees the transfer break off.
            _log.warning("request %s: export stopped: %s", call.request_id, error.code)
            await self._from.audit.note(call.event(Outcome.FAILURE, error.code))
            if call.request.transport is not None:
                call.request.transport.abort()
            return answer
        finally:
            await pieces.aclose()
        await self._from.audit.note(call.event(Outcome.SUCCESS))
        return answer


def _where(call: Call, search: Search, span: TimeRange, telemetry: Permission) -> Filter:
    kinds = confine(search.kinds, call.principal.permissions, telemetry=telemetry)
    return all_of(span, kinds, search.where)


def _moment(wanted: UUID) -> TimeRange:
    """The millisecond that the id begins with (design: ids)."""
    created_ms = int.from_bytes(wanted.bytes[:6], "big")
    return TimeRange(created_ms * _MS_NS, (created_ms + 1) * _MS_NS)


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")
