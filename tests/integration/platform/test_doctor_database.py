"""`opslog doctor` on a database at risk."""

import asyncpg
import pytest

from opslog.doctor.database import _of_server
from storage.database.statements import statement


@pytest.fixture
async def facts(database):
    """Of a healthy database on a test server, which is not safe from power failures."""
    connection = await asyncpg.connect(database.dsn)
    try:
        return dict(await connection.fetchrow(statement("doctor_facts")))
    finally:
        await connection.close()


def problems(facts):
    return [finding.what for finding in _of_server(facts) if finding.is_problem]


async def test_a_server_without_fsync_is_a_problem(facts):
    assert problems(facts) == ["disabled in PostgreSQL: fsync, full_page_writes"]
    assert problems(facts | {"unsafe": None}) == []


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        ({"age": 1_500_000_000}, "the oldest row is 1,500,000,000 transactions old"),
        ({"letters": True}, "the system's collation version differs"),
    ],
)
async def test_risks_to_the_database_are_problems(facts, fact, message):
    (found,) = problems(facts | {"unsafe": None} | fact)

    assert found.startswith(message)
