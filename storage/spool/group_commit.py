"""One fdatasync for all who wait: who arrives during a running sync shares the next.

The only place that writes spool files. Write and sync run in one thread, in order; everything else
stays on the event loop.
"""

import asyncio
import errno
import os
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from storage import failpoints
from storage.errors import SpoolFailed
from storage.spool.files import sync_folder
from storage.spool.frame import Frame

_MOST_PIECES = min(os.sysconf("SC_IOV_MAX"), 1024)
"""Of one call (POSIX, writev)."""

Durable = Callable[[list[tuple[Frame, int]], OSError | None], Awaitable[None]]
"""Told after each sync, before the senders are: the frames with their sizes, or the failure."""


class GroupCommit:
    """Appends groups of frames to the current file."""

    def __init__(self, durable: Durable) -> None:
        self._durable = durable
        self._io = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._descriptor = -1
        self._end = 0
        self._waiting: list[tuple[Frame, list[bytes], int, asyncio.Future[None]]] = []
        self._running: asyncio.Task[None] | None = None
        self.pending_bytes = 0
        """Accepted by `add`, not yet durable."""
        self._began_s: float | None = None

    @property
    def running_s(self) -> float:
        """How long the group that is being written has taken so far; 0 when there is none."""
        return 0.0 if self._began_s is None else time.monotonic() - self._began_s

    async def add(self, frame: Frame, buffers: list[bytes], size: int) -> None:
        """Return when the frame is durable.

        Raises:
            SpoolFailed: the write or the sync of its group failed.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((frame, buffers, size, done))
        self.pending_bytes += size
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        await done

    def withdraw(self, frame: Frame) -> None:
        """Let go of a frame whose sender has been told to come again, unless its write has begun.

        A disk that hangs must not fill the memory with the same requests again and again.
        """
        for entry in self._waiting:
            if entry[0] is frame:
                self._waiting.remove(entry)
                self.pending_bytes -= entry[2]
                return

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group, self._waiting = self._waiting, []
            self._began_s = time.monotonic()
            size = sum(entry[2] for entry in group)
            pieces = [piece for entry in group for piece in entry[1]]
            failure: OSError | None = None
            try:
                await loop.run_in_executor(self._io, self._write, pieces)
            except Exception as error:  # noqa: BLE001 - whatever it is, the senders must be told
                failure = error if isinstance(error, OSError) else OSError(errno.EIO, repr(error))
            self.pending_bytes -= size
            # When the next file cannot be begun either, the next group fails and tries again.
            with suppress(SpoolFailed):
                await self._durable([(entry[0], entry[2]) for entry in group], failure)
            _tell([entry[3] for entry in group], failure)
        self._began_s = None
        self._running = None

    def _write(self, pieces: list[bytes]) -> None:
        """Append and sync; after a failure the file ends where it did and is not used again."""
        if self._descriptor < 0:
            raise OSError(errno.EIO, "no spool file is open")
        try:
            failpoints.reach("spool.before_write")
            end = _write_all(self._descriptor, pieces, self._end)
            failpoints.reach("spool.before_fsync")
            os.fdatasync(self._descriptor)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._end)
            os.close(self._descriptor)
            self._descriptor = -1
            raise
        self._end = end
        failpoints.reach("spool.after_fsync")

    async def switch(self, path: Path, header: bytes, *, before: Callable[[], None]) -> None:
        """Begin a new file; its name is durable before anything in it is acknowledged.

        `before` is called first, where writing does not keep the event loop.

        Raises:
            OSError: the file cannot be made or synced.
        """
        await asyncio.get_running_loop().run_in_executor(self._io, self._open, path, header, before)

    def _open(self, path: Path, header: bytes, before: Callable[[], None]) -> None:
        before()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.pwrite(descriptor, header, 0)
            os.fsync(descriptor)
            sync_folder(path.parent)
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._end = descriptor, len(header)

    async def close(self) -> None:
        """Wait for the running sync."""
        if self._running is not None:
            await self._running

    async def stop(self) -> None:
        """Close the file and end the thread."""
        await asyncio.to_thread(self._io.shutdown)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _write_all(descriptor: int, pieces: list[bytes], at: int) -> int:
    """Write the pieces one behind the other from `at` on, without joining them; the new end."""
    left: list[bytes | memoryview] = [piece for piece in pieces if piece]
    while left:
        written = os.pwritev(descriptor, left[:_MOST_PIECES], at)
        if not written:
            raise OSError(errno.EIO, "nothing was written")
        at += written
        done = 0
        while done < len(left) and written >= len(left[done]):
            written -= len(left[done])
            done += 1
        del left[:done]
        if written:  # the disk took a part of a piece
            left[0] = memoryview(left[0])[written:]
    return at


def _tell(waiting: list["asyncio.Future[None]"], failure: OSError | None) -> None:
    for done in waiting:
        if done.done():  # the sender went away; its frame is kept all the same
            continue
        if failure is None:
            done.set_result(None)
        else:
            done.set_exception(SpoolFailed(f"the spool's disk refused: {failure.strerror}"))
