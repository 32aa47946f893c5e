"""The handler of exports: everything that a filter selects, as a stream."""

import logging
from collections.abc import AsyncGenerator

from aiohttp import web
from isal import isal_zlib

from config.access import Permission
from config.errors import BadInput, OpslogError
from query.api.http.call import Call
from query.api.http.compression import GZIP_BITS, takes
from query.api.records.querying import Asking, members
from query.auth.access_audit import Outcome
from query.planning.export import Export, Piece
from query.planning.search import EXPORT
from query.render.forms import FORMS, Form
from storage.record.times import rfc3339_ns

_log = logging.getLogger(__name__)


class Exports:
    """Streams records to files."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._from = asking.sources
        self._export = Export(self._from.reader, self._from.pages, self._from.streams)

    async def export(self, call: Call) -> web.StreamResponse:
        """GET /api/v1/logs/export."""
        search = self._asking.search(call, EXPORT)
        form = FORMS.get(search.only("format") or "ndjson")
        if form is None:
            raise BadInput(f"format is one of {', '.join(FORMS)}", where="format")
        names = members(search)
        if names is not None:
            form = form.only(names)
        asked = self._asking.asked(call, search, telemetry=Permission.LOGS_EXPORT)
        await self._from.audit.require(call.event(Outcome.SUCCESS))
        return await self._stream(call, form, self._export.pieces(asked.where, search.order))

    async def _stream(
        self, call: Call, form: Form, pieces: AsyncGenerator[Piece, None]
    ) -> web.StreamResponse:
        # The first piece is read before the headers go, so that a question that fails at once
        # is answered with its error.
        piece = await anext(pieces, None)
        pipe = _Pipe(call, form, self._from.now_ns())
        await pipe.begin()
        call.rows = 0
        try:
            while piece is not None:
                await pipe.write(
                    (form.between if call.rows else b"") + form.write(piece.rows, piece.streams)
                )
                call.rows += len(piece.rows)
                piece = await anext(pieces, None)
            await pipe.end()
        except OpslogError as error:
            # Too late for another status: the client sees the transfer break off.
            _log.warning("request %s: export stopped: %s", call.request_id, error.code)
            await self._from.audit.note(call.event(Outcome.FAILURE, error.code))
            if call.request.transport is not None:
                call.request.transport.abort()
            return pipe.answer
        finally:
            await pieces.aclose()
        await self._from.audit.note(call.event(Outcome.SUCCESS))
        return pipe.answer


class _Pipe:
    """The bytes of an export on their way, compressed when the client takes that."""

    def __init__(self, call: Call, form: Form, now_ns: int) -> None:
        self._request = call.request
        self._form = form
        name = f"opslog-{rfc3339_ns(now_ns)[:19].replace(':', '')}Z.{form.suffix}"
        self.answer = web.StreamResponse(
            headers={
                "Content-Type": form.content_type,
                "Content-Disposition": f'attachment; filename="{name}"',
                "Vary": "Accept-Encoding",
            }
        )
        self._deflate = None
        if takes(self._request, "gzip"):
            self._deflate = isal_zlib.compressobj(1, isal_zlib.DEFLATED, GZIP_BITS)
            self.answer.headers["Content-Encoding"] = "gzip"

    async def begin(self) -> None:
        await self.answer.prepare(self._request)
        await self.write(self._form.head)

    async def write(self, raw: bytes) -> None:
        await self.answer.write(raw if self._deflate is None else self._deflate.compress(raw))

    async def end(self) -> None:
        await self.write(self._form.tail)
        await self.answer.write_eof(b"" if self._deflate is None else self._deflate.flush())
