"""Notifications of stored batches, sent by the writers' transactions, for live tails.

    writer's commit --NOTIFY opslog_batches '<first> <last>'--> Batches --> the caller of `next`

Notifications that arrive while nobody waits are merged into one range, so memory stays bounded.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.database.dedicated import DedicatedConnection
from storage.database.pool import DatabaseRole

if TYPE_CHECKING:
    import asyncpg

CHANNEL = "opslog_batches"
_IDLE_S = 30.0
"""Interval of liveness checks on an idle connection."""


@dataclass(frozen=True, slots=True)
class BatchRange:
    """Batches between these ids, both included, some of which are new."""

    first: int
    last: int

    def joined(self, other: "BatchRange") -> "BatchRange":
        """The range that spans both."""
        return BatchRange(min(self.first, other.first), max(self.last, other.last))


class Batches:
    """Listens for notifications; `run` is a task, `next` has one waiter at a time."""

    def __init__(self, dsn: str) -> None:
        self._dedicated = DedicatedConnection(
            dsn, DatabaseRole.READER, name="opslog-batches", task="listening for new batches"
        )
        self._pending: BatchRange | None = None
        self._wake = asyncio.Event()

    @property
    def problem(self) -> str:
        """Why notifications cannot be received; empty when they can."""
        return self._dedicated.problem

    async def run(self) -> None:
        """Listen until cancelled; reconnects when the connection is lost."""
        await self._dedicated.run(self._listen)

    async def next(self) -> BatchRange:
        """The batches stored since the last call; waits until there are any."""
        while self._pending is None:
            self._wake.clear()
            await self._wake.wait()
        batches, self._pending = self._pending, None
        return batches

    async def _listen(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(CHANNEL, self._on_notify)
        while not lost.is_set():
            await connection.execute("SELECT 1")
            self._dedicated.succeeded()
            try:
                async with asyncio.timeout(_IDLE_S):
                    await lost.wait()
            except TimeoutError:
                continue

    def _on_notify(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        first, _, last = str(payload).partition(" ")
        if not (first.isdigit() and last.isdigit()):
            return  # a transaction of duplicates only
        fresh = BatchRange(int(first), int(last))
        self._pending = fresh if self._pending is None else self._pending.joined(fresh)
        self._wake.set()
