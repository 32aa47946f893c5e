"""The query server with an empty database; tests with records run over leaves and over packs."""

import pytest

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
async def server(database, reader_pool):
    """A query server; by default, requests use a token with all permissions."""
    async with query_server(database.dsn, reader_pool) as running:
        yield running
