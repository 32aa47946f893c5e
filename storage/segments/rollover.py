"""Which segment rows go into, and keeping segments rolling.

A writer enters the gate (`enter_segments`) in the transaction of its rows; while it is in, its
segments stay open. The keeper closes full and old ones and has the next leaf made beforehand.
The rules of locking are at the head of migrations/0002_segments.sql.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import asyncpg

from config.settings import StorageSettings
from storage import failpoints
from storage.database.listening import Standing, pause
from storage.database.locks import KEEPER_SPACE
from storage.database.pool import Connection, DatabaseRole
from storage.database.statements import statement

_log = logging.getLogger(__name__)

PASS_EVERY_S = 5.0
"""Pause between looks at what other writers have filled, and at ages."""
_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.5, 5.0
"""After a roll-over that did not get its lock: writers stood behind it while it waited."""
MANY_SEGMENTS = 300
"""Of one class; beyond it, they get larger."""
LARGEST_SCALE = 4
"""A million rows by default: words are found in the open one in half a second."""
_LOOK_SHARE = 8
"""Own rows since the last look, as a part of the limit, that call for another look."""

_IN_THE_WAY = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.QueryCanceledError,
)


async def enter_segments(connection: Connection, classes: Sequence[str]) -> dict[str, int]:
    """Class to open segment, all held open until the caller's transaction ends.

    A class that has none is left out: `open_segment` makes one, outside of the transaction.
    READ COMMITTED only, since the state has to be read after the gate was entered.
    """
    rows = await connection.fetch(statement("enter_segments"), classes)
    return {row["class_name"]: row["segment_number"] for row in rows}


async def open_segment(connection: Connection, class_name: str) -> int:
    """The open segment of a class, made when there is none. Not inside a transaction."""
    number: int = await connection.fetchval(statement("open_segment"), class_name)
    return number


@dataclass(slots=True)
class _Fill:
    """What is known of one open segment."""

    class_name: str
    rows: int = 0
    """At the last look, and of our own writers since."""
    bytes: int = 0
    unseen_rows: int = 0
    """Of our own writers since the last look."""
    unseen_bytes: int = 0
    is_too_old: bool = False
    has_successor: bool = True
    scale: int = 1
    """How many times the usual size this class's segments have."""


class SegmentKeeper:
    """Rolls segments over by rows, bytes and age; has a ready leaf for every class in use.

    Every writing process has one. Each rolls over what its own writers have filled; ages,
    leaves made ahead and figures of closed segments are the business of the one that holds the
    keeper's lock. Two that roll over the same segment do no harm: the second finds it done.
    """

    def __init__(
        self,
        dsn: str,
        settings: StorageSettings,
        *,
        classes: Iterable[str] = (),
        pass_every_s: float = PASS_EVERY_S,
    ) -> None:
        """`classes` get an open segment at the start, so that their first record finds one."""
        self.is_leader = False
        self.rolled = 0
        """Segments that this keeper wanted closed and knows to be."""
        self._standing = Standing(
            dsn, DatabaseRole.WRITER, name="opslog-keeper", task="rolling segments over"
        )
        self._settings = settings
        self._classes = tuple(classes)
        self._pass_every_s = pass_every_s
        self._fills: dict[int, _Fill] = {}
        self._wake = asyncio.Event()

    def note(self, class_name: str, segment: int, rows: int, bytes_: int) -> None:
        """A writer of this process has committed rows. Cheap; call it after each commit."""
        fill = self._fills.setdefault(segment, _Fill(class_name))
        fill.rows += rows
        fill.bytes += bytes_
        fill.unseen_rows += rows
        fill.unseen_bytes += bytes_
        limits = self._settings
        if (
            self._is_full(fill)
            or fill.unseen_rows * _LOOK_SHARE >= limits.segment_rows
            or fill.unseen_bytes * _LOOK_SHARE >= limits.segment_bytes
        ):
            self._wake.set()

    @property
    def problem(self) -> str:
        """Why segments cannot be kept at present; empty when all is well."""
        return self._standing.problem

    async def run(self) -> None:
        """Keep segments until cancelled; a lost connection is made anew."""
        await self._standing.run(self._keep)

    async def _keep(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        retry_s = _FIRST_RETRY_S
        connection.add_termination_listener(lambda _: self._wake.set())
        try:
            while True:
                self._wake.clear()
                try:
                    await self._pass(connection)
                except _IN_THE_WAY as error:
                    self._standing.trouble(f"something is in the way: {error}")
                    await asyncio.sleep(retry_s)  # whatever is noted: writers go first
                    retry_s = min(retry_s * 2, _LONGEST_RETRY_S)
                    continue
                self._standing.well()
                retry_s = _FIRST_RETRY_S
                await pause(self._wake, self._pass_every_s)
        finally:
            self.is_leader = False  # the lock goes with the connection

    async def _pass(self, connection: Connection) -> None:
        """One look at all open segments, and what follows from it."""
        for class_name in self._classes:
            await open_segment(connection, class_name)
        self._classes = ()
        if not self.is_leader:
            self.is_leader = await connection.fetchval(statement("keep_segments"), KEEPER_SPACE)
        await self._look(connection)
        for segment, fill in list(self._fills.items()):
            if self._is_full(fill) or (fill.is_too_old and self.is_leader):
                await self._roll(connection, segment, fill)
        if self.is_leader:
            await connection.execute(statement("settle_segments"))
            for fill in list(self._fills.values()):  # notes arrive while we wait
                if not fill.has_successor:
                    await connection.execute(statement("prepare_segment"), fill.class_name)
                    fill.has_successor = True

    async def _look(self, connection: Connection) -> None:
        """Take over what the database says; never less than what our own writers have said.

        Rows that are noted while the statement runs may count twice: a segment is then rolled over
        a flush too early, which costs nothing.
        """
        for fill in self._fills.values():
            fill.unseen_rows = fill.unseen_bytes = 0
        rows = await connection.fetch(statement("open_segments"), self._settings.segment_age_s)
        looked = {}
        for row in rows:
            fill = self._fills.get(row["segment"]) or _Fill(row["class"])
            fill.rows = max(fill.rows, row["rows"] + fill.unseen_rows)
            fill.bytes = max(fill.bytes, row["bytes"] + fill.unseen_bytes)
            fill.is_too_old = row["is_too_old"]
            fill.has_successor = row["has_successor"]
            fill.scale = scale_of(row["kept_rows"], self._settings.segment_rows)
            looked[row["segment"]] = fill
        self._fills = looked

    async def _roll(self, connection: Connection, segment: int, fill: _Fill) -> None:
        failpoints.reach("segments.before_roll")
        opened = await connection.fetchval(statement("roll_segment"), fill.class_name, segment)
        self._fills.pop(segment, None)
        self._fills.setdefault(opened, _Fill(fill.class_name, scale=fill.scale))
        self._fills[opened].has_successor = False
        self.rolled += 1
        _log.info(
            "class %s: segment %d has %d rows, %d bytes and is closed; %d is open",
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
    """How many times the usual size the segments of a class have that keeps so many rows.

    Reading pays for each segment, and searching words pays for the size of the open one: small
    ones as long as there are no more than some hundreds, then larger ones up to a bound.

    >>> [scale_of(rows, 250_000) for rows in (0, 75_000_000, 75_000_001, 10**9)]
    [1, 1, 2, 4]
    """
    return min(max(-(-kept_rows // (MANY_SEGMENTS * segment_rows)), 1), LARGEST_SCALE)
