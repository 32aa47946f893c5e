"""Exports, streamed: handler, route."""

import logging
from collections.abc import AsyncGenerator, Iterable

from aiohttp import web
from isal import isal_zlib

from config.access import Permission
from config.errors import BadInput, OpslogError
from query.api.http.call import API, Call, Route
from query.api.http.compression import GZIP_BITS, accepts
from query.api.records.querying import Querying, is_true, members
from query.auth.access_audit import Outcome
from query.planning.export import Export, Piece
from query.planning.search import EXPORT
from query.render.export_formats import FORMATS, ExportFormat
from storage.record.times import rfc3339_ns

_log = logging.getLogger(__name__)


class ExportRoutes:
    """The route that exports records."""

    def __init__(self, querying: Querying) -> None:
        self._querying = querying
        self._from = querying.sources
        self._export = Export(self._from.reader, self._from.pages, self._from.streams)

    def routes(self) -> Iterable[Route]:
        """GET /api/v1/logs/export."""
        yield Route(
            method="GET",
            path=f"{API}/logs/export",
            handler=self.export,
            permission=Permission.LOGS_EXPORT,
            action="logs.export",
            is_streaming=True,
            tag="records",
            summary="Export records as NDJSON, JSON, CSV or OTLP",
            parameters=EXPORT,
            media=("application/x-ndjson", "application/json", "text/csv"),
        )

    async def export(self, call: Call) -> web.StreamResponse:
        """GET /api/v1/logs/export."""
        search = await self._querying.search(call, EXPORT)
        fmt = FORMATS.get(search.only("format") or "ndjson")
        if fmt is None:
            raise BadInput(f"Unknown format. Use {', '.join(FORMATS)}", where="format")
        names = members(search)
        if names is not None:
            fmt = fmt.only(names)
        if is_true(search, "bom"):
            fmt = fmt.with_mark()
        scoped = self._querying.scoped(call, search, telemetry=Permission.LOGS_EXPORT)
        await self._from.audit.require(call.event(Outcome.SUCCESS))
        async with self._from.reader.session() as session:
            remarks = await self._querying.notices(session, scoped, is_empty=False)
        notice = ". ".join(item.detail for item in remarks)
        pieces = self._export.pieces(scoped.where, search.order)
        return await self._stream(call, fmt, pieces, notice)

    async def _stream(
        self, call: Call, fmt: ExportFormat, pieces: AsyncGenerator[Piece, None], notice: str
    ) -> web.StreamResponse:
        # Read the first piece before sending headers, so that a query that fails at once can
        # still return its error.
        piece = await anext(pieces, None)
        body = _Body(call, fmt, self._from.now_ns())
        if notice:
            body.response.headers["Opslog-Notice"] = notice
        await body.begin()
        call.rows = 0
        try:
            while piece is not None:
                await body.write(
                    (fmt.between if call.rows else b"") + fmt.write(piece.rows, piece.streams)
                )
                call.rows += len(piece.rows)
                piece = await anext(pieces, None)
            await body.end()
        except OpslogError as error:
            # Too late for an error status: abort the connection.
            _log.warning("request %s: export stopped: %s", call.request_id, error.code)
            await self._from.audit.note(call.event(Outcome.FAILURE, error.code))
            if call.request.transport is not None:
                call.request.transport.abort()
            return body.response
        finally:
            await pieces.aclose()
        await self._from.audit.note(call.event(Outcome.SUCCESS))
        return body.response


class _Body:
    """The response body of an export, compressed if the client accepts it."""

    def __init__(self, call: Call, fmt: ExportFormat, now_ns: int) -> None:
        self._request = call.request
        self._format = fmt
        name = f"opslog-{rfc3339_ns(now_ns)[:19].replace(':', '')}Z.{fmt.suffix}"
        self.response = web.StreamResponse(
            headers={
                "Content-Type": fmt.content_type,
                "Content-Disposition": f'attachment; filename="{name}"',
                "Vary": "Accept-Encoding",
            }
        )
        self._deflate = None
        if accepts(self._request, "gzip"):
            self._deflate = isal_zlib.compressobj(1, isal_zlib.DEFLATED, GZIP_BITS)
            self.response.headers["Content-Encoding"] = "gzip"

    async def begin(self) -> None:
        await self.response.prepare(self._request)
        await self.write(self._format.head)

    async def write(self, raw: bytes) -> None:
        await self.response.write(raw if self._deflate is None else self._deflate.compress(raw))

    async def end(self) -> None:
        await self.write(self._format.tail)
        await self.response.write_eof(b"" if self._deflate is None else self._deflate.flush())
