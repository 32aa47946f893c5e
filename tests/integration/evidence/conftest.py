"""Fixtures for evidence: spool, writer and ledger, on the test's own database."""

import pytest

from tests.support.evidence import open_store


@pytest.fixture
async def store(tmp_path, database, writer_pool):
    """Spool, writer and sequencer at work."""
    async with open_store(tmp_path, database, writer_pool) as made:
        yield made
