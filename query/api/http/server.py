"""HTTP conduct of the API that aiohttp leaves to us: deadlines, caps, errors of the protocol.

The receiver has its own (otlp_receiver/http/conduct.py), with deadlines for bodies of megabytes;
here bodies are small and responses may be endless. Overridden are asyncio.Protocol's methods and
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
from config.process.listener import Places
from config.process.logs import exception_text
from config.settings import ApiSettings
from query import metrics
from query.api.http.problems import make_safe, problem
from query.errors import BadRequest

MAX_LINE_BYTES = 64 * 1024
"""Longest request line: a question of 2048 characters takes up to 24 KiB in an address."""
_FOREVER = float("inf")
_LINGER_S = 5.0
"""How long an unread body is read and thrown away, so that the client sees the answer."""
_STALLED_S = 300.0
"""Who takes nothing of an answer for so long has gone, or wants to keep a connection busy."""
_DRAIN_LOOK_S = 0.02

_log = logging.getLogger(__name__)


class Connection(RequestHandler):
    """One connection, with the time by which it must have done something."""

    __slots__ = ("_unsent", "deadline_s", "in_request", "is_endless", "peer", "served")

    def __init__(self, served: "ApiServer", manager: web.Server, peer: str, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self.served = served
        self.peer = peer
        """Address of the other side, as it was accepted."""
        self.deadline_s = _FOREVER
        """When the connection is closed unless a request has come; loop time."""
        self.in_request = False
        self.is_endless = False
        """Whether what it is given ends only when somebody goes."""
        self._unsent = (0, 0.0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock for the first headers."""
        self.deadline_s = self._loop.time() + self.served.header_timeout_s
        metrics.CONNECTIONS.inc()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Free the place of this connection."""
        metrics.CONNECTIONS.dec()
        super().connection_lost(exc)
        self.served.places.leave(self.peer)

    def data_received(self, data: bytes) -> None:
        """Start the clock when headers begin on an idle connection."""
        if not self.in_request and self.deadline_s == _FOREVER:
            self.deadline_s = self._loop.time() + self.served.header_timeout_s
        super().data_received(data)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - quotes what was sent
    ) -> web.StreamResponse:
        """Answer bytes that are not HTTP. What was sent is neither logged nor echoed."""
        del request
        error: OpslogError = BadRequest("the request is malformed, or a header is too long")
        if status != 400:
            error = OpslogError()
            if exc is not None:
                _log.error("request failed outside of its handler: %s", exception_text(exc))
        request_id = secrets.token_hex(8)
        answer = problem(error, request_id)
        make_safe(answer, request_id)
        answer.force_close()
        return answer

    def log_exception(self, *_: Any, **kwargs: Any) -> None:
        """As aiohttp's, without messages: they quote headers, and headers hold tokens."""
        error = kwargs.get("exc_info")
        if isinstance(error, Exception) and not isinstance(error, ConnectionError):
            _log.warning("connection failed: %s", exception_text(error))

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered, or its answer is still on its way."""
        unsent = self.transport is not None and self.transport.get_write_buffer_size()
        return self.in_request or bool(unsent)

    def is_late(self, now_s: float) -> bool:
        """Whether headers are overdue, or nothing of an answer was taken for very long."""
        unsent = 0 if self.transport is None else self.transport.get_write_buffer_size()
        if not unsent or unsent != self._unsent[0]:
            self._unsent = (unsent, now_s)
        return now_s > self.deadline_s or now_s - self._unsent[1] > _STALLED_S


class ApiServer:
    """The connections of an application (config.listener.Served)."""

    def __init__(self, runner: web.AppRunner, settings: ApiSettings) -> None:
        """`runner` is set up."""
        assert runner.server is not None
        self._manager = runner.server
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self.places = Places(settings.max_connections, settings.max_connections_per_peer)

    @property
    def header_timeout_s(self) -> float:
        """Longest time for a handshake, as for headers."""
        return self._settings.header_timeout_s

    @property
    def sweep_every_s(self) -> float:
        """Pause between two sweeps."""
        return min(1.0, self.header_timeout_s / 4)

    def connection(self, peer: str) -> Connection:
        """The protocol of one more connection."""
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
        """No connection is accepted for a while."""
        metrics.ACCEPT_PAUSES.inc()

    def on_refused(self) -> None:
        """A connection was closed at once."""
        metrics.PEER_REFUSALS.inc()

    def sweep(self) -> None:
        """Close connections that are late."""
        now_s = self._loop.time()
        for connection in self._connections():
            if connection.is_late(now_s):
                metrics.SLOW_CLOSED.inc()
                if connection.transport is not None:
                    connection.transport.abort()

    async def drain(self, grace_s: float) -> None:
        """Finish what has begun, but for what never ends, then close everything."""
        ends_s = self._loop.time() + grace_s
        while self._close_idle() and self._loop.time() < ends_s:  # noqa: ASYNC110 - at the end
            await asyncio.sleep(_DRAIN_LOOK_S)
        await self._manager.shutdown(1.0)

    def _close_idle(self) -> int:
        """How many are busy with something that ends."""
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
    """While a request is answered, its connection has no deadline for headers."""
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


def never_ends(request: web.Request) -> None:
    """What this request is given ends when somebody goes: nobody waits for it at the end."""
    if isinstance(request.protocol, Connection):
        request.protocol.is_endless = True
