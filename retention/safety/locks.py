"""Advisory locks of retention: one job at a time across processes and machines."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from storage.database.connection import Connection
from storage.database.statements import statement


@asynccontextmanager
async def held(connection: Connection, space: int, key: int = 0) -> AsyncIterator[bool]:
    """Try to take the lock for the block; yields whether that succeeded."""
    taken: bool = await connection.fetchval(statement("try_lock"), space, key)
    try:
        yield taken
    finally:
        if taken and not connection.is_closed():
            await connection.execute(statement("unlock"), space, key)
