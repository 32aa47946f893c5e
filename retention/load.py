"""How busy ingest is, and standing back for it."""

import asyncio
import os
import time
from pathlib import Path

from storage.connection import Connection
from storage.statements import statement

LOOK_S = 1.0
"""PostgreSQL's counters follow within a second."""
LONGEST_WAIT_S = 900.0
"""A load that never ends must not keep sealing from ever going on."""
_NICENESS = 10


class Yielding:
    """Waits between the steps of a long job while more rows than `rows_per_s` come in."""

    def __init__(self, connection: Connection, rows_per_s: int) -> None:
        self._connection = connection
        self._limit = rows_per_s
        self._waited_s = 0.0

    async def rate(self) -> float:
        """Rows a second, over the next second."""
        began, before = time.monotonic(), await self._inserted()
        await asyncio.sleep(LOOK_S)
        return (await self._inserted() - before) / (time.monotonic() - began)

    async def __call__(self) -> None:
        """Returns when ingest is quiet enough, or when this job has waited long enough in all."""
        while self._waited_s < LONGEST_WAIT_S:
            began = time.monotonic()
            if await self.rate() <= self._limit:
                return
            self._waited_s += time.monotonic() - began

    async def _inserted(self) -> int:
        await self._connection.execute("SELECT pg_stat_clear_snapshot()")
        count: int = await self._connection.fetchval(statement("inserted_rows"))
        return count


async def step_back(connection: Connection) -> bool:
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
