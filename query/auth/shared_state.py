"""What the query processes of one installation share: running queries, logouts, connections.

    <data_dir>/run/query-state   a region per process (api.workers), which only that process writes

In shared memory instead of Redis or PostgreSQL: it is read with each request, and must work while
those are away. `opslog up` removes the file when it starts. A process that was killed leaves its
region behind: its slots do not count once it is gone, and its successor clears them; its logouts
stay in force.
"""

import hashlib
import heapq
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from query.errors import TooManyQueries

_SLOTS = 8192
"""Queries and live tails of one process; each also has one of its connections."""
_LOGOUTS = 256
"""Logouts of one process that others may not have read from the database yet."""
_REGION = np.dtype(
    [
        ("pid", "<i8"),
        ("connections", "<i8"),
        ("used", "<i8"),
        ("logouts", "<i8"),
        ("slots", "<u8", _SLOTS),
        ("ended", "<u8", _LOGOUTS),
        ("ended_s", "<f8", _LOGOUTS),
    ]
)
"""pid; open connections; the slots from here on are free; logouts so far (the last ones are in
`ended` and `ended_s`); the key of each slot, 0: free."""
_MODE = 0o600


class SharedState:
    """The regions of all processes, and our own."""

    def __init__(self, memory: mmap.mmap, number: int, of: int) -> None:
        """`number` is our region among `of`."""
        self._regions = np.ndarray(of, _REGION, memory)
        self._others = [self._regions[each] for each in range(of) if each != number]
        self._own = self._regions[number]
        self._slots = self._own["slots"]
        self._own["pid"] = os.getpid()
        self._own["connections"] = self._own["used"] = 0
        self._slots[:] = 0
        self._free = list(range(_SLOTS))
        self.processes = of
        """How many processes share the limits."""

    @classmethod
    def open(cls, path: Path, number: int, of: int) -> "SharedState":
        """Our region in the file, without the slots of a predecessor."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, _MODE)
        try:
            if os.fstat(descriptor).st_size < of * _REGION.itemsize:  # never cut from others
                os.ftruncate(descriptor, of * _REGION.itemsize)
            memory = mmap.mmap(descriptor, of * _REGION.itemsize)
        finally:
            os.close(descriptor)
        return cls(memory, number, of)

    @classmethod
    def alone(cls) -> "SharedState":
        """The state of a process that shares nothing."""
        return cls(mmap.mmap(-1, _REGION.itemsize), 0, 1)

    def share(self, limit: int) -> int:
        """Our part of a limit that is divided, at least 1."""
        return -(-limit // self.processes)

    # -- slots ------------------------------------------------------------------------------

    def take(self, key: str, limit: int) -> int | None:
        """Take one of the `limit` slots of a key, in all processes; None: all are taken.

        It is taken before the slots are counted: if two processes take the last one at the same
        time, both may be refused, and the limit is never exceeded.
        """
        if not self._free:
            return None
        place, number = heapq.heappop(self._free), _key(key)
        self._slots[place] = number
        self._own["used"] = max(int(self._own["used"]), place + 1)
        if self._count(number) > limit:
            self.give_back(place)
            return None
        return place

    def give_back(self, place: int) -> None:
        """Free a slot."""
        self._slots[place] = 0
        heapq.heappush(self._free, place)
        used = int(self._own["used"])
        while used and not self._slots[used - 1]:
            used -= 1
        self._own["used"] = used

    def _count(self, number: int) -> int:
        count = _count_in(self._own, number)
        for region in self._others:
            found = _count_in(region, number)
            count += found if found and _is_alive(region) else 0
        return count

    # -- logouts ----------------------------------------------------------------------------

    def end_sessions(self, token: str, ended_s: float) -> None:
        """Record a logout for all processes."""
        count = int(self._own["logouts"])
        place = count % _LOGOUTS
        self._own["ended_s"][place] = ended_s
        self._own["ended"][place] = _key(token)
        self._own["logouts"] = count + 1

    def ended_s(self, token: str) -> float:
        """When sessions of this token were last ended in any process; 0: never, or long ago."""
        number, newest_s = _key(token), 0.0
        for region in self._regions:
            if region["logouts"]:
                times = region["ended_s"][region["ended"] == number]
                newest_s = max(newest_s, float(times.max(initial=0.0)))
        return newest_s

    # -- connections ------------------------------------------------------------------------

    def note_connections(self, count: int) -> None:
        """Publish how many connections we have."""
        self._own["connections"] = count

    @property
    def has_most_connections(self) -> bool:
        """Whether another process has fewer connections than we."""
        own = self._own["connections"]
        return any(region["connections"] < own and _is_alive(region) for region in self._others)


@contextmanager
def slot(state: SharedState, key: str, limit: int, refused: str) -> Iterator[None]:
    """Hold a slot within the block. Raises TooManyQueries with the text `refused`."""
    place = state.take(key, limit)
    if place is None:
        raise TooManyQueries(refused)
    try:
        yield
    finally:
        state.give_back(place)


def _key(text: str) -> int:
    """A number for a text, not 0."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) or 1


def _count_in(region: Any, number: int) -> int:
    return int(np.count_nonzero(region["slots"][: int(region["used"])] == number))


def _is_alive(region: Any) -> bool:
    pid = int(region["pid"])
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
