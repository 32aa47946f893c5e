"""An in-memory copy of the table `segments`, so that planning a query needs no database query.

It is refreshed on NOTIFY and every few seconds. It may be slightly out of date: a leaf in state
`ready` may have been opened since, so readers treat `ready` like `open`.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from storage.database.dedicated import DedicatedConnection, pause
from storage.database.pool import DatabaseRole
from storage.database.statements import statement
from storage.errors import DatabaseUnavailable

if TYPE_CHECKING:
    import asyncpg

CHANNEL = "opslog_segments"
REFRESH_EVERY_S = 5.0
REFRESH_TIMEOUT_S = 2.0
"""A query that needs a fresh copy waits this long, then fails as if the database were down."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One row of the catalogue that is not dropped: a leaf, system_logs_s<number>, or a pack."""

    number: int
    class_name: str
    state: str
    """ready, open, closed, sealed or packed (storage/schema.sql)."""
    rows: int | None
    """Exact; None while rows are added and shortly after closing. The zone map (the min and max
    columns below) is set exactly when this is."""
    rows_estimate: int
    """Exact where `rows` is set, else the sum of the counts a few seconds ago."""
    bytes_estimate: int
    """COPY bytes, likewise."""
    min_created_at: datetime | None
    """Over plausible times; None while `rows` is set: there is no such row."""
    max_created_at: datetime | None
    odd_times: int | None
    """Rows dated outside the plausible range, which the two columns above exclude."""
    min_received_at: datetime | None
    max_received_at: datetime | None
    opened_at: datetime | None
    closed_at: datetime | None
    packed_at: datetime | None = None
    leaf_dropped: bool = False
    """Whether the leaf of a packed segment is gone; until then it has the same rows."""
    data_bytes: int | None = None
    """Of the pack's data file; None: it is not packed."""
    index_bytes: int | None = None
    data_hash: bytes | None = None
    """SHA-256 of the pack's data file."""
    index_hash: bytes | None = None

    @property
    def is_packed(self) -> bool:
        """Whether its rows are read from its pack, not from its leaf."""
        return self.state == "packed"


class Catalogue:
    """Maintains the copy; `run` is a task of the process, `refresh` forces a reload."""

    def __init__(self, dsn: str, *, refresh_every_s: float = REFRESH_EVERY_S) -> None:
        self._dedicated = DedicatedConnection(
            dsn, DatabaseRole.READER, name="opslog-catalogue", task="following the catalogue"
        )
        self._refresh_every_s = refresh_every_s
        self._segments: tuple[Segment, ...] = ()
        self._read_at: float | None = None
        self._wake = asyncio.Event()
        self._refreshed = asyncio.Condition()
        self._wanted = 0
        self._done = 0

    @property
    def problem(self) -> str:
        """Why the copy cannot follow the database; empty when it does."""
        return self._dedicated.problem

    @property
    def age_s(self) -> float | None:
        """Seconds since the copy was last compared with the database; None: never."""
        return None if self._read_at is None else time.monotonic() - self._read_at

    def segments(self) -> tuple[Segment, ...]:
        """All segments that may have rows, by number; empty before the first load."""
        return self._segments

    async def refresh(self) -> None:
        """Wait for a reload that starts after this call. DatabaseUnavailable on a timeout.

        Needs `run` to be running.
        """
        self._wanted += 1
        mine = self._wanted
        self._wake.set()
        try:
            async with asyncio.timeout(REFRESH_TIMEOUT_S), self._refreshed:
                await self._refreshed.wait_for(lambda: self._done >= mine)
        except TimeoutError as error:
            raise DatabaseUnavailable(
                f"the catalogue of segments could not be read within {REFRESH_TIMEOUT_S:g} s"
            ) from error

    async def run(self) -> None:
        """Follow the database until cancelled; reconnects when the connection is lost."""
        await self._dedicated.run(self._follow)

    async def _follow(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        await connection.add_listener(CHANNEL, self._on_notify)
        connection.add_termination_listener(self._on_notify)  # notices a lost connection at once
        while True:
            self._wake.clear()
            wanted = self._wanted
            rows = await connection.fetch(statement("catalogue"))
            self._segments = tuple(Segment(**row) for row in rows)
            self._read_at = time.monotonic()
            self._dedicated.succeeded()
            async with self._refreshed:
                self._done = wanted
                self._refreshed.notify_all()
            await pause(self._wake, self._refresh_every_s)

    def _on_notify(self, *_: object) -> None:
        self._wake.set()
