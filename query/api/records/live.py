"""The live tail as server-sent events: handler, route."""

import time
from collections.abc import Iterable

from aiohttp import web

from config.access import Permission
from query.api.http.call import API, Call, Route
from query.api.http.server import mark_endless
from query.api.records.querying import Querying
from query.auth.access_audit import Outcome
from query.auth.sessions import Sessions
from query.live.events import EventId
from query.live.tail import LiveTail, Subscriber
from query.planning.search import TAIL

HEARTBEAT_S = 15.0
_HEADERS = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}


class LiveRoutes:
    """The route that streams records as they are stored."""

    def __init__(self, querying: Querying, live: LiveTail, sessions: Sessions) -> None:
        self._sessions = sessions
        self._querying = querying
        self._live = live

    def routes(self) -> Iterable[Route]:
        """GET /api/v1/logs/tail."""
        yield Route(
            method="GET",
            path=f"{API}/logs/tail",
            handler=self.tail,
            permission=Permission.LOGS_READ,
            audit_permission=Permission.AUDIT_READ,
            action="logs.tail",
            is_streaming=True,
            tag="records",
            summary="New records as server-sent events",
            parameters=TAIL,
            media=("text/event-stream",),
        )

    async def tail(self, call: Call) -> web.StreamResponse:
        """GET /api/v1/logs/tail."""
        search = await self._querying.search(call, TAIL)
        scoped = self._querying.scoped(call, search)
        with self._live.subscribed(scoped.untimed, call.principal.token) as subscriber:
            await self._querying.sources.audit.note(call.event(Outcome.SUCCESS))
            mark_endless(call.request)
            response = web.StreamResponse(headers=_HEADERS)
            await response.prepare(call.request)
            await response.write(b"retry: 2000\n\n")
            last = EventId.parse(call.request.headers.get("Last-Event-ID", ""))
            if last is not None:
                await self._live.replay(subscriber, last)
            await self._stream(call, response, subscriber)
        return response

    async def _stream(
        self, call: Call, response: web.StreamResponse, subscriber: Subscriber
    ) -> None:
        """Stream until the client disconnects or logs out, or its token expires."""
        while self._is_valid(call):
            events, missed = await subscriber.take(HEARTBEAT_S)
            if not self._is_valid(call):
                return
            text = b"".join(
                b"id: %s\nevent: record\ndata: %s\n\n" % (str(event.id).encode(), event.body)
                for event in events
            )
            if missed:
                text += b'event: missed\ndata: {"count":%d}\n\n' % missed
            await response.write(text or b": \n\n")

    def _is_valid(self, call: Call) -> bool:
        is_ended = bool(call.cookie) and self._sessions.find(call.cookie) is None
        return time.time() < call.principal.expires_s and not is_ended
