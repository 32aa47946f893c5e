"""The handler of the live tail: server-sent events."""

import time

from aiohttp import web

from query.api.http.call import Call
from query.api.http.server import never_ends
from query.api.records.querying import Asking
from query.auth.access_audit import Outcome
from query.auth.sessions import Sessions
from query.live.places import Place
from query.live.tail import Live, Watcher
from query.planning.search import TAIL

HEARTBEAT_S = 15.0
_HEADERS = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}


class Tailing:
    """Streams records as they are stored."""

    def __init__(self, asking: Asking, live: Live, sessions: Sessions) -> None:
        self._sessions = sessions
        self._asking = asking
        self._live = live

    async def tail(self, call: Call) -> web.StreamResponse:
        """GET /api/v1/logs/tail."""
        search = self._asking.search(call, TAIL)
        asked = self._asking.asked(call, search)
        watcher = self._live.watch(asked.untimed, call.principal.token)
        try:
            await self._asking.sources.audit.note(call.event(Outcome.SUCCESS))
            never_ends(call.request)
            answer = web.StreamResponse(headers=_HEADERS)
            await answer.prepare(call.request)
            await answer.write(b"retry: 2000\n\n")
            last = Place.read(call.request.headers.get("Last-Event-ID", ""))
            if last is not None:
                await self._live.replay(watcher, last)
            await self._stream(call, answer, watcher)
        finally:
            self._live.leave(watcher)
        return answer

    async def _stream(self, call: Call, answer: web.StreamResponse, watcher: Watcher) -> None:
        """Until the reader goes away or logs out, or its token ends."""
        while self._holds(call):
            lines, missed = await watcher.take(HEARTBEAT_S)
            if not self._holds(call):
                return
            text = b"".join(
                b"id: %s\nevent: record\ndata: %s\n\n" % (str(line.place).encode(), line.body)
                for line in lines
            )
            if missed:
                text += b'event: missed\ndata: {"count":%d}\n\n' % missed
            await answer.write(text or b": \n\n")

    def _holds(self, call: Call) -> bool:
        is_over = bool(call.cookie) and self._sessions.find(call.cookie) is None
        return time.time() < call.principal.expires_s and not is_over
