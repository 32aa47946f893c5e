"""Connections to PostgreSQL: which role, which limits, how long one lives.

Every connection of opslog is made here. Codecs (jsonb, inet) are left to the callers: the writer
sends COPY bytes and wants none. A pooler between us and PostgreSQL must pool by session.
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
"""A backend remembers every leaf it has touched (50 kB each): idle ones are let go."""
QUERIES_PER_CONNECTION = {
    DatabaseRole.OWNER: 1_000,
    DatabaseRole.WRITER: 50_000,
    DatabaseRole.READER: 10_000,
}
"""Busy ones are replaced, for the same reason."""
KEPT_STATEMENTS = 200
KEPT_STATEMENT_BYTES = 64 * 1024
"""A question to 30 leaves is 14 kB of SQL."""
COMMAND_TIMEOUT_S = 120.0
"""Longest wait for an answer where no statement timeout is set: the network may have gone."""

_SETTINGS: dict[str, str] = {
    "search_path": "public, pg_temp",
    "timezone": "UTC",
    "jit": "off",  # costs more than the statements take
    "lock_timeout": "5s",  # somebody's ALTER TABLE must not hold a flush for ever
    "idle_in_transaction_session_timeout": "60s",  # an old snapshot stops FREEZE and DETACH
    "client_min_messages": "warning",
    # Over a network: a client that vanished must not keep its locks for hours.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
_ROLE_SETTINGS: dict[DatabaseRole, dict[str, str]] = {
    DatabaseRole.OWNER: {},
    # A frame leaves the spool when its transaction is on disk, so the commit has to mean that.
    DatabaseRole.WRITER: {"synchronous_commit": "on"},
    DatabaseRole.READER: {
        "default_transaction_read_only": "on",
        # A generic plan does not prune segments and takes the wrong index for a pattern.
        "plan_cache_mode": "force_custom_plan",
        "max_parallel_workers_per_gather": "0",
    },
}
_told: set[str] = set()


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

    It connects with the first use, not here, so a process can start while PostgreSQL is away.
    `statement_timeout_s` 0 means none. `name` is shown in pg_stat_activity (default: the role).
    With `keeps_plans` a statement is planned once per connection, whatever its values: a tenth of
    a millisecond less for each leaf, for statements that one index answers for every value.
    """
    arguments = _arguments(dsn, role, statement_timeout_s, name)
    if keeps_plans:
        arguments["server_settings"]["plan_cache_mode"] = "force_generic_plan"
    return await asyncpg.create_pool(
        **arguments,
        statement_cache_size=KEPT_STATEMENTS,
        max_cacheable_statement_size=KEPT_STATEMENT_BYTES,
        min_size=0,
        max_size=size,
        max_queries=QUERIES_PER_CONNECTION[role],
        max_inactive_connection_lifetime=IDLE_CONNECTION_S,
        init=lambda conn: _take(conn, role),
        # Readers change nothing of their session, so nothing is put back after each question.
        reset=_leave if role is DatabaseRole.READER else None,
    )


async def _leave(_: Connection) -> None:
    """Nothing to put back; asyncpg has ended a transaction before."""


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
        # Above the statement timeout, so that PostgreSQL's own, clearer error comes first.
        "command_timeout": statement_timeout_s + 5 if limit_ms else COMMAND_TIMEOUT_S,
        "server_settings": {
            **_SETTINGS,
            **_ROLE_SETTINGS[role],
            "statement_timeout": str(limit_ms),
            "application_name": name or role.value.replace("_", "-"),
        },
    }


async def _take(conn: Connection, role: DatabaseRole) -> None:
    if not await take_role(conn, role) and role not in _told:
        _told.add(role)
        log.warning("database role %s cannot be taken; the login's own rights are used", role)
