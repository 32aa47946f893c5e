"""Sealing yields to ingest, and to nothing else."""

import asyncio

import pytest

from retention.safety import load
from retention.safety.load import Load, Yielding
from storage.database.statements import statement


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
async def samples(owner_pool):
    async with owner_pool.acquire() as connection:
        yield Looks(connection)


async def test_a_quiet_store_is_sampled_once_for_all_steps(samples, monkeypatch):
    """A thousand small segments have seven steps each, without any wait."""
    monkeypatch.setattr(load, "SAMPLE_S", 0.05)
    shared = Load(samples)
    await Yielding(shared, 1_000_000)()
    monkeypatch.setattr(load, "SAMPLE_S", 3600.0)
    after_the_first = samples.count

    for _ in range(100):
        pause = Yielding(shared, 1_000_000)
        for _ in range(7):
            await pause()

    assert after_the_first == 2
    assert samples.count == after_the_first


async def test_ingest_delays_the_next_step(samples, owner_pool):
    await owner_pool.execute("CREATE TABLE busy (n integer)")
    stop = asyncio.Event()

    async def insert():
        while not stop.is_set():
            await owner_pool.execute("INSERT INTO busy SELECT generate_series(1, 500)")
            await asyncio.sleep(0)

    inserting = asyncio.create_task(insert())
    rate = Load(samples)
    while await rate.rate() <= 1000:
        await asyncio.sleep(0.1)
    pausing = asyncio.create_task(Yielding(rate, 1000)())
    await asyncio.sleep(2.5)

    assert not pausing.done()

    stop.set()
    await inserting
    await asyncio.wait_for(pausing, 30)


async def test_continuous_load_delays_nothing_for_ever(samples, monkeypatch):
    monkeypatch.setattr(load, "SAMPLE_S", 0.01)
    monkeypatch.setattr(load, "LONGEST_WAIT_S", 0.05)

    await asyncio.wait_for(Yielding(Load(samples), -1)(), 30)

    assert samples.count > 3
