"""Packs for queries: opened by the store, scanned in a few threads, a slice at a time.

Between two slices the event loop decides: a query that is out of time ends there, and callers get
the threads in turn (storage/database/fairness.py). A cancelled query ends within a step.
"""

import asyncio
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import re2

from config.errors import BadInput
from storage.database.fairness import FairQueue
from storage.database.read import spent_on
from storage.filtering.prune import Leaf
from storage.packs.errors import PackDamaged
from storage.packs.index.bloom import ClassFilters
from storage.packs.pack import Pack
from storage.packs.search.stopping import Stopped, stoppable

_log = logging.getLogger(__name__)

SLICE_S = 0.02
"""How long a scan runs before others get the thread."""
WORKERS = 4
"""Threads; Python runs one at a time, but decompression and NumPy do not wait for it."""


class Store(Protocol):
    """The open packs (storage/packs/store.py)."""

    def open(self, class_name: str, segment: int, data_hash: bytes | None = None) -> Pack:
        """The pack of a segment, whose data file has this hash. Raises PackDamaged."""
        ...

    def forget(self, segment: int) -> None:
        """Open the pack again the next time."""
        ...

    def keep_only(self, segments: Iterable[int]) -> None:
        """Close the packs of all other segments."""
        ...

    def filters(self, class_name: str) -> ClassFilters:
        """Which packs of a class cannot have a trace id or a correlation id."""
        ...


class Scan(Protocol):
    """Work on packs that can be interrupted."""

    def step(self) -> bool:
        """Do a small part, of a block or a pack; whether all is done."""
        ...


class PackReader:
    """Opens packs and runs scans; without a store, every pack is missing."""

    def __init__(self, store: Store | None, *, workers: int = WORKERS) -> None:
        self._store = store
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="packs")
        self._queue = FairQueue(workers)
        self._reported: set[int] = set()

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def open(self, leaf: Leaf) -> Pack:
        """The pack of a packed segment. Raises PackDamaged."""
        if self._store is None:
            path = Path(leaf.class_name, f"{leaf.segment}.parquet")
            raise PackDamaged(path, "storage.packs_dir is not set")
        return self._store.open(leaf.class_name, leaf.segment, leaf.data_hash)

    def without(self, column: str, value: bytes, leaves: Iterable[Leaf]) -> set[int]:
        """Packs that certainly lack a trace id or correlation id (storage/packs/index/bloom.py)."""
        absent: set[int] = set()
        classes: dict[str, dict[int, bytes | None]] = defaultdict(dict)
        if self._store is not None:
            for leaf in leaves:
                classes[leaf.class_name][leaf.segment] = leaf.data_hash
            for name, packs in classes.items():
                absent |= self._store.filters(name).without(column, value, packs)
        return absent

    def keep_only(self, segments: Iterable[int]) -> None:
        """Close the packs of all other segments: open ones occupy the disk, removed or not."""
        if self._store is not None:
            self._store.keep_only(segments)

    def report(self, segment: int, error: PackDamaged) -> None:
        """Log a pack that could not be read, once; it may be restored, so it is opened again."""
        if self._store is not None:
            self._store.forget(segment)
        if segment not in self._reported:
            self._reported.add(segment)
            _log.error("the pack of segment %d cannot be read: %s", segment, error)

    async def finish(self, scan: Scan, deadline_s: float) -> bool:
        """Run a scan to its end; whether it ended in time. Raises BadInput."""
        while (left_s := deadline_s - time.monotonic()) > 0:
            try:
                with spent_on("queue_s"):
                    caller = await self._queue.enter(left_s)
            except TimeoutError:
                return False
            with spent_on("packs_s"):
                if await self._slice(scan, caller):
                    return True
        return False

    async def _slice(self, scan: Scan, caller: str) -> bool:
        """Run a slice in a thread, whose place is free when it has ended, also if cancelled."""
        loop, stop = asyncio.get_running_loop(), threading.Event()

        def end(_: object) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._queue.leave, caller)

        try:
            running = self._threads.submit(_slice, scan, stop)
        except BaseException:  # the threads were stopped
            self._queue.leave(caller)
            raise
        running.add_done_callback(end)
        try:
            return await asyncio.wrap_future(running)
        finally:
            stop.set()


def _slice(scan: Scan, stop: threading.Event) -> bool:
    until_s = time.monotonic() + SLICE_S
    try:
        with stoppable(stop):
            while not scan.step():
                if stop.is_set() or time.monotonic() >= until_s:
                    return False
    except Stopped:
        return False
    except re2.error as error:
        raise BadInput("the regular expression is not valid", where="q") from error
    return True
