"""Group commit: one fdatasync for all waiting requests; later arrivals share the next one.

    add       joins the waiting group; starts it when none is running
    _write    in a thread: append all, one fdatasync
    _written  on the loop: updates the counts, then wakes the senders, then starts the next group

The only module that writes spool files. Senders reach the thread through a queue, without an
executor, and are woken without a task or a second future: each would delay a single record.
"""

import asyncio
import errno
import os
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from storage import failpoints
from storage.errors import SpoolFailed, SpoolSlow
from storage.spool.files import sync_folder
from storage.spool.frame import Frame

_MOST_PIECES = min(os.sysconf("SC_IOV_MAX"), 1024)
"""Maximum number of buffers per call (POSIX, writev)."""

Durable = Callable[[list[tuple[Frame, int]], OSError | None], Coroutine[Any, Any, None] | None]
"""Called after each sync, before the senders are woken: the frames and their sizes, or the failure.

If it returns a coroutine (which begins the next file), that runs before the next group is written.
"""


@dataclass(slots=True, eq=False)
class _Entry:
    """A waiting frame and its sender."""

    frame: Frame
    pieces: list[bytes]
    size: int
    done: "asyncio.Future[None]"
    timer: asyncio.TimerHandle = field(init=False)

    def finish(self, failure: Exception | None) -> None:
        """Wake the sender, unless it is gone or was woken before; its frame is kept anyway."""
        self.timer.cancel()
        _settle(self.done, failure)


class GroupCommit:
    """Appends groups of frames to the current file."""

    def __init__(self, durable: Durable) -> None:
        self._durable = durable
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name="spool", daemon=True)
        self._descriptor = -1
        self._end = 0
        self._waiting: list[_Entry] = []
        self._change: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self.pending_bytes = 0
        """Bytes accepted by `add`, not yet durable."""
        self._began_s: float | None = None

    @property
    def running_s(self) -> float:
        """How long the current write has been running; 0 when there is none."""
        return 0.0 if self._began_s is None else time.monotonic() - self._began_s

    async def add(self, frame: Frame, pieces: list[bytes], timeout_s: float) -> None:
        """Return when the frame is durable.

        Raises:
            SpoolFailed: the write or the sync of its group failed.
            SpoolSlow: it did not finish in time; the frame may still become durable.
        """
        loop = asyncio.get_running_loop()
        entry = _Entry(frame, pieces, sum(map(len, pieces)), loop.create_future())
        entry.timer = loop.call_later(timeout_s, self._time_out, entry, timeout_s)
        self._waiting.append(entry)
        self.pending_bytes += entry.size
        if self._idle.is_set():
            self._begin()
        await entry.done

    def _time_out(self, entry: _Entry, timeout_s: float) -> None:
        """Make the sender retry, and discard the frame unless its write has begun.

        A disk that hangs must not fill the memory with repeated requests.
        """
        if entry in self._waiting:
            self._waiting.remove(entry)
            self.pending_bytes -= entry.size
        entry.finish(SpoolSlow(timeout_s))

    def _begin(self) -> None:
        """Write all waiting frames. No other group is started before `_continue`."""
        group, self._waiting = self._waiting, []
        self._idle.clear()
        self._began_s = time.monotonic()
        self._jobs.put(partial(self._write_group, group, asyncio.get_running_loop()))

    def _work(self) -> None:
        """Run the jobs one by one, in the thread."""
        while (job := self._jobs.get()) is not None:
            with suppress(RuntimeError):  # the loop was closed: nobody is waiting
                job()
            del job  # keeps no reference to the last job while waiting for the next

    def _write_group(self, group: list[_Entry], loop: asyncio.AbstractEventLoop) -> None:
        failure: OSError | None = None
        try:
            self._write([piece for entry in group for piece in entry.pieces])
        except Exception as error:  # noqa: BLE001 - the senders must be woken in any case
            failure = error if isinstance(error, OSError) else OSError(errno.EIO, repr(error))
        loop.call_soon_threadsafe(self._written, group, failure)

    def _written(self, group: list[_Entry], failure: OSError | None) -> None:
        self.pending_bytes -= sum(entry.size for entry in group)
        try:
            change = self._durable([(entry.frame, entry.size) for entry in group], failure)
        except Exception as error:  # a bug, or out of memory: no sender may wait forever
            _finish(group, SpoolFailed(f"internal error: {type(error).__name__}"))
            self._continue()
            raise
        if failure is None:
            _finish(group, None)
        if change is None:
            self._continue()
        else:
            self._change = asyncio.create_task(self._after(change, group, failure))

    async def _after(
        self, change: Coroutine[Any, Any, None], group: list[_Entry], failure: OSError | None
    ) -> None:
        """Begin the next file; failed senders are woken only once it exists."""
        try:
            with suppress(SpoolFailed):  # the next group fails as well, and retries
                await change
        finally:
            if failure is not None:
                _finish(group, SpoolFailed(f"writing to the spool failed: {failure.strerror}"))
            self._continue()

    def _continue(self) -> None:
        if self._waiting:
            self._begin()
        else:
            self._began_s = None
            self._idle.set()

    def _write(self, pieces: list[bytes]) -> None:
        """Append and sync; after a failure the file is truncated and not used again."""
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

        `before` is called first, in the thread, so its writes do not block the event loop.

        Raises:
            OSError: the file cannot be created or synced.
        """
        if self._thread.ident is None:
            self._thread.start()
        loop = asyncio.get_running_loop()
        begun: asyncio.Future[None] = loop.create_future()
        self._jobs.put(partial(self._switch, (path, header, before), begun, loop))
        await begun

    def _switch(
        self,
        what: tuple[Path, bytes, Callable[[], None]],
        begun: "asyncio.Future[None]",
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        try:
            self._open(*what)
        except Exception as error:  # noqa: BLE001 - as for a write
            loop.call_soon_threadsafe(_settle, begun, error)
        else:
            loop.call_soon_threadsafe(_settle, begun, None)

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
        await self._idle.wait()

    async def stop(self) -> None:
        """Close the file and stop the thread."""
        if self._thread.ident is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _write_all(descriptor: int, pieces: list[bytes], at: int) -> int:
    """Write the pieces in order from `at` on, without joining them; returns the new end."""
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
        if written:  # a piece was partly written
            left[0] = memoryview(left[0])[written:]
    return at


def _finish(group: list[_Entry], failure: SpoolFailed | None) -> None:
    for entry in group:
        entry.finish(failure)


def _settle(future: "asyncio.Future[None]", failure: Exception | None) -> None:
    """Complete the future, unless it was cancelled."""
    if future.done():
        return
    if failure is None:
        future.set_result(None)
    else:
        future.set_exception(failure)
