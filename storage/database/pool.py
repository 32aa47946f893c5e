"""Connections to PostgreSQL: role, limits, lifetime.

Every connection of opslog is opened here. Codecs (jsonb, inet) are left to the callers: the writer
sends COPY bytes and needs none. A connection pooler in between must use session pooling.
"""

import logging
from typing import Any

import asyncpg

from storage.database.connection import Connection, Pool
from storage.database.roles import DatabaseRole, take_role

__all__ = ["Connection", "DatabaseRole", "Pool", "connect", "open_pool"]


log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
IDLE_CONNECTION_S = 300.0
"""A backend caches metadata of every leaf it has used (50 kB each), so idle ones are closed."""
QUERIES_PER_CONNECTION = {
    DatabaseRole.OWNER: 1_000,
    DatabaseRole.WRITER: 50_000,
    DatabaseRole.READER: 10_000,
}
"""Busy connections are replaced, for the same reason."""
CACHED_STATEMENTS = 200
CACHED_STATEMENT_BYTES = 64 * 1024
"""A query over 30 leaves is 14 kB of SQL."""
COMMAND_TIMEOUT_S = 120.0
"""Maximum wait for a result where no statement timeout is set: the network may be down."""

_SETTINGS: dict[str, str] = {
    "search_path": "public, pg_temp",
    "timezone": "UTC",
    "jit": "off",  # costs more than the statements take
    "lock_timeout": "5s",  # a manual ALTER TABLE must not block a flush indefinitely
    "idle_in_transaction_session_timeout": "60s",  # an old snapshot stops FREEZE and DETACH
    "client_min_messages": "warning",
    # Over a network: a client that disappeared must not keep its locks for hours.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
_ROLE_SETTINGS: dict[DatabaseRole, dict[str, str]] = {
    DatabaseRole.OWNER: {},
    # A frame leaves the spool when its transaction is on disk, so commits must be synchronous.
    DatabaseRole.WRITER: {"synchronous_commit": "on"},
    DatabaseRole.READER: {
        "default_transaction_read_only": "on",
        # A generic plan does not prune segments and takes the wrong index for a pattern.
        "plan_cache_mode": "force_custom_plan",
        "max_parallel_workers_per_gather": "0",
    },
}
_reported: set[str] = set()


async def open_pool(
    dsn: str,
    role: DatabaseRole,
    *,
    size: int,
    statement_timeout_s: float = 0,
    name: str = "",
    keeps_plans: bool = False,
) -> Pool:
    """A pool of up to `size` connections that have taken `role`.

    It connects on first use, so a process can start while PostgreSQL is unavailable.
    `statement_timeout_s` 0 means none. `name` is shown in pg_stat_activity (default: the role).
    With `keeps_plans` a statement is planned once per connection, whatever its values: this saves
    0.1 ms per leaf for statements that use the same index for every value.
    """
    arguments = _arguments(dsn, role, statement_timeout_s, name)
    if keeps_plans:
        arguments["server_settings"]["plan_cache_mode"] = "force_generic_plan"
    return await asyncpg.create_pool(
        **arguments,
        statement_cache_size=CACHED_STATEMENTS,
        max_cacheable_statement_size=CACHED_STATEMENT_BYTES,
        min_size=0,
        max_size=size,
        max_queries=QUERIES_PER_CONNECTION[role],
        max_inactive_connection_lifetime=IDLE_CONNECTION_S,
        init=lambda conn: _take(conn, role),
        # Readers do not change their session, so nothing is reset after a query.
        reset=_leave if role is DatabaseRole.READER else None,
    )


async def _leave(_: Connection) -> None:
    """Reset nothing; asyncpg has already ended any transaction."""


async def connect(
    dsn: str, role: DatabaseRole, *, statement_timeout_s: float = 0, name: str = ""
) -> "asyncpg.Connection[asyncpg.Record]":
    """One connection outside a pool, for LISTEN and session locks; the caller closes it."""
    conn: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
        **_arguments(dsn, role, statement_timeout_s, name)
    )
    try:
        await _take(conn, role)
    except BaseException:
        conn.terminate()
        raise
    return conn


def _arguments(
    dsn: str, role: DatabaseRole, statement_timeout_s: float, name: str
) -> dict[str, Any]:
    limit_ms = round(statement_timeout_s * 1000)
    return {
        "dsn": dsn,
        "timeout": CONNECT_TIMEOUT_S,
        # Longer than the statement timeout, so that PostgreSQL's clearer error comes first.
        "command_timeout": statement_timeout_s + 5 if limit_ms else COMMAND_TIMEOUT_S,
        "server_settings": {
            **_SETTINGS,
            **_ROLE_SETTINGS[role],
            "statement_timeout": str(limit_ms),
            "application_name": name or role.value.replace("_", "-"),
        },
    }


async def _take(conn: Connection, role: DatabaseRole) -> None:
    if not await take_role(conn, role) and role not in _reported:
        _reported.add(role)
        log.warning("database role %s is not available; using the login's own privileges", role)
