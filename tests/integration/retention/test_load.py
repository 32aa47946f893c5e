"""Packing yields to ingest, for a limited time, and to nothing else."""

import asyncio

import pytest

from config.settings import Settings, StorageSettings
from retention.packing import run as packing
from retention.safety import load
from retention.safety.load import Load
from storage.database.statements import statement
from tests.integration.retention.test_expiry import ago, closed, states
from tests.support.packing import pack


class Looks:
    """A connection that counts how often the rows are counted."""

    def __init__(self, connection):
        self.connection, self.count = connection, 0

    async def execute(self, text):
        return await self.connection.execute(text)

    async def fetchval(self, text):
        self.count += text == statement("inserted_rows")
        return await self.connection.fetchval(text)


@pytest.fixture
async def looks(owner_pool):
    async with owner_pool.acquire() as connection:
        yield Looks(connection)


async def test_a_quiet_store_is_looked_at_once_for_many_segments(looks, monkeypatch):
    monkeypatch.setattr(load, "SAMPLE_S", 0.05)
    shared = Load(looks)
    await shared.rate()
    monkeypatch.setattr(load, "SAMPLE_S", 3600.0)
    after_the_first = looks.count

    for _ in range(700):
        await shared.rate()

    assert after_the_first == 2
    assert looks.count == after_the_first


def lag(seconds: float) -> Settings:
    """Settings that let packing wait for that long."""
    return Settings(storage=StorageSettings(pack_max_lag_s=seconds))


@pytest.fixture
def busy(monkeypatch):
    """Ingest that never ends."""

    async def rate(_self) -> float:
        return 1e6

    monkeypatch.setattr(Load, "rate", rate)
    monkeypatch.setattr(packing, "SAMPLE_S", 0.05)


async def test_records_that_come_postpone_packing(database, owner_pool, writer_pool, busy):
    segment = await closed(writer_pool, at=ago(days=1))

    done = await packing.pack_all(database.dsn, lag(3600), longest_s=0.3)

    assert done.segments == 0
    assert (await states(owner_pool))[segment] == "closed"


async def test_beyond_the_longest_lag_it_runs_all_the_same(database, owner_pool, writer_pool, busy):
    segment = await closed(writer_pool, at=ago(days=1))
    began = asyncio.get_running_loop().time()

    done = await packing.pack_all(database.dsn, lag(1.0))

    assert done.segments == 1
    assert (await states(owner_pool))[segment] == "packed"
    assert asyncio.get_running_loop().time() - began > 0.3


async def test_when_they_end_it_begins(database, writer_pool, monkeypatch):
    rates = iter([1e6, 1e6, 0.0])

    async def rate(_self) -> float:
        return next(rates)

    monkeypatch.setattr(Load, "rate", rate)
    monkeypatch.setattr(packing, "SAMPLE_S", 0.05)
    await closed(writer_pool, at=ago(days=1))

    assert (await packing.pack_all(database.dsn, lag(3600))).segments == 1


async def test_a_closed_segment_stays_as_long_as_the_settings_say(
    database, owner_pool, writer_pool
):
    await closed(writer_pool, at=ago(days=1))
    later = Settings(storage=StorageSettings(pack_after=3600))

    assert (await pack(database, later)).segments == 0
    await owner_pool.execute("UPDATE segments SET closed_at = closed_at - interval '2 hours'")
    assert (await pack(database, later)).segments == 1
