"""The columns of a record are defined in four places; storage/record/columns.py is the reference."""

import re
from importlib.resources import files

import asyncpg
import pytest

from storage.record.columns import COLUMNS, Column
from storage.record.record import RECORD_FIELDS
from tests.support.databases import Database

SQL_TYPES = {"timestamptz": "timestamp with time zone", "varchar": "character varying"}


def as_format_type(written: str) -> str:
    """Convert a type to the notation of PostgreSQL's format_type.

    >>> as_format_type("varchar(50)")
    'character varying(50)'
    """
    name, bracket, rest = written.partition("(")
    return SQL_TYPES.get(name, name) + bracket + rest


def columns_in(sql: str) -> list[tuple[str, str, bool]]:
    """Return name, type and nullability of each column of system_logs in a file, in order."""
    body = re.search(r"CREATE TABLE system_logs \((.*?)\) PARTITION BY", sql, re.DOTALL)
    assert body is not None
    lines = [line.strip().rstrip(",").split() for line in body[1].strip().splitlines()]
    return [
        (name, as_format_type(written), "NOT NULL" not in " ".join(rest))
        for name, written, *rest in lines
    ]


def expected(columns: tuple[Column, ...]) -> list[tuple[str, str, bool]]:
    """Return storage/record/columns.py with the column that each leaf fills automatically."""
    listed = [(column.name, column.type, column.nullable) for column in columns]
    place = [name for name, _, _ in listed].index("position")
    return [*listed[:place], ("segment", "integer", False), *listed[place:]]


def test_the_schema_has_the_columns() -> None:
    assert columns_in(files("storage").joinpath("schema.sql").read_text("utf-8")) == expected(
        COLUMNS
    )


def test_the_migrations_have_the_columns() -> None:
    first, later = (
        files("storage").joinpath("migrations", name).read_text("utf-8")
        for name in ("0001_records.sql", "0007_batch_secrets.sql")
    )
    nullable = re.findall(r"ALTER TABLE system_logs ALTER COLUMN (\w+) DROP NOT NULL", later)

    found = [(name, kind, null or name in nullable) for name, kind, null in columns_in(first)]

    assert found == expected(COLUMNS)


@pytest.mark.parametrize("table", ["system_logs", "leaf"])
async def test_the_live_database_has_the_columns(database: Database, table: str) -> None:
    conn = await asyncpg.connect(database.dsn)
    if table == "leaf":
        number = await conn.fetchval("SELECT opslog_open_segment('info')")
        table = f"system_logs_s{number}"
    rows = await conn.fetch(
        "SELECT attname, format_type(atttypid, atttypmod) AS type, attnotnull"
        " FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 ORDER BY attnum",
        table,
    )
    await conn.close()

    found = [(row["attname"], row["type"], not row["attnotnull"]) for row in rows]
    assert found == expected(COLUMNS)


def test_wide_columns_come_first() -> None:
    widths = {"timestamp with time zone": 8, "bigint": 8, "integer": 4, "log_level": 4}
    widths |= {"smallint": 2, '"char"': 1}

    fixed = [widths.get(column.type, 0) for column in COLUMNS]

    assert fixed == sorted(fixed, reverse=True)


def test_every_field_of_a_record_has_a_column() -> None:
    derived = {"created_unix_ns": "created_at", "odd_time": "created_at"}

    names = {derived.get(name, name) for name in RECORD_FIELDS}

    assert names <= {column.name for column in COLUMNS}
