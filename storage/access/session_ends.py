"""Logouts of browser sessions: cached in memory, shared by all query servers in the database.

A logout ends every session started with the same token until then; the token itself stays valid
and can start a new session.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from storage.database.dedicated import DedicatedConnection, pause
from storage.database.pool import DatabaseRole
from storage.database.statements import statement

if TYPE_CHECKING:
    import asyncpg

CHANNEL = "opslog_session_ends"
_REFRESH_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """A logout; times are seconds since 1970."""

    ended_s: float
    forget_s: float


class SessionEnds:
    """The logouts that are still relevant; `run` is a task of the process."""

    def __init__(self, dsn: str) -> None:
        self._dedicated = DedicatedConnection(
            dsn, DatabaseRole.OWNER, name="opslog-sessions", task="publishing logouts"
        )
        self._ends: dict[str, SessionEnd] = {}
        self._pending: dict[str, SessionEnd] = {}
        self._wake = asyncio.Event()
        self.is_known = asyncio.Event()
        """Set once the logouts have been loaded from the database."""

    @property
    def problem(self) -> str:
        """Why logouts cannot be published; empty when they can."""
        return self._dedicated.problem

    def ended_s(self, token: str) -> float:
        """Sessions of this token that started before this time have ended; 0: none has."""
        end = self._ends.get(token)
        return 0.0 if end is None else end.ended_s

    def end(self, token: str, end: SessionEnd) -> None:
        """Record a logout: here at once, elsewhere when it is in the database."""
        self._ends[token] = self._pending[token] = end
        self._wake.set()

    async def run(self) -> None:
        """Publish and listen until cancelled; reconnects when the connection is lost."""
        await self._dedicated.run(self._follow)

    async def _follow(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        await connection.add_listener(CHANNEL, lambda *_: self._wake.set())
        connection.add_termination_listener(lambda _: self._wake.set())
        while True:
            self._wake.clear()
            await self._publish(connection)
            await connection.execute(statement("forget_sessions"))
            rows = await connection.fetch(statement("session_ends"))
            stored = {
                row["token"]: SessionEnd(row["ended_at"].timestamp(), row["forget_at"].timestamp())
                for row in rows
            }
            self._ends = stored | self._pending
            self.is_known.set()
            self._dedicated.succeeded()
            await pause(self._wake, _REFRESH_EVERY_S)

    async def _publish(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        pending = dict(self._pending)
        if not pending:
            return
        rows = [(token, _time(end.ended_s), _time(end.forget_s)) for token, end in pending.items()]
        async with connection.transaction():
            await connection.executemany(statement("end_sessions"), rows)
            await connection.execute(statement("announce_session_ends"), CHANNEL)
        for token, end in pending.items():
            if self._pending.get(token) == end:
                del self._pending[token]


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
