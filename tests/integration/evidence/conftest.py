"""Fixtures for evidence: spool, writer and ledger, on the test's own database."""

import pytest

from storage.packs.store import store_at
from tests.support.evidence import open_store


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Settings() has its packs in the working directory."""
    monkeypatch.chdir(tmp_path)
    store_at.cache_clear()


@pytest.fixture
async def store(tmp_path, database, writer_pool):
    """Spool, writer and sequencer at work."""
    async with open_store(tmp_path, database, writer_pool) as made:
        yield made
