"""HTTP conduct that aiohttp leaves to us: deadlines, errors of the protocol itself, draining.

One sweep a second looks at every connection, so a request pays for its deadlines with two
assignments and no timer. Overridden are asyncio.Protocol's methods and aiohttp's `handle_error` and
`log_exception`; the one private name is `_messages`, see data_received.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.web_protocol import RequestHandler, RequestPayloadError

from config.errors import OpslogError
from config.process.listener import ConnectionSlots
from config.settings import OtlpSettings
from otlp_receiver.errors import BadHttp, IngestFailed, ReceiverStopping, trace_of
from otlp_receiver.metrics import ACCEPT_PAUSES, CONNECTIONS, PEER_REFUSALS, SLOW_CLOSED

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
"""Answers one request; raises nothing but CancelledError."""
ErrorResponder = Callable[[OpslogError], web.StreamResponse]
"""The answer to an error that met no handler."""

_NO_DEADLINE = float("inf")
_RATE_GRACE_S = 10.0
"""Bodies may be slow for this long: a mobile client wakes its radio."""
_READ_BUFFER_BYTES = 64 * 1024
"""Reading pauses at twice this; it bounds what a connection holds that nobody reads."""
_LINGER_S = 5.0
"""How long an unread body is read and thrown away, so that the sender sees the answer."""
_EXPECTED = (ConnectionError, RequestPayloadError)
"""What senders do: go away, or break their framing (answered with 400)."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class BodyWatch:
    """A body that has not arrived whole; `alarm` raises TimeoutError in whoever reads it."""

    alarm: asyncio.Timeout
    began_s: float
    content: StreamReader


class Connection(RequestHandler):
    """One connection, with the time by which it must have done something."""

    __slots__ = ("body", "deadline_s", "in_request", "peer", "server")

    def __init__(self, server: "HttpServer", peer: str, **kwargs: Any) -> None:
        super().__init__(server, **kwargs)
        self.server = server
        self.peer = peer
        """Address of the other side, as it was accepted."""
        self.deadline_s = _NO_DEADLINE
        """When the connection is closed unless a request has come; loop time."""
        self.in_request = False
        self.body: BodyWatch | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock for the first headers."""
        self.deadline_s = self._loop.time() + self.server.settings.header_timeout_s
        CONNECTIONS.inc()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Free the place of this connection."""
        CONNECTIONS.dec()
        super().connection_lost(exc)
        self.server.slots.release(self.peer)

    def data_received(self, data: bytes) -> None:
        """Start the clock when headers begin on an idle connection; wake whoever reads."""
        if not self.in_request and self.deadline_s == _NO_DEADLINE:
            self.deadline_s = self._loop.time() + self.server.settings.header_timeout_s
        super().data_received(data)
        # When a body breaks off in a malformed chunk, aiohttp queues the error behind the request
        # and leaves its reader waiting. Before the end of a body nothing else can be queued.
        body = self.body
        if body is not None and self._messages and not body.content.is_eof():
            body.content.set_exception(RequestPayloadError())

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 -- quotes what was sent
    ) -> web.StreamResponse:
        """Answer bytes that are not HTTP. What was sent is neither logged nor echoed."""
        del request
        error: OpslogError = BadHttp("the request is malformed, or a header is too long")
        if status != 400:
            error = IngestFailed("internal error; nothing was kept, send again")
            if exc is not None:
                _log.error("request failed outside of its handler: %s", trace_of(exc))
        response = self.server.refuse(error)
        response.force_close()
        return response

    def log_exception(self, *_: Any, **kwargs: Any) -> None:
        """As aiohttp's, without messages: they quote headers, and headers hold keys."""
        error = kwargs.get("exc_info")
        if isinstance(error, Exception) and not isinstance(error, _EXPECTED):
            _log.warning("connection failed: %s", trace_of(error))

    def is_late(self, now_s: float) -> bool:
        """Whether headers are overdue. A late body is woken instead, and answered with 408."""
        body = self.body
        if body is None:
            return now_s > self.deadline_s
        settings = self.server.settings
        elapsed_s = now_s - body.began_s
        expected = settings.min_body_bytes_per_s * elapsed_s
        if elapsed_s > settings.body_timeout_s or (
            elapsed_s > _RATE_GRACE_S and body.content.total_bytes < expected
        ):
            self.body = None
            self.deadline_s = now_s + 1.0
            body.alarm.reschedule(now_s)
            SLOW_CLOSED.inc()
        return False


class HttpServer(web.Server):
    """aiohttp's low-level server with our connections: no routes, middlewares or access log."""

    def __init__(
        self,
        handler: Handler,
        settings: OtlpSettings,
        *,
        refuse: ErrorResponder,
        update_gauges: Callable[[], None],
    ) -> None:
        super().__init__(self._serve, request_factory=self._request)
        self.settings = settings
        self.refuse = refuse
        self.stopping = False
        """Set by drain: whatever comes now is answered with 503."""
        self.slots = ConnectionSlots(settings.max_connections, settings.max_connections_per_peer)
        self._handler = handler
        self._update_gauges = update_gauges

    @property
    def header_timeout_s(self) -> float:
        """Longest time for a handshake, as for headers."""
        return self.settings.header_timeout_s

    @property
    def sweep_every_s(self) -> float:
        """Pause between two sweeps."""
        return min(1.0, self.settings.header_timeout_s / 4, self.settings.body_timeout_s / 4)

    def on_pause(self) -> None:
        """No connection is accepted for a while: too many, or no descriptors left."""
        ACCEPT_PAUSES.inc()

    def on_refused(self) -> None:
        """A connection was closed at once: its peer has as many as one may have."""
        PEER_REFUSALS.inc()

    def connection(self, peer: str) -> Connection:
        """The protocol of one more connection."""
        return Connection(
            self,
            peer,
            loop=self._loop,
            access_log=None,
            auto_decompress=False,  # a limit needs to see how much comes out
            keepalive_timeout=self.settings.keepalive_timeout_s,
            lingering_time=_LINGER_S,
            read_bufsize=_READ_BUFFER_BYTES,
        )

    def sweep(self) -> None:
        """Close connections whose headers are overdue, wake readers of overdue bodies."""
        self._update_gauges()
        now_s = self._loop.time()
        for connection in self.connections:
            if isinstance(connection, Connection) and connection.is_late(now_s):
                SLOW_CLOSED.inc()
                connection.force_close()

    async def drain(self, grace_s: float) -> None:
        """Finish what has begun, refuse what comes, then close everything."""
        self.stopping = True
        ends_s = self._loop.time() + grace_s
        while True:
            busy = 0
            for connection in self.connections:
                if isinstance(connection, Connection) and connection.in_request:
                    busy += 1
                else:
                    connection.force_close()
            if not busy or self._loop.time() >= ends_s:
                break
            await asyncio.sleep(0.02)
        await self.shutdown(1.0)

    def _request(self, *args: Any) -> web.BaseRequest:
        """Called by aiohttp when headers are complete and it is their turn."""
        request = self._make_request(*args)
        connection = request.protocol
        if isinstance(connection, Connection):
            connection.in_request = True
            connection.deadline_s = _NO_DEADLINE
        return request

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            if self.stopping:
                response = self.refuse(ReceiverStopping("the receiver is stopping; send again"))
            else:
                response = await self._handler(request)
            if self.stopping:
                response.force_close()
        finally:
            connection = request.protocol
            if isinstance(connection, Connection):
                connection.in_request = False
        return response


@asynccontextmanager
async def watched(request: web.BaseRequest) -> AsyncIterator[None]:
    """Watch the reading of this body: TimeoutError where it does not come in time."""
    connection = request.protocol
    if not isinstance(connection, Connection):
        raise TypeError("the request came through another server")
    async with asyncio.timeout(None) as alarm:
        now_s = asyncio.get_running_loop().time()
        connection.body = BodyWatch(alarm, now_s, request.content)
        try:
            yield
        finally:
            connection.body = None
