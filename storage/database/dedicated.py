"""A dedicated connection of a background task, re-established with back-off when it is lost."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

import asyncpg

from storage.database.pool import DatabaseRole, connect

_log = logging.getLogger(__name__)
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
_LOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # Raised by asyncpg when the server ends a session just as a new statement starts.
    asyncpg.InternalClientError,
)


class DedicatedConnection:
    """Runs a task on its own connection and reports why it cannot run."""

    def __init__(self, dsn: str, role: DatabaseRole, *, name: str, task: str) -> None:
        """`name` is shown in pg_stat_activity; `task` names the task in the log."""
        self.problem = ""
        """Why the task cannot run at present; empty when it can."""
        self._dsn = dsn
        self._role = role
        self._name = name
        self._task = task
        self._wait_s = _FIRST_WAIT_S

    async def run(
        self, work: "Callable[[asyncpg.Connection[asyncpg.Record]], Awaitable[None]]"
    ) -> None:
        """Run `work` on a connection until cancelled; reconnect when the connection is lost.

        `work` calls `succeeded` whenever it makes progress. Only that resets the back-off, so a
        connection whose first statement fails is not re-established ten times a second.
        """
        while True:
            try:
                connection = await connect(self._dsn, self._role, name=self._name)
                try:
                    await work(connection)
                finally:
                    connection.terminate()
            except _LOST as error:
                self.failed(f"{type(error).__name__}: {error}")
            await asyncio.sleep(self._wait_s * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            self._wait_s = min(self._wait_s * 2, _LONGEST_WAIT_S)

    def succeeded(self) -> None:
        """Record progress: reset the back-off and clear the problem."""
        self._wait_s = _FIRST_WAIT_S
        if self.problem:
            _log.info("%s resumed", self._task)
        self.problem = ""

    def failed(self, reason: str) -> None:
        """Record why the task cannot run; each new reason is logged once."""
        if reason != self.problem:
            _log.warning("%s stopped: %s", self._task, reason)
        self.problem = reason


async def pause(wake: asyncio.Event, longest_s: float) -> None:
    """Wait until `wake` is set, but no longer than `longest_s`."""
    try:
        async with asyncio.timeout(longest_s):
            await wake.wait()
    except TimeoutError:
        return
