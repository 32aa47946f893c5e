"""The three database roles, and the fallback where they cannot be created.

opslog_owner owns the tables, opslog_writer adds rows, opslog_reader reads. They have no login; a
connection takes one by SET ROLE (pool.py). Where the login may not create roles, everything runs
as the login itself and each missing safeguard becomes a Finding for `opslog doctor`.
"""

import logging
from dataclasses import dataclass
from enum import StrEnum

import asyncpg

from storage.database.connection import Connection

__all__ = ["Connection", "DatabaseRole", "Finding", "leave_role", "prepare_roles", "take_role"]

log = logging.getLogger(__name__)


class DatabaseRole(StrEnum):
    """Privileges of a connection; the value is the role's name in PostgreSQL."""

    OWNER = "opslog_owner"
    """Migrations and retention."""
    WRITER = "opslog_writer"
    """Adds records; changes and removes none."""
    READER = "opslog_reader"
    """Reads only."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A working setup that lacks a safeguard."""

    what: str
    reason: str
    fix: str
    """The command to run, or whom to contact."""


_INHERIT = {
    DatabaseRole.OWNER: "FALSE",
    DatabaseRole.WRITER: "FALSE",
    # Manual queries with the login of the DSN may read without SET ROLE.
    DatabaseRole.READER: "TRUE",
}

_TAKE = """
SELECT set_config('role', r.rolname, false)
  FROM pg_roles AS r
 WHERE r.rolname = $1 AND pg_has_role(session_user, r.oid, 'SET')
"""


async def take_role(conn: Connection, role: DatabaseRole) -> bool:
    """SET ROLE for the rest of the session; False where the login may not.

    The role survives RESET ALL (PostgreSQL exempts it), hence also a pool's reset.
    """
    return await conn.fetchval(_TAKE, role.value) is not None


async def leave_role(conn: Connection) -> None:
    """Return to the login's own role."""
    await conn.execute("SET ROLE NONE")


async def prepare_roles(conn: Connection) -> list[Finding]:
    """Create the roles and the login's membership where allowed; returns what is missing.

    Call it as the login, outside a transaction. Idempotent.
    """
    findings = []
    for role in DatabaseRole:
        finding = await _create(conn, role) or await _join(conn, role)
        if finding:
            findings.append(finding)
    if not findings:
        findings += await _open_schema(conn)
    for finding in findings:
        log.warning("%s: %s", finding.what, finding.reason)
    return findings


async def _create(conn: Connection, role: DatabaseRole) -> Finding | None:
    if await conn.fetchval("SELECT to_regrole($1) IS NOT NULL", role.value):
        return None
    statement = f"CREATE ROLE {role} NOLOGIN"
    try:
        await conn.execute(statement)
    except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
        pass  # another installation on this cluster created it concurrently
    except asyncpg.InsufficientPrivilegeError:
        return Finding(
            what=f"the database role {role} is missing",
            reason="the login of database_url may not create roles, so its own privileges are used",
            fix=f"as a superuser: {statement}; {await _membership(conn, role)};"
            " then run `opslog migrate up` again",
        )
    return None


async def _membership(conn: Connection, role: DatabaseRole) -> str:
    login = await conn.fetchval("SELECT quote_ident(session_user)")
    return f"GRANT {role} TO {login} WITH INHERIT {_INHERIT[role]}, SET TRUE"


async def _join(conn: Connection, role: DatabaseRole) -> Finding | None:
    if await conn.fetchval("SELECT pg_has_role(session_user, $1::name, 'SET')", role.value):
        return None
    statement = await _membership(conn, role)
    try:
        await conn.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return Finding(
            what=f"the login may not take the database role {role}",
            reason="another login created the role, so the login's own privileges are used",
            fix=f"as a superuser: {statement}; then run `opslog migrate up` again",
        )
    return None


async def _open_schema(conn: Connection) -> list[Finding]:
    """Grant the roles access to the schema and revoke CREATE from everybody else."""
    database = await conn.fetchval("SELECT quote_ident(current_database())")
    statements = (
        f"GRANT USAGE, CREATE ON SCHEMA public TO {DatabaseRole.OWNER}",
        f"GRANT USAGE ON SCHEMA public TO {DatabaseRole.WRITER}, {DatabaseRole.READER}",
        # Until PostgreSQL 14 every role could create objects there and so shadow opslog's.
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        f"GRANT CREATE ON DATABASE {database} TO {DatabaseRole.OWNER}",  # trusted extensions
    )
    try:
        async with conn.transaction():
            for statement in statements:
                await conn.execute(statement)
            if await conn.fetchval(
                "SELECT has_schema_privilege($1::name, 'public', 'CREATE')", DatabaseRole.OWNER
            ):
                return []
    except asyncpg.InsufficientPrivilegeError:
        pass
    return [
        Finding(
            what=f"the role {DatabaseRole.OWNER} may not create tables in schema public",
            reason="the login of database_url does not own the database",
            fix="as the database's owner: " + "; ".join(statements),
        )
    ]
