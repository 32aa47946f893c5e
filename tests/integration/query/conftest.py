"""The query server in front of a fresh store."""

import pytest

from tests.support.querying import Storehouse, query_server


@pytest.fixture
async def store(tmp_path, writer_pool):
    """Where records are put."""
    async with Storehouse.open(tmp_path / "spool", writer_pool) as house:
        yield house


@pytest.fixture
async def server(database, reader_pool):
    """Asked with a token of every right unless told otherwise."""
    async with query_server(database.dsn, reader_pool) as running:
        yield running
