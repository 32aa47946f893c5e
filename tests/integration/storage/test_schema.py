"""The schema is defined twice, by the migrations and by schema.sql; they must agree."""

from importlib.resources import files

import asyncpg
import pytest

from storage.database import migrate
from tests.support.databases import Database

# Names, not object ids: the two databases were built apart.
CATALOGUES = {
    "relations": """
        SELECT relname, relkind::text, relpersistence::text, reloptions,
               pg_get_partkeydef(oid) AS partition_key
          FROM pg_class WHERE relnamespace = 'public'::regnamespace""",
    "columns": """
        SELECT c.relname, rank() OVER (PARTITION BY a.attrelid ORDER BY a.attnum), a.attname, format_type(a.atttypid, a.atttypmod) AS type,
               a.attnotnull, a.attidentity::text, pg_get_expr(d.adbin, d.adrelid) AS value
          FROM pg_attribute AS a
          JOIN pg_class AS c ON c.oid = a.attrelid
          LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped""",
    "constraints": """
        SELECT conname, conrelid::regclass::text AS relation, pg_get_constraintdef(oid) AS definition
          FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
    "indexes": """
        SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'""",
    "triggers": """
        SELECT tgrelid::regclass::text AS relation, tgname, tgenabled::text,
               pg_get_triggerdef(oid) AS definition
          FROM pg_trigger WHERE NOT tgisinternal""",
    "functions": """
        SELECT oid::regprocedure::text AS name, pg_get_functiondef(oid) AS definition,
               proacl::text
          FROM pg_proc WHERE pronamespace = 'public'::regnamespace""",
    "types": """
        SELECT t.typname, e.enumlabel, e.enumsortorder
          FROM pg_type AS t JOIN pg_enum AS e ON e.enumtypid = t.oid""",
    "sequences": """
        SELECT sequencename, data_type::text, start_value, increment_by, max_value
          FROM pg_sequences WHERE schemaname = 'public'""",
}
ONLY_MIGRATED = "schema_migrations"


async def description(dsn: str, query: str) -> set[str]:
    """One catalogue as text."""
    conn = await asyncpg.connect(dsn)
    try:
        return {str(row) for row in await conn.fetch(query) if ONLY_MIGRATED not in str(row)}
    finally:
        await conn.close()


@pytest.fixture
async def from_schema(empty_database: Database) -> str:
    """A database that was built from schema.sql, by the owner as migrations are."""
    conn = await asyncpg.connect(empty_database.dsn)
    await migrate.up(conn, known=())
    await conn.execute("SET ROLE opslog_owner")
    await conn.execute(files("storage").joinpath("schema.sql").read_text(encoding="utf-8"))
    await conn.close()
    again = await asyncpg.connect(empty_database.dsn)
    await migrate.up(again, known=())  # grants
    await again.close()
    return empty_database.dsn


@pytest.mark.parametrize("catalogue", CATALOGUES)
async def test_migrations_and_schema_file_agree(
    database: Database, from_schema: str, catalogue: str
) -> None:
    migrated = await description(database.dsn, CATALOGUES[catalogue])
    written = await description(from_schema, CATALOGUES[catalogue])

    assert migrated == written
    assert migrated
