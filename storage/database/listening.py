"""One connection that a task keeps for good, made anew with back-off whenever it is lost."""

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
    # What asyncpg says when the server ends a session at the very moment of a new statement.
    asyncpg.InternalClientError,
)


class Standing:
    """Runs a task's work on its connection, and knows why it cannot while it cannot."""

    def __init__(self, dsn: str, role: DatabaseRole, *, name: str, task: str) -> None:
        """`name` is shown in pg_stat_activity; `task` completes "… has stopped" in the log."""
        self.problem = ""
        """Why the task cannot be done at present; empty when all is well."""
        self._dsn = dsn
        self._role = role
        self._name = name
        self._task = task
        self._wait_s = _FIRST_WAIT_S

    async def run(
        self, work: "Callable[[asyncpg.Connection[asyncpg.Record]], Awaitable[None]]"
    ) -> None:
        """Do `work` on a connection, again and again, until cancelled.

        `work` calls `well` whenever it got somewhere: only that ends the back-off, so that a
        connection which is refused at its first statement is not made anew ten times a second.
        """
        while True:
            try:
                connection = await connect(self._dsn, self._role, name=self._name)
                try:
                    await work(connection)
                finally:
                    connection.terminate()
            except _LOST as error:
                self.trouble(f"{type(error).__name__}: {error}")
            await asyncio.sleep(self._wait_s * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            self._wait_s = min(self._wait_s * 2, _LONGEST_WAIT_S)

    def well(self) -> None:
        """The task got somewhere."""
        self._wait_s = _FIRST_WAIT_S
        if self.problem:
            _log.info("%s goes on", self._task)
        self.problem = ""

    def trouble(self, reason: str) -> None:
        """The task cannot be done for now; the log says so once per reason."""
        if reason != self.problem:
            _log.warning("%s has stopped: %s", self._task, reason)
        self.problem = reason


async def pause(wake: asyncio.Event, longest_s: float) -> None:
    """Until `wake` is set, but no longer than that."""
    try:
        async with asyncio.timeout(longest_s):
            await wake.wait()
    except TimeoutError:
        return
