"""Type aliases for asyncpg; strings, because its classes are not generic at run time."""

from typing import TypeAlias

import asyncpg
import asyncpg.pool

__all__ = ["Connection", "Pool", "asyncpg"]

Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
