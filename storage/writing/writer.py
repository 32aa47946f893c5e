"""Frames -> one transaction: claim, COPY into the open segments, counts. Then release.

    take      the oldest frames of the spool
    claim     new, replayed after a crash, or duplicate           storage/writing/claims.py
    copy      each class into its open segment                    storage/writing/copying.py
    account   batches, parts, counts                              storage/writing/accounts.py
    commit    … and only then release the frames

While PostgreSQL is unavailable the frames stay in the spool and the same transaction is retried;
a data error is narrowed down to the rows that cause it (storage/writing/dead_letters.py).
"""

import asyncio
import logging
import random
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import asyncpg

from config.settings import WriterSettings
from storage import failpoints
from storage.database.connection import Connection, Pool
from storage.database.statements import statement
from storage.ledger.accounting.stored_frame import StoredFrame
from storage.ledger.entries import enter
from storage.record.record import StreamDef
from storage.record.streams import add_streams
from storage.segments.rollover import enter_segments, open_segment
from storage.spool import files
from storage.spool.files import save_identity
from storage.spool.frame import Frame
from storage.spool.index import Missing
from storage.spool.spool import Spool
from storage.spool.state import Taken
from storage.writing.accounts import account
from storage.writing.claims import claim
from storage.writing.copying import copy_rows
from storage.writing.dead_letters import is_data_error, store_valid_rows

_log = logging.getLogger(__name__)
_STREAMS_REMEMBERED = 100_000
_FORGET_EVERY_S = 60.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 2.0

_Result = TypeVar("_Result")
Note = Callable[[str, int, int, int], None]
"""Called after each commit with class, segment, rows, bytes; used by segments/rollover.py."""


@dataclass(slots=True)
class WriterState:
    """Counters for metrics and readiness."""

    transactions: int = 0
    frames: int = 0
    rows: int = 0
    duplicates: int = 0
    """Rows of duplicate requests."""
    replayed: int = 0
    """Frames that a previous process had already stored."""
    dead: int = 0
    away_since: float = 0.0
    """time.time() since when PostgreSQL has been unavailable; 0 while it is available."""
    away_reason: str = ""
    flush_s: float = 0.0
    """Duration of the last transaction."""


class Writer:
    """Moves frames from one spool into PostgreSQL."""

    def __init__(
        self,
        pool: Pool,
        spool: Spool,
        settings: WriterSettings,
        *,
        duplicate_window_s: int,
        note: Note,
    ) -> None:
        self.state = WriterState()
        self._pool = pool
        self._spool = spool
        self._settings = settings
        self._window_s = duplicate_window_s
        self._note = note
        self._known_streams: set[int] = set()
        self._forgotten_at = 0.0
        self._registering = asyncio.Lock()

    async def run(self) -> None:
        """Move frames until cancelled; frames in flight then stay in the spool."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._settings.connections):
                group.create_task(self._work())

    async def register(self) -> int:
        """The spool's number in the database; waits for the database at the first start."""
        identity = self._spool.identity
        # One at a time: a second INSERT that waits for the first would return no row.
        async with self._registering:
            while identity.spool_id is None:
                await self._retry(self._register)
        return identity.spool_id

    async def _register(self) -> None:
        identity = self._spool.identity
        if identity.spool_id is None:  # else only saving the number failed: it is already valid
            identity.spool_id = await self._pool.fetchval(
                statement("register_spool"), identity.identity, socket.gethostname()
            )
            save_identity(self._spool.folder, identity)

    async def _work(self) -> None:
        await self.register()
        settings = self._settings
        await self._report_missing()
        while True:
            taken = await self._spool.take(
                settings.max_rows, settings.max_bytes, settings.linger_ms / 1000
            )
            if self._spool.has_unreported_damage:
                await self._report_damage()
            if taken:
                await self._until_stored(taken)

    async def _report_damage(self) -> None:
        """Enter acknowledged data that is now unreadable into the ledger, each item once.

        If the process ends between the entry and the note, an item gets two identical entries.
        """
        self._spool.has_unreported_damage = False
        folder = self._spool.folder
        for damaged in await asyncio.to_thread(files.quarantined_in, folder):
            if damaged.is_entered:
                continue
            await self._retry(partial(self._enter_damage, damaged))
            with suppress(OSError):
                await asyncio.to_thread(files.note_entered, damaged)

    async def _enter_damage(self, damaged: files.Quarantined) -> None:
        name = self._spool.folder.name
        where = f"{damaged.size} bytes at {damaged.offset} of " if damaged.size else ""
        rows = damaged.rows or "unknown"
        what = f"{where}{damaged.file} of spool {name} ({rows} rows): {damaged.reason}"
        async with self._pool.acquire() as connection:
            await enter(connection, "corrupt", {"what": what, "by": name, "rows": damaged.rows})

    async def _report_missing(self) -> None:
        """Report the frames of deleted files that are not in the database: they are lost."""
        while self._spool.missing:
            missing = self._spool.missing.pop()
            lost = await self._retry(partial(self._lost_of, missing))
            await asyncio.to_thread(self._spool.report_missing, missing, lost)
        if self._spool.has_unreported_damage:
            await self._report_damage()

    async def _lost_of(self, missing: Missing) -> list[int]:
        ids = list(missing.rows_by_batch)
        rows = await self._pool.fetch(statement("stored_batches"), ids)
        stored = {row["batch_id"] for row in rows}
        return [rows for batch, rows in missing.rows_by_batch.items() if batch not in stored]

    async def _retry(self, attempt: Callable[[], Awaitable[_Result]]) -> _Result:
        """The result of `attempt`, retried until it succeeds."""
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                result = await attempt()
            except Exception as error:  # noqa: BLE001 - nothing may make the writer drop a frame
                wait_s = await self._wait(error, wait_s)
                continue
            self._recovered()
            return result

    async def _until_stored(self, taken: Sequence[Taken]) -> None:
        frames = [item.frame for item in taken]
        stored, took_s = await self._retry(partial(self._flush, frames))
        failpoints.reach("writer.after_commit")
        self._spool.release(taken)
        self._count(frames, stored, took_s)

    async def _flush(self, frames: Sequence[Frame]) -> tuple[list[StoredFrame], float]:
        """The stored frames, and the duration in seconds."""
        started = time.perf_counter()
        async with self._pool.acquire() as connection:
            stored = await self._store_or_split(connection, frames)
            await self._forget(connection)
        return stored, time.perf_counter() - started

    async def _store_or_split(
        self, connection: Connection, frames: Sequence[Frame]
    ) -> list[StoredFrame]:
        """Store the frames in one transaction; on a data error, split them in halves."""
        try:
            return await self._store(connection, frames, bisect=False)
        except asyncpg.PostgresError as error:
            if not is_data_error(error):
                raise
        if len(frames) == 1:
            return await self._store(connection, frames, bisect=True)
        middle = len(frames) // 2
        first = await self._store_or_split(connection, frames[:middle])
        return first + await self._store_or_split(connection, frames[middle:])

    async def _store(
        self, connection: Connection, frames: Sequence[Frame], *, bisect: bool
    ) -> list[StoredFrame]:
        spool_id = self._spool.identity.spool_id
        assert spool_id is not None
        classes = sorted({part.class_name for frame in frames for part in frame.parts})
        async with connection.transaction():
            segments = await enter_segments(connection, classes)
            missing = [name for name in classes if name not in segments]
            if not missing:
                stored = await self._store_claimed(connection, spool_id, frames, segments, bisect)
                failpoints.reach("writer.before_commit")
        if missing:
            # In its own transaction: other writers see the new segment once it is committed.
            for name in missing:
                await open_segment(connection, name)
            return await self._store(connection, frames, bisect=bisect)
        self._known_streams.update(stream.id for frame in frames for stream in frame.streams)
        self._notify_keeper(stored, segments)
        return stored

    async def _store_claimed(
        self,
        connection: Connection,
        spool_id: int,
        frames: Sequence[Frame],
        segments: dict[str, int],
        bisect: bool,  # noqa: FBT001
    ) -> list[StoredFrame]:
        claims = await claim(connection, spool_id, frames, self._window_s)
        self.state.replayed += len(claims.replayed)
        failpoints.reach("writer.before_copy")
        await self._add_streams(connection, claims.fresh)
        fresh = [StoredFrame(frame, frame.parts) for frame in claims.fresh]
        if bisect:
            for entry in fresh:
                await self._bisect(connection, entry, segments)
        else:
            await self._copy(connection, fresh, segments)
        duplicates = [StoredFrame(frame, (), duplicate_of=of) for frame, of in claims.duplicates]
        if fresh or duplicates:
            await account(connection, spool_id, fresh + duplicates, segments)
        return fresh + duplicates

    async def _copy(
        self, connection: Connection, entries: Sequence[StoredFrame], segments: dict[str, int]
    ) -> None:
        by_class: dict[str, list[bytes]] = {}
        for entry in entries:
            for part in entry.parts:
                by_class.setdefault(part.class_name, []).append(part.copy_bytes)
        for class_name, pieces in by_class.items():
            await copy_rows(connection, segments[class_name], pieces)

    async def _bisect(
        self, connection: Connection, entry: StoredFrame, segments: dict[str, int]
    ) -> None:
        parts = []
        for part in entry.parts:
            stored, dead = await store_valid_rows(
                connection, entry.frame, part, segments[part.class_name]
            )
            entry.dead_rows += dead
            if stored.rows:
                parts.append(stored)
        entry.parts = tuple(parts)

    async def _add_streams(self, connection: Connection, frames: Sequence[Frame]) -> None:
        fresh: dict[int, StreamDef] = {
            stream.id: stream
            for frame in frames
            for stream in frame.streams
            if stream.id not in self._known_streams
        }
        if not fresh:
            return
        if len(self._known_streams) > _STREAMS_REMEMBERED:
            self._known_streams.clear()
        await add_streams(connection, fresh.values())

    async def _forget(self, connection: Connection) -> None:
        now = time.monotonic()
        if self._window_s and now - self._forgotten_at > _FORGET_EVERY_S:
            self._forgotten_at = now
            await connection.execute(statement("forget_requests"), self._window_s)

    def _notify_keeper(self, stored: Sequence[StoredFrame], segments: dict[str, int]) -> None:
        sums: dict[str, list[int]] = {}
        for entry in stored:
            for part in entry.parts:
                total = sums.setdefault(part.class_name, [0, 0])
                total[0] += part.rows
                total[1] += len(part.copy_bytes)
        for class_name, (rows, size) in sums.items():
            self._note(class_name, segments[class_name], rows, size)

    def _count(self, frames: Sequence[Frame], stored: Sequence[StoredFrame], took_s: float) -> None:
        state = self.state
        state.transactions += 1
        state.frames += len(frames)
        state.rows += sum(entry.stored for entry in stored)
        state.duplicates += sum(entry.duplicate for entry in stored)
        state.dead += sum(entry.dead for entry in stored)
        state.flush_s = took_s

    async def _wait(self, error: BaseException, wait_s: float) -> float:
        """Log each new reason once, sleep, return the next back-off."""
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        if reason != self.state.away_reason:
            _log.warning("cannot write to the database, records wait in the spool: %s", reason)
        self.state.away_since = self.state.away_since or time.time()
        self.state.away_reason = reason
        await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
        return min(wait_s * 2, _LONGEST_WAIT_S)

    def _recovered(self) -> None:
        if self.state.away_since:
            away_s = time.time() - self.state.away_since
            _log.info("writing to the database resumed after %.1f s", away_s)
            self.state.away_since, self.state.away_reason = 0.0, ""
