"""The spool: a request is durable here before its 200, and waits here for PostgreSQL.

    append   frame -> file, group fdatasync -> the sender may get its 200
    take     the oldest frames, from memory or, after a long outage of PostgreSQL, from the files
    release  their transaction is committed; a file is deleted when all its frames are released

All methods run on one event loop; only write and sync run in a thread (group_commit.py).
Invariant: a frame for which append has returned is never lost.
"""

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

from config.settings import SpoolSettings
from storage import failpoints
from storage.errors import SpoolFailed, SpoolFull, SpoolSlow
from storage.spool import files
from storage.spool.backlog import Limits, read_frames, recover_files
from storage.spool.frame import Frame, encode_frame
from storage.spool.group_commit import GroupCommit
from storage.spool.index import Missing, index_path, missing_files
from storage.spool.state import SpoolFile, SpoolState, Taken

_log = logging.getLogger(__name__)
_FREE_CHECK_EVERY_S = 0.2
_SLOW_DISK_BYTES_PER_S = 16 * 2**20
"""A disk that writes this fast is slow, not hanging: large requests get more time."""
_ENOUGH = 4
"""Do not linger once a quarter of a transaction's maximum is waiting."""


class Spool:
    """The spool of one process. Create it with `open`."""

    def __init__(self, folder: Path, settings: SpoolSettings, memory_bytes: int) -> None:
        self.folder = folder
        self.state = SpoolState()
        self._settings = settings
        self._memory_bytes = memory_bytes
        self._lock = files.FolderLock(folder)
        self.identity = files.load_identity(folder)
        self._files: dict[int, SpoolFile] = {}
        self._active: SpoolFile | None = None
        self._last_number = 0
        self._ring: deque[Taken] = deque()
        self._ring_bytes = 0
        # Frames from (file, offset) on are only on disk; None when all waiting ones are in memory.
        self._backlog: tuple[int, int] | None = None
        self._wake = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._taking = asyncio.Lock()
        self._free_bytes = 0
        self._free_checked = 0.0
        self._commit = GroupCommit(self._durable)
        self.has_unreported_damage = True
        """The quarantine may hold damage that is not yet in the ledger."""
        self.missing: list[Missing] = []
        """Files that were deleted from outside; the database tells which frames are stored."""

    @classmethod
    async def open(
        cls, folder: Path, settings: SpoolSettings, memory_bytes: int, *, adopt: bool = False
    ) -> "Spool":
        """Lock the folder, recover the files of a previous process, begin a new file.

        With `adopt` no new file is begun: the spool is only drained.

        Raises:
            SpoolBusy: another process holds the folder.
            SetupError: the folder cannot be written.
        """
        spool = cls(folder, settings, memory_bytes)
        await asyncio.to_thread(spool._recover)
        if not adopt:
            await spool._begin_file()
        return spool

    # -- in ---------------------------------------------------------------------------------

    async def append(self, frame: Frame) -> None:
        """Return when the frame is on disk (fdatasync), with all others that arrived meanwhile.

        Raises:
            SpoolFull: the limit is reached or the disk is nearly full; nothing was stored.
            SpoolFailed: the write failed; nothing was stored.
            SpoolSlow: the disk does not respond; the frame may still be stored.
        """
        buffers = encode_frame(frame)
        size = sum(map(len, buffers))
        waiting_bytes = self._commit.pending_bytes
        timeout_s = self._settings.append_timeout_s + waiting_bytes / _SLOW_DISK_BYTES_PER_S
        if self._commit.running_s > timeout_s:
            raise SpoolSlow(timeout_s)
        timeout_s += size / _SLOW_DISK_BYTES_PER_S
        self._check_space(size)
        failpoints.reach("spool.before_append")
        try:
            await self._commit.add(frame, buffers, timeout_s)
        except SpoolSlow as error:
            if self._commit.running_s:  # else the disk has just responded
                self.state.failure = str(error)
            raise

    def _check_space(self, size: int) -> None:
        now = time.monotonic()
        if now - self._free_checked > _FREE_CHECK_EVERY_S:
            disk = os.statvfs(self.folder)
            self._free_bytes = disk.f_bavail * disk.f_frsize
            self._free_checked = now
        used = self.state.used_bytes + self._commit.pending_bytes
        limit = self._settings.max_bytes
        if used + size > limit or self._free_bytes - size < self._settings.min_free_bytes:
            raise SpoolFull(used_bytes=used, limit_bytes=limit, free_bytes=self._free_bytes)

    @property
    def limit_bytes(self) -> int:
        """The size limit of the spool."""
        return self._settings.max_bytes

    def has_space(self) -> bool:
        """Whether an ordinary request would be accepted now."""
        try:
            self._check_space(0)
        except SpoolFull:
            return False
        return not self.state.failure

    async def _begin_file(self) -> None:
        self._last_number += 1
        number = self._last_number
        path = files.file_path(self.folder, number)
        header = files.file_header(number, self.state.last_batch_id)
        try:
            await self._commit.switch(path, header, before=self._write_index)
        except OSError as error:
            raise SpoolFailed(f"cannot begin {path}: {error.strerror}") from error
        former, self._active = self._active, SpoolFile(number, path)
        self._files[number] = self._active
        self.state.used_bytes += files.FILE_HEADER_BYTES
        if former is not None:
            self._drop_if_done(former)

    def _write_index(self) -> None:
        if self._active is not None:
            self._active.index.write(self._active.path)

    def _durable(
        self, group: list[tuple[Frame, int]], failure: OSError | None
    ) -> Coroutine[Any, Any, None] | None:
        """Callback of the group commit after each sync, in order; see `Durable`."""
        file = self._active
        assert file is not None
        if failure is not None:
            _log.error("spool: %s: %s; this group was not stored", file.path.name, failure)
            self.state.failure = failure.strerror or str(failure)
            # A file whose sync failed is not synced again: a second sync may falsely succeed.
            return self._begin_file()
        self.state.failure = ""
        self.state.groups += 1
        for frame, size in group:
            self._arrived(file, frame, size)
        self._wake.set()
        return self._begin_file() if file.end >= self._settings.file_bytes else None

    def _arrived(self, file: SpoolFile, frame: Frame, size: int) -> None:
        self._drained.clear()
        rows = frame.rows
        if self._backlog is None:
            if self._ring_bytes + size > self._memory_bytes and self._ring:
                self._backlog = (file.number, file.end)
            else:
                self._ring.append(Taken(frame, size, file))
                self._ring_bytes += size
        file.end += size
        file.frames += 1
        file.rows += rows
        file.index.add(frame.batch_id, rows)
        state = self.state
        state.used_bytes += size
        state.waiting_frames += 1
        state.waiting_rows += rows
        state.appended_frames += 1
        state.last_batch_id = max(state.last_batch_id, frame.batch_id)

    # -- out --------------------------------------------------------------------------------

    async def take(self, max_rows: int, max_bytes: int, linger_s: float) -> list[Taken]:
        """The oldest waiting frames, at least one; waits until there is one.

        Lingers for more frames, so that a steady load is written in hundreds of rows instead of
        tens, which would cost a tenth more per row; not when enough frames are waiting.
        """
        async with self._taking:
            if not self._ring and self._backlog is None:
                self._wake.clear()
                await self._wake.wait()
            if linger_s and self.state.waiting_rows < max_rows // _ENOUGH:
                await asyncio.sleep(linger_s)
            taken: list[Taken] = []
            rows = size = 0
            while self._ring and (not taken or (rows < max_rows and size < max_bytes)):
                item = self._ring.popleft()
                self._ring_bytes -= item.size
                taken.append(item)
                rows += item.frame.rows
                size += item.size
            if not taken and self._backlog is not None:
                file, offset = self._files[self._backlog[0]], self._backlog[1]
                limits = Limits(file.end, max_rows, max_bytes)
                taken, offset = await asyncio.to_thread(
                    read_frames, file, offset, limits, self._quarantine
                )
                _give(taken)
                self._advance(file, offset)
            else:
                _give(taken)
            return taken

    def _advance(self, file: SpoolFile, offset: int) -> None:
        following = [number for number in self._files if number > file.number]
        if offset >= file.end:
            self._count_given(file)
        if offset < file.end:
            self._backlog = (file.number, offset)
        elif following:
            self._backlog = (min(following), files.FILE_HEADER_BYTES)
        else:
            self._backlog = None
        if self._backlog is None or self._backlog[0] > file.number:
            self._drop_if_done(file)
        self._signal_if_drained()

    def _count_given(self, file: SpoolFile) -> None:
        """Correct the counts of a file read to its end: damage may hide or repeat frames."""
        frames, rows = file.given - file.frames, file.given_rows - file.rows
        file.frames += frames
        file.rows += rows
        self.state.waiting_frames += frames
        self.state.waiting_rows += rows

    def _quarantine(self, file: SpoolFile, damage: files.Damage, rows: int) -> None:
        place = files.quarantine(self.folder, file.path, damage, rows)
        self.has_unreported_damage = True
        self.state.quarantined_frames += 1
        self.state.quarantined_rows += rows
        _log.error(
            "spool: %s, %d bytes at %d of %s quarantined as %s (%d rows)",
            damage.reason, damage.size, damage.offset, file.path.name, place, rows,
        )  # fmt: skip

    def release(self, taken: Iterable[Taken]) -> None:
        """Release frames whose transaction is on PostgreSQL's disk."""
        touched = {}
        for item in taken:
            item.file.finished += 1
            self.state.waiting_frames -= 1
            self.state.waiting_rows -= item.frame.rows
            touched[item.file.number] = item.file
        for file in touched.values():
            self._drop_if_done(file)
        self._signal_if_drained()

    def _drop_if_done(self, file: SpoolFile) -> None:
        unread = self._backlog is not None and self._backlog[0] <= file.number
        if file is self._active or unread or file.finished < file.frames:
            return
        failpoints.reach("spool.before_unlink")
        file.path.unlink(missing_ok=True)
        index_path(file.path).unlink(missing_ok=True)
        gone = self._files.pop(file.number, None)
        self.state.used_bytes -= gone.end if gone else 0

    # -- start and shutdown -----------------------------------------------------------------

    def _recover(self) -> None:
        paths = [path for _, path in files.spool_files(self.folder)]
        self.missing = missing_files(self.folder, paths)
        self._files, self._last_number = recover_files(self.folder, self.state)
        if self._files:
            self._backlog = (min(self._files), files.FILE_HEADER_BYTES)
            self._wake.set()
            self._drained.clear()

    def report_missing(self, missing: Missing, lost: Sequence[int]) -> None:
        """Report the frames of a deleted file that are not stored; `lost` has the rows of each.

        Reported once: the note in the quarantine stays, the file's index is deleted.
        """
        if lost:
            reason = (
                f"the file is missing; {len(lost)} acknowledged requests in it are not in the"
                " database"
            )
            files.note_missing(self.folder, missing, sum(lost), reason)
            self.has_unreported_damage = True
            self.state.quarantined_frames += len(lost)
            self.state.quarantined_rows += sum(lost)
            _log.error("spool: %s: %s (%d rows)", missing.spool_file, reason, sum(lost))
        index_path(missing.spool_file).unlink(missing_ok=True)

    def is_drained(self) -> bool:
        """Whether nothing waits, in memory or on disk."""
        return self.state.waiting_frames == 0 and self._backlog is None

    async def drained(self) -> None:
        """Return when nothing waits."""
        await self._drained.wait()

    def _signal_if_drained(self) -> None:
        if self.is_drained():
            self._drained.set()

    async def close(self) -> None:
        """Finish the running sync, delete the file if it is done, unlock the folder."""
        await self._commit.close()
        if self._active is not None and self.is_drained():
            # Leave one empty file behind: its header keeps the last batch id.
            await self._begin_file()
        await self._commit.stop()
        self._lock.release()


def _give(taken: Iterable[Taken]) -> None:
    for item in taken:
        item.file.given += 1
        item.file.given_rows += item.frame.rows
