"""When browsers logged out: in memory for the asking, in the database for all query servers.

Whoever logs out ends every session that was begun with the same token until then; the token
itself holds on, and may begin another.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from storage.database.listening import Standing, pause
from storage.database.pool import DatabaseRole
from storage.database.statements import statement

if TYPE_CHECKING:
    import asyncpg

CHANNEL = "opslog_session_ends"
_LOOK_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """A logout; times are seconds since 1970."""

    ended_s: float
    forget_s: float


class SessionEnds:
    """The logouts that count; `run` is a task of the process."""

    def __init__(self, dsn: str) -> None:
        self._standing = Standing(
            dsn, DatabaseRole.OWNER, name="opslog-sessions", task="telling others of logouts"
        )
        self._ends: dict[str, SessionEnd] = {}
        self._untold: dict[str, SessionEnd] = {}
        self._wake = asyncio.Event()
        self.is_known = asyncio.Event()
        """Set when the database has told what it knows."""

    @property
    def problem(self) -> str:
        """Why others are not told; empty when all is well."""
        return self._standing.problem

    def ended_s(self, token: str) -> float:
        """Until when sessions of this token are over; 0: none is."""
        end = self._ends.get(token)
        return 0.0 if end is None else end.ended_s

    def end(self, token: str, end: SessionEnd) -> None:
        """Somebody logs out: here at once, elsewhere as soon as the database has it."""
        self._ends[token] = self._untold[token] = end
        self._wake.set()

    async def run(self) -> None:
        """Tell and listen until cancelled; a lost connection is made anew."""
        await self._standing.run(self._follow)

    async def _follow(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        await connection.add_listener(CHANNEL, lambda *_: self._wake.set())
        connection.add_termination_listener(lambda _: self._wake.set())
        while True:
            self._wake.clear()
            await self._tell(connection)
            await connection.execute(statement("forget_sessions"))
            rows = await connection.fetch(statement("session_ends"))
            stored = {
                row["token"]: SessionEnd(row["ended_at"].timestamp(), row["forget_at"].timestamp())
                for row in rows
            }
            self._ends = stored | self._untold
            self.is_known.set()
            self._standing.well()
            await pause(self._wake, _LOOK_EVERY_S)

    async def _tell(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        telling = dict(self._untold)
        if not telling:
            return
        rows = [(token, _time(end.ended_s), _time(end.forget_s)) for token, end in telling.items()]
        async with connection.transaction():
            await connection.executemany(statement("end_sessions"), rows)
            await connection.execute(statement("announce_session_ends"), CHANNEL)
        for token, end in telling.items():
            if self._untold.get(token) == end:
                del self._untold[token]


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
