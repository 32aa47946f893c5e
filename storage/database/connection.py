"""The types of asyncpg that signatures name; strings, since asyncpg's classes are not generic."""

from typing import TypeAlias

import asyncpg
import asyncpg.pool

__all__ = ["Connection", "Pool", "asyncpg"]

Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
