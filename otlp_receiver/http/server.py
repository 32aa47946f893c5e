"""The HTTP server on top of aiohttp: deadlines, malformed requests, connection limits, draining.

A sweep once a second checks every connection, so deadlines cost a request two assignments and no
timer. Overrides asyncio.Protocol's methods and aiohttp's `handle_error` and `log_exception`; the
only private name used is `_messages`, see data_received.
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
from otlp_receiver.http.other_protocols import OtherProtocol, other_protocol_of
from otlp_receiver.metrics import ACCEPT_PAUSES, CONNECTIONS, PEER_REFUSALS, SLOW_CLOSED

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
"""Handles one request; raises only CancelledError."""
ErrorResponder = Callable[[OpslogError], web.StreamResponse]
"""Builds the response to an error outside the handler."""

_NO_DEADLINE = float("inf")
_RATE_GRACE_S = 10.0
"""Grace period before the minimum body rate applies: a mobile client wakes its radio."""
_READ_BUFFER_BYTES = 64 * 1024
"""Reading pauses at twice this size; bounds the unread bytes of a connection."""
_LINGER_S = 5.0
"""How long an unread body is drained, so that the sender can read the response."""
_LOG_EVERY_S = 60.0
"""Senders retry for hours; one line a minute tells that they still do."""
_EXPECTED = (ConnectionError, RequestPayloadError)
"""Caused by senders: they disconnect or violate the framing (400)."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class BodyWatch:
    """An incomplete body; `alarm` raises TimeoutError in its reader."""

    alarm: asyncio.Timeout
    began_s: float
    content: StreamReader


class Connection(RequestHandler):
    """One connection, with its deadline."""

    __slots__ = ("body", "deadline_s", "in_request", "is_new", "other", "peer", "server")

    def __init__(self, server: "HttpServer", peer: str, **kwargs: Any) -> None:
        super().__init__(server, **kwargs)
        self.server = server
        self.peer = peer
        """Address of the peer when accepted."""
        self.deadline_s = _NO_DEADLINE
        """Loop time at which the connection is closed unless a request has arrived."""
        self.in_request = False
        self.is_new = True
        """Whether nothing has been received yet."""
        self.other: OtherProtocol | None = None
        """The protocol that the peer speaks instead of HTTP/1.1."""
        self.body: BodyWatch | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the header timeout."""
        self.deadline_s = self._loop.time() + self.server.settings.header_timeout_s
        CONNECTIONS.inc()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Release the slot of this connection."""
        CONNECTIONS.dec()
        super().connection_lost(exc)
        self.server.slots.release(self.peer)

    def data_received(self, data: bytes) -> None:
        """Start the header timeout on an idle connection; wake the reader of a broken body."""
        if self.is_new:
            self.is_new = False
            self.other = other_protocol_of(data)
            if self.other is not None:
                self.server.log_protocol(self.other, self.peer)
        if not self.in_request and self.deadline_s == _NO_DEADLINE:
            self.deadline_s = self._loop.time() + self.server.settings.header_timeout_s
        super().data_received(data)
        # After a malformed chunk in a body, aiohttp queues the error behind the request and leaves
        # the reader waiting. Before the end of a body nothing else can be queued.
        body = self.body
        if body is not None and self._messages and not body.content.is_eof():
            body.content.set_exception(RequestPayloadError())

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 -- quotes the request
    ) -> web.StreamResponse:
        """Respond to malformed HTTP. The request is neither logged nor echoed."""
        del request
        other = self.other
        error: OpslogError = BadHttp(
            "the request is malformed, or a header is too long" if other is None else other.sentence
        )
        if status != 400:
            error = IngestFailed("internal error; nothing was stored, retry")
            if exc is not None:
                _log.error("request failed outside its handler: %s", trace_of(exc))
        response = self.server.refuse(error)
        response.force_close()
        return response

    def log_exception(self, *_: Any, **kwargs: Any) -> None:
        """Log as aiohttp does, without messages: they quote headers, and headers contain keys."""
        error = kwargs.get("exc_info")
        if isinstance(error, Exception) and not isinstance(error, _EXPECTED):
            _log.warning("connection failed: %s", trace_of(error))

    def is_late(self, now_s: float) -> bool:
        """Whether the headers have timed out. The reader of a late body is woken, and sends 408."""
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
    """aiohttp's low-level server with `Connection`: no routes, middlewares or access log."""

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
        """Set by drain: new requests get 503."""
        self.slots = ConnectionSlots(settings.max_connections, settings.max_connections_per_peer)
        self._handler = handler
        self._update_gauges = update_gauges
        self._logged_s: dict[str, float] = {}
        """When each other protocol was logged last, in loop time."""

    @property
    def header_timeout_s(self) -> float:
        """Timeout of the TLS handshake, as for headers."""
        return self.settings.header_timeout_s

    @property
    def sweep_every_s(self) -> float:
        """Interval between sweeps."""
        return min(1.0, self.settings.header_timeout_s / 4, self.settings.body_timeout_s / 4)

    def on_pause(self) -> None:
        """Count a pause in accepting: too many connections, or no descriptors left."""
        ACCEPT_PAUSES.inc()

    def on_refused(self) -> None:
        """Count a connection closed immediately because its peer has reached its limit."""
        PEER_REFUSALS.inc()

    def connection(self, peer: str) -> Connection:
        """Create the protocol of a new connection."""
        return Connection(
            self,
            peer,
            loop=self._loop,
            access_log=None,
            auto_decompress=False,  # receive.py decompresses, within limits
            keepalive_timeout=self.settings.keepalive_timeout_s,
            lingering_time=_LINGER_S,
            read_bufsize=_READ_BUFFER_BYTES,
        )

    def sweep(self) -> None:
        """Close connections with timed-out headers, wake readers of timed-out bodies."""
        self._update_gauges()
        now_s = self._loop.time()
        for connection in self.connections:
            if isinstance(connection, Connection) and connection.is_late(now_s):
                SLOW_CLOSED.inc()
                connection.force_close()

    def log_protocol(self, protocol: OtherProtocol, peer: str) -> None:
        """Log a connection with another protocol, at most once a minute."""
        now_s = self._loop.time()
        if now_s - self._logged_s.get(protocol.name, -_LOG_EVERY_S) >= _LOG_EVERY_S:
            self._logged_s[protocol.name] = now_s
            _log.warning("%s (from %s)", protocol.sentence, peer)

    async def drain(self, grace_s: float) -> None:
        """Finish requests in progress, refuse new ones, then close all connections."""
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
        """Called by aiohttp when it starts to handle a request with complete headers."""
        request = self._make_request(*args)
        connection = request.protocol
        if isinstance(connection, Connection):
            connection.in_request = True
            connection.deadline_s = _NO_DEADLINE
        return request

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            if self.stopping:
                response = self.refuse(ReceiverStopping("the receiver is shutting down; retry"))
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
    """Watch the reading of this body; raises TimeoutError if it is too slow."""
    connection = request.protocol
    if not isinstance(connection, Connection):
        raise TypeError("the request belongs to another server")
    async with asyncio.timeout(None) as alarm:
        now_s = asyncio.get_running_loop().time()
        connection.body = BodyWatch(alarm, now_s, request.content)
        try:
            yield
        finally:
            connection.body = None
