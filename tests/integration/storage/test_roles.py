"""Privileges in the database. Each test covers one thing that must, or must not, be possible."""

from pathlib import Path

import asyncpg
import pytest

from storage.database import migrate
from storage.database.pool import DatabaseRole, connect
from storage.errors import MigrationFailed
from storage.record.columns import COPY_COLUMNS
from tests.support.databases import Database, statement
from tests.support.stored_rows import store

CHANGES = (
    "UPDATE {table} SET message = 'changed'",
    "UPDATE {table} SET message = 'changed' WHERE false",
    "DELETE FROM {table}",
    "DELETE FROM {table} WHERE false",
    "TRUNCATE {table}",
    "MERGE INTO {table} AS t USING (SELECT 1) AS o ON true WHEN MATCHED THEN DELETE",
)
ROOT = Path(__file__).parents[3]
REFUSED = (asyncpg.InsufficientPrivilegeError,)


@pytest.fixture
async def leaf(writer_pool) -> str:
    """A leaf with three rows in it."""
    async with writer_pool.acquire() as conn:
        return f"system_logs_s{await store(conn, 'info', 3)}"


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("role", [*DatabaseRole, None])
async def test_nobody_changes_records_by_parent_or_leaf(
    database: Database, leaf: str, role: DatabaseRole | None, change: str
) -> None:
    dsn = database.dsn if role is None else database.as_role(role)
    conn = await asyncpg.connect(dsn)
    try:
        for table in ("system_logs", leaf):
            with pytest.raises(REFUSED):
                await conn.execute(change.format(table=table))
        assert await conn.fetchval("SELECT count(*) FROM system_logs") == 3
    finally:
        await conn.close()


async def test_the_error_gives_the_reason(database: Database, leaf: str) -> None:
    conn = await asyncpg.connect(database.dsn)
    with pytest.raises(REFUSED, match="UPDATE on system_logs is refused: stored records do not"):
        await conn.execute("UPDATE system_logs SET message = ''")
    await conn.close()


async def test_switching_ordinary_triggers_off_does_not_help(database: Database, leaf: str) -> None:
    conn = await asyncpg.connect(database.dsn)
    await conn.execute("SET session_replication_role = 'replica'")
    for table in ("system_logs", leaf):
        with pytest.raises(REFUSED, match="stored records do not change"):
            await conn.execute(f"DELETE FROM {table}")
    await conn.close()


WRITER_MUST_NOT = (
    "DELETE FROM ingest_batches",
    "UPDATE ingest_batches SET stored = 0",
    "DELETE FROM ingest_parts",
    "UPDATE ingest_parts SET rows = 0",
    "UPDATE log_streams SET resource = '{}'",
    "DELETE FROM log_counts",
    "UPDATE segments SET state = 'dropped'",
    "INSERT INTO segments (segment, class, state) VALUES (99, 'info', 'open')",
    "SELECT secret FROM batch_secrets",
    "UPDATE batch_secrets SET secret = ''",
    "DELETE FROM batch_secrets",
    "SELECT key FROM batch_keys",
    "INSERT INTO batch_keys (batch_id, class, key) VALUES (1, 'info', '')",
    "DELETE FROM dead_letters",
    "UPDATE dead_letters SET row_bytes = ''",
    "INSERT INTO ingest_keys (name, key_hash, hint, made_by) VALUES ('a', 'a', 'a', 'a')",
    "UPDATE ingest_keys SET revoked_at = NULL",
    "DELETE FROM schema_migrations",
    "CREATE TABLE mine (a int)",
    "DROP TABLE system_logs",
    "ALTER TABLE system_logs DISABLE TRIGGER ALL",
    "ALTER TABLE system_logs DETACH PARTITION system_logs_s1",
    "DROP TRIGGER refuse_change ON system_logs_s1",
    "SELECT opslog_make_leaf(99)",
    "SELECT nextval('segment_numbers')",
    "SET session_replication_role = 'replica'",
)


@pytest.mark.parametrize("sql", WRITER_MUST_NOT)
async def test_the_writer_only_adds(writer_pool, leaf: str, sql: str) -> None:
    with pytest.raises(REFUSED):
        await writer_pool.execute(sql)


@pytest.mark.parametrize(
    "sql",
    [
        *WRITER_MUST_NOT,
        "INSERT INTO system_logs SELECT * FROM system_logs",
        "INSERT INTO ingest_parts SELECT * FROM ingest_parts",
        "INSERT INTO batch_secrets (batch_id, secret) VALUES (1, '')",
        "SELECT opslog_hmac('', '')",
        "INSERT INTO spools (identity, host) VALUES (gen_random_uuid(), 'a')",
        "SELECT opslog_open_segment('info')",
        "SELECT opslog_roll_segment('info', 1)",
        "SELECT opslog_settle_segments()",
        "SELECT key_hash FROM ingest_keys",
        "UPDATE ingest_keys SET last_used_at = now()",
    ],
)
async def test_the_reader_only_reads(database: Database, leaf: str, sql: str) -> None:
    conn = await asyncpg.connect(database.as_role(DatabaseRole.READER))
    try:
        with pytest.raises(REFUSED):
            await conn.execute(sql)
    finally:
        await conn.close()


async def test_the_reader_sees_keys_without_their_hashes(reader_pool) -> None:
    await reader_pool.fetch("SELECT name, hint, revoked_at FROM ingest_keys")


async def test_every_table_and_function_has_its_grants(database: Database, leaf: str) -> None:
    conn = await asyncpg.connect(database.dsn)
    unread = await conn.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p') AND NOT has_any_column_privilege($1, oid, 'SELECT')",
        DatabaseRole.READER.value,
    )
    public = await conn.fetch(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " AND has_function_privilege('public', oid, 'EXECUTE')"
    )
    await conn.close()

    assert sorted(row["relname"] for row in unread) == ["batch_keys", "batch_secrets"]
    assert public == []


async def test_everything_belongs_to_the_owner_role(database: Database, leaf: str) -> None:
    conn = await asyncpg.connect(database.dsn)
    owners = await conn.fetch(
        "SELECT DISTINCT pg_get_userbyid(relowner) AS owner FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace"
        " UNION SELECT DISTINCT pg_get_userbyid(proowner) FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace"
    )
    await conn.close()

    assert [row["owner"] for row in owners] == [DatabaseRole.OWNER.value]


async def test_the_roles_cannot_log_in_and_have_no_privileged_attributes(
    database: Database,
) -> None:
    conn = await asyncpg.connect(database.dsn)
    powers = await conn.fetchval(
        "SELECT bool_or(rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication"
        " OR rolbypassrls) FROM pg_roles WHERE rolname LIKE 'opslog\\_%'"
    )
    await conn.close()

    assert powers is False


class Cluster:
    """A server without opslog's roles, and a login with given privileges on a database."""

    def __init__(self, postgres, powers: str, *, owns_database: bool = True) -> None:
        self.postgres = postgres
        self.powers = powers
        self.owner = "app" if owns_database else "opslog"

    async def __aenter__(self) -> str:
        """The login's DSN."""
        await statement(
            self.postgres.dsn,
            f"CREATE ROLE app LOGIN PASSWORD 'app' {self.powers}",
            f"CREATE DATABASE app OWNER {self.owner}",
        )
        return self.postgres.dsn.replace("opslog:test@/opslog", "app:app@/app")

    async def __aexit__(self, *_: object) -> None:
        roles = ", ".join(DatabaseRole)
        await statement(
            self.postgres.dsn,
            "DROP DATABASE app WITH (FORCE)",
            f"DROP ROLE IF EXISTS {roles}, app",
        )


@pytest.fixture(scope="module")
def bare_postgres():
    """A server whose roles these tests may create and drop."""
    from tests.support.servers import postgres_server

    with postgres_server(durable=False) as server:
        yield server


async def migrate_as(
    dsn: str, known: tuple[migrate.Migration, ...] | None = None
) -> migrate.Report:
    """`opslog migrate up` with this login."""
    conn = await asyncpg.connect(dsn)
    try:
        return await migrate.up(conn, known=known)
    finally:
        await conn.close()


async def roles_taken(dsn: str) -> list[str]:
    """The current user of a connection after taking each role."""
    taken = []
    for role in DatabaseRole:
        conn = await connect(dsn, role)
        taken.append(await conn.fetchval("SELECT current_user"))
        await conn.close()
    return taken


async def store_and_count(dsn: str) -> int:
    """Write as the writer, read as the reader."""
    writer = await connect(dsn, DatabaseRole.WRITER)
    reader = await connect(dsn, DatabaseRole.READER)
    try:
        await store(writer, "info", 2)
        return await reader.fetchval("SELECT count(*) FROM system_logs")
    finally:
        await writer.close()
        await reader.close()


async def test_a_login_that_may_create_roles_gets_all_three(bare_postgres) -> None:
    async with Cluster(bare_postgres, "CREATEROLE") as dsn:
        report = await migrate_as(dsn)

        assert report.findings == ()
        assert await roles_taken(dsn) == list(DatabaseRole)
        assert await store_and_count(dsn) == 2


async def test_a_login_without_that_privilege_uses_its_own_role_and_reports_it(
    bare_postgres,
) -> None:
    async with Cluster(bare_postgres, "NOCREATEROLE") as dsn:
        report = await migrate_as(dsn)

        assert [f.what for f in report.findings] == [
            f"the database role {role} is missing" for role in DatabaseRole
        ]
        assert report.findings[0].fix.startswith(
            "as a superuser: CREATE ROLE opslog_owner NOLOGIN; GRANT opslog_owner TO app"
        )
        assert await roles_taken(dsn) == ["app"] * 3
        assert await store_and_count(dsn) == 2
        conn = await asyncpg.connect(dsn)
        with pytest.raises(REFUSED, match="stored records do not change"):
            await conn.execute("DELETE FROM system_logs")
        await conn.close()


async def test_the_advice_of_the_findings_fixes_them(bare_postgres) -> None:
    async with Cluster(bare_postgres, "NOCREATEROLE") as dsn:
        found = (await migrate_as(dsn)).findings
        as_superuser = bare_postgres.dsn.replace("@/opslog", "@/app")
        while found:
            for finding in found:
                sql = (
                    finding.fix.partition(": ")[2]
                    .partition("; then")[0]
                    .partition(" (this also")[0]
                )
                await statement(as_superuser, sql)
            found = (await migrate_as(dsn)).findings

        assert await roles_taken(dsn) == list(DatabaseRole)
        assert await store_and_count(dsn) == 2


async def test_the_commands_of_the_reference_page_work(bare_postgres) -> None:
    page = (ROOT / "docs/reference/database.md").read_text("utf-8")
    sql = page.partition("```sql\n")[2].partition("```")[0]
    async with Cluster(bare_postgres, "NOCREATEROLE") as dsn:
        await migrate_as(dsn)

        await statement(bare_postgres.dsn.replace("@/opslog", "@/app"), sql)

        assert (await migrate_as(dsn)).findings == ()
        assert await roles_taken(dsn) == list(DatabaseRole)
        assert await store_and_count(dsn) == 2


async def test_roles_created_by_another_login_need_a_grant(bare_postgres) -> None:
    async with Cluster(bare_postgres, "NOCREATEROLE") as dsn:
        await statement(bare_postgres.dsn, *(f"CREATE ROLE {role}" for role in DatabaseRole))

        found = (await migrate_as(dsn)).findings

        assert found[0].what == "the login may not take the database role opslog_owner"
        assert await roles_taken(dsn) == ["app"] * 3


async def test_a_login_may_resume_a_migration_that_stopped(bare_postgres) -> None:
    broken = migrate.Migration(2, "0002_broken", "SELECT 1 / 0;")
    async with Cluster(bare_postgres, "CREATEROLE") as dsn:
        with pytest.raises(MigrationFailed, match="0002_broken"):
            await migrate_as(dsn, (migrate.bundled()[0], broken))

        await migrate_as(dsn)

        assert await store_and_count(dsn) == 2


async def test_tables_of_the_owner_role_need_a_login_that_may_take_it(bare_postgres) -> None:
    async with Cluster(bare_postgres, "NOCREATEROLE") as dsn:
        await migrate_as(bare_postgres.dsn.replace("@/opslog", "@/app"))

        with pytest.raises(MigrationFailed, match=r"GRANT opslog_owner, .* TO app"):
            await migrate_as(dsn)

        await statement(
            bare_postgres.dsn, "GRANT opslog_owner, opslog_writer, opslog_reader TO app"
        )
        assert (await migrate_as(dsn)).findings == ()
        assert await store_and_count(dsn) == 2


async def test_tables_of_another_login_are_not_touched(bare_postgres) -> None:
    async with Cluster(bare_postgres, "NOCREATEROLE") as dsn:
        await migrate_as(dsn)
        await statement(
            bare_postgres.dsn,
            "CREATE ROLE other LOGIN PASSWORD 'app'",
            "GRANT CREATE ON DATABASE app TO other",
        )

        with pytest.raises(MigrationFailed, match="belong to app, but database_url names other"):
            await migrate_as(dsn.replace("app:app@", "other:app@"))

        await statement(
            bare_postgres.dsn, "REVOKE ALL ON DATABASE app FROM other", "DROP ROLE other"
        )


async def test_a_login_that_may_not_create_tables_gets_advice(bare_postgres) -> None:
    async with Cluster(bare_postgres, "NOCREATEROLE", owns_database=False) as dsn:
        with pytest.raises(MigrationFailed, match="ALTER DATABASE app OWNER TO app"):
            await migrate_as(dsn)


async def test_a_row_for_another_segment_is_refused(writer_pool, leaf: str) -> None:
    columns = ", ".join(name for name in COPY_COLUMNS if name != "segment")

    with pytest.raises(asyncpg.CheckViolationError, match="violates partition constraint"):
        await writer_pool.execute(
            f"INSERT INTO {leaf} (segment, {columns}) SELECT 99, {columns} FROM {leaf}"
        )
