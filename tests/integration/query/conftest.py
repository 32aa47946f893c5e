"""The query server with an empty database."""

import pytest

from tests.support.querying import Storehouse, query_server


@pytest.fixture
async def store(tmp_path, writer_pool):
    """A store for records."""
    async with Storehouse.open(tmp_path / "spool", writer_pool) as storehouse:
        yield storehouse


@pytest.fixture
async def server(database, reader_pool):
    """A query server; by default, requests use a token with all permissions."""
    async with query_server(database.dsn, reader_pool) as running:
        yield running
