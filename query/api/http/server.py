"""What aiohttp does not do for the API: deadlines, connection limits, protocol errors.

The receiver has its own server (otlp_receiver/http/server.py), with deadlines for large bodies;
here bodies are small and responses may be endless. Overrides methods of asyncio.Protocol, and
aiohttp's `handle_error` and `log_exception`.
"""

import asyncio
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from config.errors import OpslogError
from config.process.listener import ConnectionSlots
from config.process.logs import exception_text
from config.settings import ApiSettings
from query import metrics
from query.api.http.problems import problem, put_security_headers
from query.auth.shared_state import SharedState
from query.errors import BadRequest

MAX_LINE_BYTES = 64 * 1024
"""Longest request line: a query of 2048 characters takes up to 24 KiB in a URL."""
_FOREVER = float("inf")
_LINGER_S = 5.0
"""How long an unread body is read and discarded, so that the client receives the response."""
_STALLED_S = 300.0
"""A client that reads nothing of a response for this long is disconnected."""
_DRAIN_POLL_S = 0.02
_PATIENCE_S = 0.003
"""A process with fewer connections that is not busy accepts the next one within this time."""

_log = logging.getLogger(__name__)


class Connection(RequestHandler):
    """One connection, with its deadline."""

    __slots__ = ("_unsent", "deadline_s", "in_request", "is_endless", "peer", "served")

    def __init__(self, served: "ApiServer", manager: web.Server, peer: str, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self.served = served
        self.peer = peer
        """Address of the peer."""
        self.deadline_s = _FOREVER
        """When the connection is closed unless a request has arrived; loop time."""
        self.in_request = False
        self.is_endless = False
        """Whether its response only ends when the client disconnects."""
        self._unsent = (0, 0.0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the deadline of the first headers."""
        self.deadline_s = self._loop.time() + self.served.header_timeout_s
        metrics.CONNECTIONS.inc()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Release the slot of this connection."""
        metrics.CONNECTIONS.dec()
        super().connection_lost(exc)
        self.served.slots.release(self.peer)

    def data_received(self, data: bytes) -> None:
        """Start the deadline when headers begin on an idle connection."""
        if not self.in_request and self.deadline_s == _FOREVER:
            self.deadline_s = self._loop.time() + self.served.header_timeout_s
        super().data_received(data)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - quotes the request
    ) -> web.StreamResponse:
        """Respond to malformed HTTP. The request is neither logged nor echoed."""
        del request
        error: OpslogError = BadRequest("Malformed request, or a header is too long")
        if status != 400:
            error = OpslogError()
            if exc is not None:
                _log.error("request failed outside of its handler: %s", exception_text(exc))
        request_id = secrets.token_hex(8)
        response = problem(error, request_id)
        put_security_headers(response, request_id)
        response.force_close()
        return response

    def log_exception(self, *_: Any, **kwargs: Any) -> None:
        """Log like aiohttp, without messages: they quote headers, which contain tokens."""
        error = kwargs.get("exc_info")
        if isinstance(error, Exception) and not isinstance(error, ConnectionError):
            _log.warning("connection failed: %s", exception_text(error))

    @property
    def is_busy(self) -> bool:
        """Whether a request is being processed, or its response not sent completely."""
        unsent = self.transport is not None and self.transport.get_write_buffer_size()
        return self.in_request or bool(unsent)

    def is_late(self, now_s: float) -> bool:
        """Whether headers are overdue, or the client has stopped reading the response."""
        unsent = 0 if self.transport is None else self.transport.get_write_buffer_size()
        if not unsent or unsent != self._unsent[0]:
            self._unsent = (unsent, now_s)
        return now_s > self.deadline_s or now_s - self._unsent[1] > _STALLED_S


class ApiServer:
    """The connections of an application (config.listener.Served)."""

    def __init__(self, runner: web.AppRunner, settings: ApiSettings, state: SharedState) -> None:
        """`runner` is set up."""
        assert runner.server is not None
        self._state = state
        self._manager = runner.server
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self.slots = ConnectionSlots(
            state.share(settings.max_connections), state.share(settings.max_connections_per_peer)
        )

    @property
    def header_timeout_s(self) -> float:
        """Time limit of a TLS handshake, the same as for headers."""
        return self._settings.header_timeout_s

    @property
    def sweep_every_s(self) -> float:
        """Interval of sweeps."""
        return min(1.0, self.header_timeout_s / 4)

    def patience_s(self) -> float:
        """Time that the other query processes get to accept a connection before us."""
        self._state.note_connections(self.slots.used)
        return _PATIENCE_S if self._state.has_most_connections else 0.0

    def connection(self, peer: str) -> Connection:
        """The protocol of a new connection."""
        return Connection(
            self,
            self._manager,
            peer,
            loop=self._loop,
            access_log=None,
            max_line_size=MAX_LINE_BYTES,
            keepalive_timeout=self._settings.keepalive_timeout_s,
            lingering_time=_LINGER_S,
        )

    def on_pause(self) -> None:
        """Accepting connections is paused."""
        metrics.ACCEPT_PAUSES.inc()

    def on_refused(self) -> None:
        """A connection was refused."""
        metrics.PEER_REFUSALS.inc()

    def sweep(self) -> None:
        """Close overdue connections."""
        now_s = self._loop.time()
        self._state.note_connections(self.slots.used)
        for connection in self._connections():
            if connection.is_late(now_s):
                metrics.SLOW_CLOSED.inc()
                if connection.transport is not None:
                    connection.transport.abort()

    async def drain(self, grace_s: float) -> None:
        """Finish requests in progress, except endless ones, then close all connections."""
        ends_s = self._loop.time() + grace_s
        while self._close_idle() and self._loop.time() < ends_s:  # noqa: ASYNC110 - at shutdown
            await asyncio.sleep(_DRAIN_POLL_S)
        await self._manager.shutdown(1.0)

    def _close_idle(self) -> int:
        """Close idle connections; the number of busy ones whose response ends."""
        busy = 0
        for connection in self._connections():
            if connection.is_busy and not connection.is_endless:
                busy += 1
            else:
                connection.force_close()
        return busy

    def _connections(self) -> list[Connection]:
        return [item for item in self._manager.connections if isinstance(item, Connection)]


@contextmanager
def in_request(request: web.Request) -> Iterator[None]:
    """Suspend the headers deadline while a request is processed."""
    connection = request.protocol
    if not isinstance(connection, Connection):
        yield
        return
    connection.in_request = True
    connection.deadline_s = _FOREVER
    try:
        yield
    finally:
        connection.in_request = False


def mark_endless(request: web.Request) -> None:
    """The response only ends when the client disconnects: a shutdown does not wait for it."""
    if isinstance(request.protocol, Connection):
        request.protocol.is_endless = True
