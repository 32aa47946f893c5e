"""How busy ingest is, and standing back for it."""

import asyncio
import os
import time
from pathlib import Path

from storage.database.connection import Connection
from storage.database.statements import statement

SAMPLE_S = 1.0
"""PostgreSQL's counters follow within a second."""
LONGEST_WAIT_S = 900.0
"""A load that never ends must not keep sealing from ever going on."""
_NICENESS = 10


class Load:
    """How many rows come in a second."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._at_s: float | None = None
        self._inserted = 0
        self._rate = 0.0

    async def rate(self) -> float:
        """Rows a second since the last look, which was a second ago at least.

        Who asks again sooner is told what the last look has found; only the very first one takes
        the second that it needs.
        """
        if self._at_s is None:
            self._inserted, self._at_s = await self._count(), time.monotonic()
            await asyncio.sleep(SAMPLE_S)
        elapsed_s = time.monotonic() - self._at_s
        if elapsed_s >= SAMPLE_S:
            inserted = await self._count()
            self._rate = (inserted - self._inserted) / elapsed_s
            self._inserted, self._at_s = inserted, time.monotonic()
        return self._rate

    async def _count(self) -> int:
        await self._connection.execute("SELECT pg_stat_clear_snapshot()")
        count: int = await self._connection.fetchval(statement("inserted_rows"))
        return count


class Yielding:
    """Waits between the steps of a long job while more rows than `rows_per_s` come in."""

    def __init__(self, load: Load, rows_per_s: int) -> None:
        self._load = load
        self._limit = rows_per_s
        self._waited_s = 0.0

    async def __call__(self) -> None:
        """Returns when ingest is quiet enough, or when this job has waited long enough in all."""
        while await self._load.rate() > self._limit and self._waited_s < LONGEST_WAIT_S:
            await asyncio.sleep(SAMPLE_S)
            self._waited_s += SAMPLE_S


async def lower_priority(connection: Connection) -> bool:
    """Give the session's server process a low priority, where it is ours and on this machine."""
    pid: int = await connection.fetchval(
        "SELECT CASE WHEN inet_server_addr() IS NULL THEN pg_backend_pid() ELSE 0 END"
    )
    return bool(pid) and await asyncio.to_thread(_renice, pid)


def _renice(pid: int) -> bool:
    try:
        # A container's PostgreSQL may count its processes otherwise than we do.
        if Path(f"/proc/{pid}/comm").read_text().strip() != "postgres":
            return False
        os.setpriority(os.PRIO_PROCESS, pid, _NICENESS)
    except OSError:
        return False
    return True
