"""Schema migrations: numbered SQL files, forward only, each recorded with its hash.

A file runs as the owner role in its own transaction. One that must run outside (CREATE INDEX
CONCURRENTLY) starts with the line `-- no-transaction`, separates its statements by lines `-- next`,
and uses IF NOT EXISTS: after an interruption it is run again from the start.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files

import asyncpg

from storage.database.locks import MIGRATION_SPACE
from storage.database.roles import (
    Connection,
    DatabaseRole,
    Finding,
    leave_role,
    prepare_roles,
    take_role,
)
from storage.errors import (
    DatabaseUnsupported,
    MigrationFailed,
    SchemaBehind,
    SchemaEdited,
    SchemaNewer,
)

NO_TRANSACTION = "-- no-transaction"
NEXT = "-- next\n"
OLDEST_POSTGRESQL = 160_000
"""GRANT ... WITH SET and pg_has_role(..., 'SET') came with 16."""
LOCK_TIMEOUT_S = 4
"""Of each statement: a migration that waits for a lock blocks all later statements."""
MIGRATION_LOCK_TIMEOUT_S = 120
"""Maximum wait for another process that is migrating."""

_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of storage/migrations."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> bytes:
        """The hash of the file's bytes."""
        return sha256(self.sql.encode()).digest()

    @property
    def in_transaction(self) -> bool:
        """Whether it runs in its own transaction."""
        return not self.sql.startswith(NO_TRANSACTION)


@dataclass(frozen=True, slots=True)
class Applied:
    """One migration that the database has."""

    number: int
    name: str
    sha256: bytes
    applied_at: datetime


@dataclass(frozen=True, slots=True)
class Status:
    """The schema version of a database."""

    applied: tuple[Applied, ...]
    pending: tuple[Migration, ...]

    @property
    def is_current(self) -> bool:
        """Whether no migration is pending."""
        return not self.pending


@dataclass(frozen=True, slots=True)
class Report:
    """What `up` did, or would do with dry_run."""

    migrations: tuple[Migration, ...]
    findings: tuple[Finding, ...]
    """Safeguards that are missing because the login may not set them up."""


@cache
def bundled() -> tuple[Migration, ...]:
    """The migrations of this opslog, in order."""
    found = []
    for file in files("storage").joinpath("migrations").iterdir():
        number, _, _ = file.name.partition("_")
        if file.name.endswith(".sql") and number.isdigit():
            name = file.name.removesuffix(".sql")
            found.append(Migration(int(number), name, file.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda migration: migration.number))


async def status(conn: Connection, known: tuple[Migration, ...] | None = None) -> Status:
    """The applied and the pending migrations. Raises SchemaNewer, SchemaEdited."""
    known = bundled() if known is None else known
    applied: tuple[Applied, ...] = ()
    if await conn.fetchval("SELECT to_regclass('public.schema_migrations') IS NOT NULL"):
        rows = await conn.fetch(
            "SELECT number, name, sha256, applied_at FROM public.schema_migrations ORDER BY number"
        )
        applied = tuple(Applied(**row) for row in rows)
    _compare(applied, known)
    have = {migration.number for migration in applied}
    return Status(applied, tuple(m for m in known if m.number not in have))


async def require_current(conn: Connection) -> None:
    """Check for processes that do not migrate. Raises SchemaBehind, SchemaNewer, SchemaEdited."""
    pending = (await status(conn)).pending
    if pending:
        names = ", ".join(migration.name for migration in pending)
        raise SchemaBehind(f"the database lacks {names}: run `opslog migrate up`")


async def up(
    conn: Connection,
    *,
    dry_run: bool = False,
    known: tuple[Migration, ...] | None = None,
) -> Report:
    """Apply pending migrations, as the login of a connection that is not in a transaction.

    Several processes may call it at once: one migrates, the others wait. With `dry_run` nothing
    is changed or checked for findings. Raises a SetupError that names the fix; files before the
    failing one stay applied, so `up` can continue there.
    """
    await _require_supported(conn)
    if dry_run:
        return Report((await status(conn, known)).pending, ())
    async with _migration_lock(conn):
        before = await status(conn, known)
        findings = await prepare_roles(conn)
        findings += await _take_owner(conn)
        try:
            await _make_record_table(conn)
            for migration in before.pending:
                await _apply(conn, migration)
            if await conn.fetchval("SELECT to_regclass('public.system_logs') IS NOT NULL"):
                await conn.execute(_grants())
        finally:
            if not conn.is_closed():
                await leave_role(conn)
    return Report(before.pending, tuple(findings))


_RECORD_TABLE = """
CREATE TABLE public.schema_migrations (
    number      integer PRIMARY KEY,
    name        text NOT NULL,
    sha256      bytea NOT NULL,                      -- of the file as it was applied
    applied_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    applied_by  name NOT NULL DEFAULT session_user,
    took_ms     integer NOT NULL
);
-- Every login must see the schema version, even when a migration was interrupted.
GRANT SELECT ON public.schema_migrations TO PUBLIC;
"""
_OWNER_MAY_CREATE = """
SELECT coalesce(has_schema_privilege(to_regrole($1)::oid, 'public', 'CREATE'), false)
"""


def _grants() -> str:
    return files("storage").joinpath("migrations", "grants.sql").read_text(encoding="utf-8")


def _compare(applied: tuple[Applied, ...], known: tuple[Migration, ...]) -> None:
    by_number = {migration.number: migration for migration in known}
    newest = max(by_number, default=0)
    for row in applied:
        mine = by_number.get(row.number)
        if mine is None and row.number > newest:
            raise SchemaNewer(
                f"the database has migration {row.name}, this opslog only has up to {newest}: "
                "install the opslog that migrated it, or restore an earlier backup"
            )
        if mine is None or mine.sha256 != row.sha256:
            raise SchemaEdited(
                f"migration {row.name}, applied {row.applied_at:%Y-%m-%d %H:%M}, differs from the "
                "file that this opslog ships: restore the original file; "
                "to change the schema, add a new migration with the next number"
            )


async def _require_supported(conn: Connection) -> None:
    if conn.is_in_transaction():
        raise MigrationFailed("migrations need a connection that is not in a transaction")
    version, encoding, recovering = await conn.fetchrow(
        "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),"
        " pg_is_in_recovery()"
    ) or (0, "", False)
    if version < OLDEST_POSTGRESQL:
        found = await conn.fetchval("SHOW server_version")
        raise DatabaseUnsupported(f"PostgreSQL {found} is too old: opslog needs 16 or newer")
    if encoding != "UTF8":
        raise DatabaseUnsupported(
            f"the database's encoding is {encoding}, opslog needs UTF8: "
            "CREATE DATABASE opslog ENCODING 'UTF8' TEMPLATE template0"
        )
    if recovering:
        raise DatabaseUnsupported("this PostgreSQL is a standby: set database_url to the primary")


@asynccontextmanager
async def _migration_lock(conn: Connection) -> AsyncIterator[None]:
    """Hold the migration lock, with the timeouts for migrations set."""
    await conn.execute(
        "SET search_path = public, pg_temp; SET statement_timeout = 0;"
        f" SET lock_timeout = '{MIGRATION_LOCK_TIMEOUT_S}s'"
    )
    try:
        await conn.execute("SELECT pg_advisory_lock($1, 0)", MIGRATION_SPACE)
    except asyncpg.LockNotAvailableError as error:
        raise MigrationFailed(
            f"another process has been migrating this database for {MIGRATION_LOCK_TIMEOUT_S} s: "
            "wait for it, or find it in pg_stat_activity"
        ) from error
    try:
        await conn.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'")
        yield
    finally:
        if not conn.is_closed():
            await conn.execute("SELECT pg_advisory_unlock($1, 0)", MIGRATION_SPACE)
            await conn.execute("RESET ALL")


async def _take_owner(conn: Connection) -> list[Finding]:
    """Take the role that owns the tables; without tables, the owner role if it may create them."""
    owner = await conn.fetchval(
        "SELECT pg_get_userbyid(relowner) FROM pg_class"
        " WHERE oid = to_regclass('public.schema_migrations')"
    )
    if owner is None:
        if await conn.fetchval(_OWNER_MAY_CREATE, DatabaseRole.OWNER.value):
            await take_role(conn, DatabaseRole.OWNER)
        return []
    login = await conn.fetchval("SELECT quote_ident(session_user)")
    name = await conn.fetchval("SELECT quote_ident($1)", owner)
    if owner == DatabaseRole.OWNER:
        if not await take_role(conn, DatabaseRole.OWNER):
            raise MigrationFailed(
                f"the tables belong to {owner}, a role that the login {login} may not take: as a "
                f"superuser: GRANT {owner}, {DatabaseRole.WRITER}, {DatabaseRole.READER} TO {login}"
            )
        return []
    if not await conn.fetchval("SELECT pg_has_role(session_user, $1::name, 'USAGE')", owner):
        raise MigrationFailed(
            f"the tables belong to {owner}, but database_url names {login}: use {owner} there, "
            f"or as a superuser: GRANT {name} TO {login}"
        )
    return [
        Finding(
            what=f"the tables belong to {owner}, not to {DatabaseRole.OWNER}",
            reason="they were created by a login that could not take the owner role",
            fix=f"as a superuser: REASSIGN OWNED BY {name} TO {DatabaseRole.OWNER}"
            " (this also reassigns everything else that login owns, including databases)",
        )
    ]


async def _make_record_table(conn: Connection) -> None:
    if await conn.fetchval("SELECT to_regclass('public.schema_migrations') IS NOT NULL"):
        return
    try:
        await conn.execute(_RECORD_TABLE)
    except asyncpg.InsufficientPrivilegeError as error:
        login = await conn.fetchval("SELECT quote_ident(session_user)")
        database = await conn.fetchval("SELECT quote_ident(current_database())")
        raise MigrationFailed(
            f"the login {login} may not create tables in schema public of {database}: make it the "
            f"owner of the database (ALTER DATABASE {database} OWNER TO {login})"
        ) from error


async def _apply(conn: Connection, migration: Migration) -> None:
    started = time.perf_counter()
    try:
        if migration.in_transaction:
            async with conn.transaction():
                await conn.execute(migration.sql)
                await _record(conn, migration, started)
        else:
            for statement in migration.sql.split(NEXT):
                await conn.execute(statement)
            await _record(conn, migration, started)
    except asyncpg.LockNotAvailableError as error:
        raise MigrationFailed(
            f"migration {migration.name} timed out after {LOCK_TIMEOUT_S} s waiting for a lock: "
            "end long transactions on opslog's tables and run `opslog migrate up` again"
        ) from error
    except _LOST as error:
        raise MigrationFailed(
            f"the connection was lost during migration {migration.name}: "
            "check that PostgreSQL is running, then run `opslog migrate up` again"
        ) from error
    except asyncpg.PostgresError as error:
        raise MigrationFailed(
            f"migration {migration.name} {_outcome(migration)} ({error.sqlstate}: {error}): "
            "fix the cause and run `opslog migrate up` again"
        ) from error


def _outcome(migration: Migration) -> str:
    if migration.in_transaction:
        return "failed and was rolled back"
    return "failed and is partly applied"


async def _record(conn: Connection, migration: Migration, started: float) -> None:
    await conn.execute(
        "INSERT INTO public.schema_migrations (number, name, sha256, took_ms)"
        " VALUES ($1, $2, $3, $4)",
        migration.number,
        migration.name,
        migration.sha256,
        round((time.perf_counter() - started) * 1000),
    )
