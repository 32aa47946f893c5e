"""Shared by all tests of retention."""

import asyncpg
import pytest

from storage.packs.store import PackStore, store_at
from tests.support.databases import statement


@pytest.fixture(autouse=True)
async def may_install_extensions(database):
    """Granted by migrations; copied databases have lost it."""
    await statement(database.dsn, f"GRANT CREATE ON DATABASE {database.name} TO opslog_owner")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Settings() has its packs in the working directory."""
    monkeypatch.chdir(tmp_path)
    store_at.cache_clear()


@pytest.fixture
async def store(database, tmp_path) -> PackStore:
    """An empty place for packs of `database`."""
    found = PackStore(tmp_path / "packs")
    found.prepare(await installation_of(database.dsn))
    return found


async def installation_of(dsn: str) -> str:
    """The id that the marker of its packs carries."""
    conn = await asyncpg.connect(dsn)
    try:
        return str(await conn.fetchval("SELECT installation_id FROM installation"))
    finally:
        await conn.close()
