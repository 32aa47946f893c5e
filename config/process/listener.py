"""From a listening socket to connections: a cap, a pause when descriptors run out, TLS."""

import asyncio
import logging
import socket
import ssl
from collections import Counter
from contextlib import suppress
from typing import Protocol

from config.process.tls import TlsContext

DRAIN_GRACE_S = 10.0
"""How long requests that were begun may take when the process ends."""
_ACCEPT_PAUSE_S = 0.5
_MAX_ACCEPTS = 100
"""As asyncio's own server: its backlog."""

_log = logging.getLogger(__name__)


class ConnectionSlots:
    """How many connections are open, in all and from each peer."""

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
        """Count a connection; False where its peer has as many as one may have."""
        if self._peers[peer] >= self._max_per_peer:
            return False
        self._peers[peer] += 1
        self.used += 1
        if self.used >= self._max:
            self.available.clear()
        return True

    def release(self, peer: str) -> None:
        """A connection is gone, or has failed to be made."""
        self._peers[peer] -= 1
        if not self._peers[peer]:
            del self._peers[peer]
        self.used -= 1
        self.available.set()


class Served(Protocol):
    """What speaks HTTP on the connections that a Listener accepts, and keeps its deadlines."""

    slots: ConnectionSlots
    """Taken by the listener; left by a connection that ends."""

    @property
    def header_timeout_s(self) -> float:
        """Longest time for a handshake, as for headers."""
        ...

    @property
    def sweep_every_s(self) -> float:
        """Pause between two calls of `sweep`."""
        ...

    def connection(self, peer: str) -> asyncio.Protocol:
        """The protocol of one more connection."""
        ...

    def on_pause(self) -> None:
        """No connection is accepted for a while: too many, or no descriptors left."""
        ...

    def on_refused(self) -> None:
        """A connection was closed at once."""
        ...

    def sweep(self) -> None:
        """Close what is late."""
        ...

    async def drain(self, grace_s: float) -> None:
        """Finish what has begun, refuse what comes, then close everything."""
        ...


class Listener:
    """Accepts connections of one socket until closed.

    asyncio's own server has no cap and spins on EMFILE by closing and reopening its reader; here a
    full house simply leaves further connections in the kernel's queue.
    """

    def __init__(self, server: Served, sock: socket.socket, tls: TlsContext | None) -> None:
        self._server = server
        self._sock = sock
        self._sock.setblocking(False)
        self._tls = tls
        self._tasks: list[asyncio.Task[None]] = []
        self._handshakes: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The TCP port, also when the system chose it."""
        return int(self._sock.getsockname()[1])

    @property
    def is_closed(self) -> bool:
        """Whether close() was called."""
        return self._sock.fileno() == -1

    def start(self) -> None:
        """Begin to accept."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._accept()), loop.create_task(self._sweep())]

    async def close(self, grace_s: float = DRAIN_GRACE_S) -> None:
        """Stop accepting, finish what has begun, close the rest."""
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
                self._serve(*await loop.sock_accept(self._sock))
                self._accept_pending()
            except ConnectionError:
                continue  # gone before it was accepted
            except OSError as error:
                _log.warning("no connection can be accepted: %s", error.strerror)
                self._server.on_pause()
                await asyncio.sleep(_ACCEPT_PAUSE_S)

    def _accept_pending(self) -> None:
        """Accept those that are there already: under load, a turn of the event loop takes long."""
        with suppress(BlockingIOError):
            for _ in range(_MAX_ACCEPTS):
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
