"""The query server with an empty database; tests with records run over leaves and over packs."""

import pytest

from config.settings import Settings, StorageSettings
from retention.segments.merge import merge_all
from storage.packs.store import store_at
from tests.support import querying
from tests.support.querying import Packing, Storehouse, query_server

_WITH_RECORDS = {"store", "database", "migrated_template"}


def pytest_generate_tests(metafunc):
    """`tier` is a parameter of tests with a database, unless they are marked `leaves_only`."""
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    if "leaves_only" not in marks and _WITH_RECORDS & set(metafunc.fixturenames):
        metafunc.parametrize("tier", ["leaves", "packs"], indirect=True)


@pytest.fixture(autouse=True)
def tier(request, tmp_path, monkeypatch):
    """Where records are when they are queried: "packs" packs all of them before each request."""
    name = getattr(request, "param", "leaves")
    if name == "packs":
        monkeypatch.setattr(querying, "packing", Packing(tmp_path / "packs"))
    return name


@pytest.fixture
async def store(tmp_path, writer_pool):
    """A store for records."""
    async with Storehouse.open(tmp_path / "spool", writer_pool) as storehouse:
        yield storehouse


@pytest.fixture
def packing(tmp_path):
    """Packs when a test calls `pack`."""
    return Packing(tmp_path / "packs")


@pytest.fixture
def pack(owner_pool, packing):
    """Pack everything now."""

    async def run():
        async with owner_pool.acquire() as owner:
            assert await packing.pack(owner)

    return run


@pytest.fixture
def retention(owner_pool, packing):
    """Settings with which jobs of retention work on these packs."""

    async def settings():
        installed = await owner_pool.fetchval("SELECT installation_id FROM installation")
        packing.store._write_marker(str(installed))
        store_at.cache_clear()
        storage = StorageSettings(packs_dir=packing.store.directory, segment_rows=1000)
        return Settings(storage=storage)

    return settings


@pytest.fixture
def merge(database, retention):
    """Merge all packs of a class into one."""

    async def run():
        report = await merge_all(database.dsn, await retention(), trigger="test")
        assert (report.outcome, report.note) == ("done", "")
        assert report.segments

    return run


@pytest.fixture
async def server(request, database, reader_pool):
    """A query server; by default, requests use a token with all permissions.

    It reads the packs of `packing`, if the test has them.
    """
    has_packs = "packing" in request.fixturenames
    packs = request.getfixturevalue("packing").store if has_packs else None
    async with query_server(database.dsn, reader_pool, packs=packs) as running:
        yield running
