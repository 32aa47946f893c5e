"""Fixtures for everybody: a real PostgreSQL and a real Valkey per test process, nothing shared.

postgres       the server (fsync off); .dsn
durable_postgres   one of the test's own, with fsync, to be killed and started again
database       fresh and migrated; .dsn, .owner_dsn
empty_database     fresh, not migrated
owner_pool, writer_pool, reader_pool    pools of `database`
valkey         the server, emptied for each test; .url
"""

import signal
from collections.abc import AsyncIterator, Iterator

import hypothesis
import pytest

import opslog  # noqa: F401 - first: it decides whether the codec is the compiled one
from storage.database.pool import DatabaseRole, open_pool
from tests.support.databases import Database, fresh_database, make_template
from tests.support.servers import PostgresServer, ValkeyServer, postgres_server, valkey_server

# Whoever starts us in the background may have Ctrl-C ignored; the programs under test would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is slow, and slow is no defect.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """PostgreSQL for tests that leave it running."""
    with postgres_server(durable=False) as server:
        yield server


@pytest.fixture
def durable_postgres() -> Iterator[PostgresServer]:
    """PostgreSQL as it is shipped, for tests that stop or kill it."""
    with postgres_server(durable=True) as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgresServer) -> str:
    """Name of the database that `database` copies."""
    return make_template(postgres.dsn)


@pytest.fixture
def database(postgres: PostgresServer, migrated_template: str) -> Iterator[Database]:
    """An empty database with the whole schema."""
    with fresh_database(postgres.dsn, migrated_template) as fresh:
        yield fresh


@pytest.fixture
def empty_database(postgres: PostgresServer) -> Iterator[Database]:
    """A database without anything."""
    with fresh_database(postgres.dsn) as fresh:
        yield fresh


@pytest.fixture
async def owner_pool(database: Database) -> AsyncIterator:
    """Up to four connections as opslog_owner."""
    async with await open_pool(database.dsn, DatabaseRole.OWNER, size=4) as pool:
        yield pool


@pytest.fixture
async def writer_pool(database: Database) -> AsyncIterator:
    """Up to four connections as opslog_writer."""
    async with await open_pool(database.dsn, DatabaseRole.WRITER, size=4) as pool:
        yield pool


@pytest.fixture
async def reader_pool(database: Database) -> AsyncIterator:
    """Up to four connections as opslog_reader."""
    async with await open_pool(database.dsn, DatabaseRole.READER, size=4) as pool:
        yield pool


@pytest.fixture(scope="session")
def valkey_process() -> Iterator[ValkeyServer]:
    """The Valkey of this test process."""
    with valkey_server() as server:
        yield server


@pytest.fixture
def valkey(valkey_process: ValkeyServer) -> ValkeyServer:
    """Valkey without any keys."""
    import redis

    with redis.Redis.from_url(valkey_process.url) as client:
        client.flushall()
    return valkey_process
