"""Ingest load, and the priority of work in PostgreSQL."""

import asyncio
import os
import time
from pathlib import Path

from storage.database.connection import Connection
from storage.database.statements import statement

SAMPLE_S = 1.0
"""PostgreSQL's counters lag by up to a second."""
_NICENESS = 10


class Load:
    """The ingest rate."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._at_s: float | None = None
        self._inserted = 0
        self._rate = 0.0

    async def rate(self) -> float:
        """Rows per second since the last sample, which is at least a second old.

        A call within a second returns the last value; only the very first call waits a second.
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


async def lower_priority(connection: Connection) -> bool:
    """Lower the priority of the session's server process, if it is ours and on this machine."""
    pid: int = await connection.fetchval(
        "SELECT CASE WHEN inet_server_addr() IS NULL THEN pg_backend_pid() ELSE 0 END"
    )
    return bool(pid) and await asyncio.to_thread(_renice, pid)


def _renice(pid: int) -> bool:
    try:
        # A PostgreSQL in a container may have another PID namespace.
        if Path(f"/proc/{pid}/comm").read_text().strip() != "postgres":
            return False
        os.setpriority(os.PRIO_PROCESS, pid, _NICENESS)
    except OSError:
        return False
    return True
