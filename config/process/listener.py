"""Accept connections on a listening socket: connection limits, EMFILE back-off, TLS."""

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from config.process.tls import TlsContext

DRAIN_GRACE_S = 10.0
"""How long requests in progress may take at shutdown."""
_ACCEPT_PAUSE_S = 0.5
_MAX_ACCEPTS = 100
"""Connections accepted per iteration: the backlog of asyncio's own server."""

_log = logging.getLogger(__name__)


class ConnectionSlots:
    """Limits on open connections, in total and per peer."""

    __slots__ = ("_max", "_max_per_peer", "_peers", "available", "used")

    def __init__(self, limit: int, limit_per_peer: int) -> None:
        self._max = limit
        self._max_per_peer = limit_per_peer
        self._peers: Counter[str] = Counter()
        self.used = 0
        self.available = asyncio.Event()
        """Set while another connection may be accepted."""
        self.available.set()

    def acquire(self, peer: str) -> bool:
        """Take a slot for a connection; False if the peer has reached its limit."""
        if self._peers[peer] >= self._max_per_peer:
            return False
        self._peers[peer] += 1
        self.used += 1
        if self.used >= self._max:
            self.available.clear()
        return True

    def release(self, peer: str) -> None:
        """Free the slot of a connection that was closed or could not be established."""
        self._peers[peer] -= 1
        if not self._peers[peer]:
            del self._peers[peer]
        self.used -= 1
        self.available.set()


class Served(Protocol):
    """The HTTP server behind a Listener, with its connection limits and deadlines."""

    slots: ConnectionSlots
    """Acquired by the listener, released when a connection ends."""

    @property
    def header_timeout_s(self) -> float:
        """Timeout of the TLS handshake, as for headers."""
        ...

    @property
    def sweep_every_s(self) -> float:
        """Interval between calls of `sweep`."""
        ...

    def connection(self, peer: str) -> asyncio.Protocol:
        """Create the protocol of a new connection."""
        ...

    def on_pause(self) -> None:
        """Called when accepting pauses: too many connections, or no descriptors left."""
        ...

    def on_refused(self) -> None:
        """Called when a connection was closed immediately: its peer has reached its limit."""
        ...

    def sweep(self) -> None:
        """Close connections past their deadline."""
        ...

    async def drain(self, grace_s: float) -> None:
        """Finish requests in progress, refuse new ones, then close all connections."""
        ...


class Listener:
    """Accepts connections on one socket until closed.

    asyncio's own server has no connection limit and busy-loops on EMFILE by closing and reopening
    its reader; here, at the limit, further connections wait in the kernel's backlog.
    """

    def __init__(
        self,
        server: Served,
        sock: socket.socket,
        tls: TlsContext | None,
        patience_s: Callable[[], float] | None = None,
    ) -> None:
        """Create a listener.

        Args:
            server: makes the protocols of connections, and limits them.
            sock: is listening; processes may share it.
            tls: None for plain HTTP.
            patience_s: where processes share connections evenly: how long the others may accept
                a connection that waits before we do. Connections are then accepted one by one.
        """
        self._server = server
        self._patience_s = patience_s
        self._sock = sock
        self._sock.setblocking(False)
        self._tls = tls
        self._tasks: list[asyncio.Task[None]] = []
        self._handshakes: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The TCP port, also if chosen by the system."""
        return int(self._sock.getsockname()[1])

    @property
    def is_closed(self) -> bool:
        """Whether close() was called."""
        return self._sock.fileno() == -1

    def start(self) -> None:
        """Start accepting connections."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._accept()), loop.create_task(self._sweep())]

    async def close(self, grace_s: float = DRAIN_GRACE_S) -> None:
        """Stop accepting, finish requests in progress, close the rest."""
        accept, sweep = self._tasks
        await _end(accept)
        self._sock.close()
        await self._server.drain(grace_s)
        await _end(sweep)
        for handshake in list(self._handshakes):
            await _end(handshake)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self._server.slots.available.is_set():
                self._server.on_pause()
                await self._server.slots.available.wait()
            try:
                if self._patience_s is None:
                    self._serve(*await loop.sock_accept(self._sock))
                    self._accept_pending(_MAX_ACCEPTS)
                else:
                    await self._readable()
                    await asyncio.sleep(self._patience_s())
                    self._accept_pending(1)
            except ConnectionError:
                continue  # closed by the peer before it was accepted
            except OSError as error:
                _log.warning("cannot accept connections: %s", error.strerror)
                self._server.on_pause()
                await asyncio.sleep(_ACCEPT_PAUSE_S)

    async def _readable(self) -> None:
        """Wait until a connection can be accepted, unless another process does."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._sock.fileno(), readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._sock.fileno())

    def _accept_pending(self, most: int) -> None:
        """Accept pending connections: under load, an event loop iteration takes long."""
        with suppress(BlockingIOError):
            for _ in range(most):
                if not self._server.slots.available.is_set():
                    return
                accepted, address = self._sock.accept()
                accepted.setblocking(False)
                self._serve(accepted, address)

    def _serve(self, accepted: socket.socket, address: tuple[str, int]) -> None:
        peer = str(address[0])
        if not self._server.slots.acquire(peer):
            accepted.close()
            self._server.on_refused()
            return
        task = asyncio.get_running_loop().create_task(self._connect(accepted, peer))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _connect(self, accepted: socket.socket, peer: str) -> None:
        context = None if self._tls is None else self._tls.current
        timeout_s = self._server.header_timeout_s if context else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._server.connection(peer),
                accepted,
                ssl=context,
                ssl_handshake_timeout=timeout_s,
            )
        except (OSError, ssl.SSLError) as error:
            _log.debug("connection refused: %s", type(error).__name__)
            accepted.close()
            self._server.slots.release(peer)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._server.sweep_every_s)
            self._server.sweep()
            if self._tls is not None:
                self._tls.reload_if_changed()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
