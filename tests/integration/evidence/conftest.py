"""Fixtures of the evidence: a storing half with its ledger, on a database of the test's own."""

import pytest

from tests.support.evidence import house


@pytest.fixture
async def store(tmp_path, database, writer_pool):
    """Spool, writer and sequencer at work."""
    async with house(tmp_path, database, writer_pool) as made:
        yield made
