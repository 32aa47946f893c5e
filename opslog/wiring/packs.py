"""The check of the packs' folder in /readyz, for every process that writes or reads packs."""

import time

import asyncpg

from config.process.health import OK, Check, Finding, State
from config.settings import Settings
from retention.packing.places import NOT_SET, problem_with_packs
from storage.database.pool import DatabaseRole, connect

_REMEMBER_S = 10.0


def check_of_packs(dsn: str, settings: Settings) -> Check:
    """Failed where the folder is missing or another installation's; degraded where none is set.

    Another check tells when the database does not respond.
    """
    known: list[tuple[float, Finding]] = []

    async def check() -> Finding:
        if known and time.monotonic() - known[-1][0] < _REMEMBER_S:
            return known[-1][1]
        try:
            found = await _look(dsn, settings)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return OK
        known[:] = [(time.monotonic(), found)]
        return found

    return check


async def _look(dsn: str, settings: Settings) -> Finding:
    if settings.packs_dir is None:
        return Finding(State.DEGRADED, NOT_SET)
    connection = await connect(dsn, DatabaseRole.READER, name="opslog-packs")
    try:
        problem = await problem_with_packs(connection, settings)
    finally:
        await connection.close()
    return Finding(State.FAILED, problem) if problem else OK
