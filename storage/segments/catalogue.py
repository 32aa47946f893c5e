"""The copy of `segments` in memory: what a question may have to read, without asking.

It follows the database by NOTIFY and by looking every few seconds. It may be a moment behind: a
leaf that it calls ready may have been opened since, so readers treat `ready` like `open`.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from storage.database.listening import Standing, pause
from storage.database.pool import DatabaseRole
from storage.database.statements import statement
from storage.errors import DatabaseAway

if TYPE_CHECKING:
    import asyncpg

CHANNEL = "opslog_segments"
REFRESH_EVERY_S = 5.0
REFRESH_TIMEOUT_S = 2.0
"""A question that needs a fresh copy waits this long, then fails as it would without database."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One row of the catalogue that is not dropped; its leaf is system_logs_s<number>."""

    number: int
    class_name: str
    state: str
    """ready, open, closed, sealed or cold (migrations/0001_records.sql)."""
    rows: int | None
    """Exact; None while rows are added and for a moment after closing. The zone map (the
    columns from here on that say min or max) is there exactly when this is."""
    rows_estimate: int
    """Exact where `rows` is, else the sum of the counts some seconds ago."""
    bytes_estimate: int
    """COPY bytes, likewise."""
    min_created_at: datetime | None
    """Over plausible times; None with `rows` set: there is no such row."""
    max_created_at: datetime | None
    odd_times: int | None
    """Rows dated outside the plausible range, hence outside of the two above."""
    min_received_at: datetime | None
    max_received_at: datetime | None
    opened_at: datetime | None
    closed_at: datetime | None
    sealed_at: datetime | None
    has_trigrams: bool = True
    """Whether words in its messages have an index; told of sealed ones only."""


class Catalogue:
    """Keeps the copy; `run` is a task of the process, `refresh` looks at once."""

    def __init__(self, dsn: str, *, refresh_every_s: float = REFRESH_EVERY_S) -> None:
        self._standing = Standing(
            dsn, DatabaseRole.READER, name="opslog-catalogue", task="following the catalogue"
        )
        self._refresh_every_s = refresh_every_s
        self._segments: tuple[Segment, ...] = ()
        self._read_at: float | None = None
        self._wake = asyncio.Event()
        self._looked = asyncio.Condition()
        self._wanted = 0
        self._done = 0

    @property
    def problem(self) -> str:
        """Why the copy cannot follow the database; empty when it does."""
        return self._standing.problem

    @property
    def age_s(self) -> float | None:
        """Seconds since the copy was last compared with the database; None: never."""
        return None if self._read_at is None else time.monotonic() - self._read_at

    def segments(self) -> tuple[Segment, ...]:
        """All segments that may have rows, by number; empty before the first look."""
        return self._segments

    async def refresh(self) -> None:
        """Wait for a look that begins after this call. DatabaseAway when none comes in time.

        Needs `run` to be at work.
        """
        self._wanted += 1
        mine = self._wanted
        self._wake.set()
        try:
            async with asyncio.timeout(REFRESH_TIMEOUT_S), self._looked:
                await self._looked.wait_for(lambda: self._done >= mine)
        except TimeoutError as error:
            raise DatabaseAway(
                f"the catalogue of segments could not be read within {REFRESH_TIMEOUT_S:g} s"
            ) from error

    async def run(self) -> None:
        """Follow the database until cancelled; a lost connection is made anew."""
        await self._standing.run(self._follow)

    async def _follow(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        await connection.add_listener(CHANNEL, self._heard)
        connection.add_termination_listener(self._heard)  # so that a loss is noticed at once
        while True:
            self._wake.clear()
            wanted = self._wanted
            rows = await connection.fetch(statement("catalogue"))
            self._segments = tuple(Segment(**row) for row in rows)
            self._read_at = time.monotonic()
            self._standing.well()
            async with self._looked:
                self._done = wanted
                self._looked.notify_all()
            await pause(self._wake, self._refresh_every_s)

    def _heard(self, *_: object) -> None:
        self._wake.set()
