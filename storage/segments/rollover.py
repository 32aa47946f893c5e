"""The open segment of each class, and its rollover.

A writer enters the gate (`enter_segments`) in the transaction of its rows; until the transaction
ends, its segments stay open. The keeper closes full and old segments and prepares the next leaf
in advance. The locking rules are at the head of migrations/0002_segments.sql.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import asyncpg

from config.settings import StorageSettings
from storage import failpoints
from storage.database.dedicated import DedicatedConnection, pause
from storage.database.locks import KEEPER_SPACE
from storage.database.pool import Connection, DatabaseRole
from storage.database.statements import statement

_log = logging.getLogger(__name__)

PASS_EVERY_S = 5.0
"""Interval between checks of the other writers' rows and of ages."""
_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.5, 5.0
"""After a rollover that did not get its lock: writers were blocked while it waited."""
MANY_SEGMENTS = 300
"""Segments of one class beyond which they get larger."""
LARGEST_SCALE = 4
"""A million rows by default: a text search in an open segment takes half a second."""
_REFRESH_SHARE = 8
"""Fraction of the limit in own rows since the last check that triggers another check."""

_LOCK_ERRORS = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.QueryCanceledError,
)


async def enter_segments(connection: Connection, classes: Sequence[str]) -> dict[str, int]:
    """The open segment of each class, held open until the caller's transaction ends.

    Classes without one are omitted: `open_segment` creates one, outside the transaction.
    READ COMMITTED only, since the state must be read after entering the gate.
    """
    rows = await connection.fetch(statement("enter_segments"), classes)
    return {row["class_name"]: row["segment_number"] for row in rows}


async def open_segment(connection: Connection, class_name: str) -> int:
    """The open segment of a class, created if there is none. Not inside a transaction."""
    number: int = await connection.fetchval(statement("open_segment"), class_name)
    return number


@dataclass(slots=True)
class _Fill:
    """The fill level of one open segment."""

    class_name: str
    rows: int = 0
    """At the last check, plus those of this process's writers since."""
    bytes: int = 0
    unseen_rows: int = 0
    """Rows of this process's writers since the last check."""
    unseen_bytes: int = 0
    is_too_old: bool = False
    has_successor: bool = True
    scale: int = 1
    """Factor on the normal size of segments for this class."""


class SegmentKeeper:
    """Rolls segments over by rows, bytes and age; keeps a ready leaf for every class in use.

    Every writing process has one, which rolls over the segments that its own writers have filled.
    Only the holder of the keeper's lock handles ages, prepared leaves and totals of closed
    segments. A concurrent rollover of the same segment is harmless: the second does nothing.
    """

    def __init__(
        self,
        dsn: str,
        settings: StorageSettings,
        *,
        classes: Iterable[str] = (),
        pass_every_s: float = PASS_EVERY_S,
    ) -> None:
        """`classes` get an open segment at the start, before their first record."""
        self.is_leader = False
        self.rolled = 0
        """Segments that this keeper has rolled over."""
        self._dedicated = DedicatedConnection(
            dsn, DatabaseRole.WRITER, name="opslog-keeper", task="rolling segments over"
        )
        self._settings = settings
        self._classes = tuple(classes)
        self._pass_every_s = pass_every_s
        self._fills: dict[int, _Fill] = {}
        self._wake = asyncio.Event()

    def note(self, class_name: str, segment: int, rows: int, bytes_: int) -> None:
        """Count rows that a writer of this process has committed; call it after each commit."""
        fill = self._fills.setdefault(segment, _Fill(class_name))
        fill.rows += rows
        fill.bytes += bytes_
        fill.unseen_rows += rows
        fill.unseen_bytes += bytes_
        limits = self._settings
        if (
            self._is_full(fill)
            or fill.unseen_rows * _REFRESH_SHARE >= limits.segment_rows
            or fill.unseen_bytes * _REFRESH_SHARE >= limits.segment_bytes
        ):
            self._wake.set()

    @property
    def problem(self) -> str:
        """Why segments cannot be rolled over at present; empty when they can."""
        return self._dedicated.problem

    async def run(self) -> None:
        """Roll segments over until cancelled; reconnects when the connection is lost."""
        await self._dedicated.run(self._keep)

    async def _keep(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        retry_s = _FIRST_RETRY_S
        connection.add_termination_listener(lambda _: self._wake.set())
        try:
            while True:
                self._wake.clear()
                try:
                    await self._pass(connection)
                except _LOCK_ERRORS as error:
                    self._dedicated.failed(f"a lock is not available: {error}")
                    await asyncio.sleep(retry_s)  # not woken early: writers have priority
                    retry_s = min(retry_s * 2, _LONGEST_RETRY_S)
                    continue
                self._dedicated.succeeded()
                retry_s = _FIRST_RETRY_S
                await pause(self._wake, self._pass_every_s)
        finally:
            self.is_leader = False  # the lock is released with the connection

    async def _pass(self, connection: Connection) -> None:
        """Check all open segments and act on the result."""
        for class_name in self._classes:
            await open_segment(connection, class_name)
        self._classes = ()
        if not self.is_leader:
            self.is_leader = await connection.fetchval(statement("keep_segments"), KEEPER_SPACE)
        await self._refresh(connection)
        for segment, fill in list(self._fills.items()):
            if self._is_full(fill) or (fill.is_too_old and self.is_leader):
                await self._roll(connection, segment, fill)
        if self.is_leader:
            await connection.execute(statement("settle_segments"))
            for fill in list(self._fills.values()):  # `note` may add some meanwhile
                if not fill.has_successor:
                    await connection.execute(statement("prepare_segment"), fill.class_name)
                    fill.has_successor = True

    async def _refresh(self, connection: Connection) -> None:
        """Load the counts from the database, but never less than this process's writers reported.

        Rows noted while the statement runs may be counted twice: the segment is then rolled over
        one flush too early, which is harmless.
        """
        for fill in self._fills.values():
            fill.unseen_rows = fill.unseen_bytes = 0
        rows = await connection.fetch(statement("open_segments"), self._settings.segment_age_s)
        current = {}
        for row in rows:
            fill = self._fills.get(row["segment"]) or _Fill(row["class"])
            fill.rows = max(fill.rows, row["rows"] + fill.unseen_rows)
            fill.bytes = max(fill.bytes, row["bytes"] + fill.unseen_bytes)
            fill.is_too_old = row["is_too_old"]
            fill.has_successor = row["has_successor"]
            fill.scale = scale_of(row["kept_rows"], self._settings.segment_rows)
            current[row["segment"]] = fill
        self._fills = current

    async def _roll(self, connection: Connection, segment: int, fill: _Fill) -> None:
        failpoints.reach("segments.before_roll")
        opened = await connection.fetchval(statement("roll_segment"), fill.class_name, segment)
        self._fills.pop(segment, None)
        self._fills.setdefault(opened, _Fill(fill.class_name, scale=fill.scale))
        self._fills[opened].has_successor = False
        self.rolled += 1
        _log.info(
            "class %s: closed segment %d with %d rows, %d bytes; opened %d",
            fill.class_name,
            segment,
            fill.rows,
            fill.bytes,
            opened,
        )

    def _is_full(self, fill: _Fill) -> bool:
        limits = self._settings
        return (
            fill.rows >= fill.scale * limits.segment_rows
            or fill.bytes >= fill.scale * limits.segment_bytes
        )


def scale_of(kept_rows: int, segment_rows: int) -> int:
    """Factor on the normal segment size for a class with this many rows.

    Queries cost time per segment, and text search also by the size of the open one: segments are
    small up to a few hundred, then larger, up to a limit.

    >>> [scale_of(rows, 250_000) for rows in (0, 75_000_000, 75_000_001, 10**9)]
    [1, 1, 2, 4]
    """
    return min(max(-(-kept_rows // (MANY_SEGMENTS * segment_rows)), 1), LARGEST_SCALE)
