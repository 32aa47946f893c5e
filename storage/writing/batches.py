"""News of stored batches, as the writers' transactions announce them: what live tails wait for.

    writer's commit --NOTIFY opslog_batches '<first> <last>'--> Batches --> whoever waits in `next`

News that come while nobody waits are joined into one range, so memory stays bounded.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.database.listening import Standing
from storage.database.pool import DatabaseRole

if TYPE_CHECKING:
    import asyncpg

CHANNEL = "opslog_batches"
_IDLE_S = 30.0
"""A silent connection is tried this often."""


@dataclass(frozen=True, slots=True)
class BatchRange:
    """Batches between these ids, both included, some of which are new."""

    first: int
    last: int

    def joined(self, other: "BatchRange") -> "BatchRange":
        """The range that holds both."""
        return BatchRange(min(self.first, other.first), max(self.last, other.last))


class Batches:
    """Listens; `run` is a task of the process, `next` has one waiter at a time."""

    def __init__(self, dsn: str) -> None:
        self._standing = Standing(
            dsn, DatabaseRole.READER, name="opslog-batches", task="listening for new batches"
        )
        self._news: BatchRange | None = None
        self._wake = asyncio.Event()

    @property
    def problem(self) -> str:
        """Why nothing can be heard; empty when all is well."""
        return self._standing.problem

    async def run(self) -> None:
        """Listen until cancelled; a lost connection is made anew."""
        await self._standing.run(self._listen)

    async def next(self) -> BatchRange:
        """What has come since the last call; waits for it."""
        while self._news is None:
            self._wake.clear()
            await self._wake.wait()
        news, self._news = self._news, None
        return news

    async def _listen(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(CHANNEL, self._heard)
        while not lost.is_set():
            await connection.execute("SELECT 1")
            self._standing.well()
            try:
                async with asyncio.timeout(_IDLE_S):
                    await lost.wait()
            except TimeoutError:
                continue

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        first, _, last = str(payload).partition(" ")
        if not (first.isdigit() and last.isdigit()):
            return  # a transaction of duplicates only
        fresh = BatchRange(int(first), int(last))
        self._news = fresh if self._news is None else self._news.joined(fresh)
        self._wake.set()
