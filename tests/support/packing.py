"""Packing in tests, and what is stored in leaves and packs together."""

from pathlib import Path
from typing import Any

import asyncpg

from config.settings import Settings
from retention.packing.nonces import nonces_of
from retention.packing.run import PackRun, pack_all
from storage.packs.store import PackStore, store_at
from storage.packs.verify import check_full

PACKS = Path("packs")
"""Of Settings() in a test that runs in its own folder."""


async def pack(database, settings: Settings | None = None, **more) -> PackRun:
    """Pack all closed segments, without yielding to anybody."""
    return await pack_all(database.dsn, settings or Settings(), yields=False, **more)


def packs() -> PackStore:
    """The store of Settings()."""
    store = store_at(Settings().packs_dir)
    assert store is not None
    return store


async def stored(pool, *columns: str, store: PackStore | None = None) -> list[tuple[Any, ...]]:
    """These columns of all records, in order of batch and position; packed ones from their packs."""
    names = ("batch_id", "position", *columns)
    found = [
        tuple(row)
        for row in await pool.fetch(
            f"SELECT {', '.join(f'l.{name}' for name in names)} FROM system_logs AS l"
            " JOIN segments AS s USING (segment) WHERE s.state NOT IN ('packed', 'retiring')"
        )
    ]
    for row in await pool.fetch(
        "SELECT segment, class, data_hash FROM segments WHERE state = 'packed'"
    ):
        pack_ = (store or packs()).open(row["class"], row["segment"], row["data_hash"])
        for number in range(len(pack_.blocks)):
            values = pack_.columns(number, names)
            found += list(zip(*(values[name] for name in names), strict=True))
    return [values[2:] for values in sorted(found, key=lambda values: values[:2])]


async def count(pool, store: PackStore | None = None) -> int:
    """How many records are stored."""
    return len(await stored(pool, store=store))


async def digests(pool, segment: int, store: PackStore | None = None) -> dict[int, bytes]:
    """Batch id to digest, of the rows of a pack as they are."""
    row = await pool.fetchrow("SELECT class, data_hash FROM segments WHERE segment = $1", segment)
    pack_ = (store or packs()).read(row["class"], segment, row["data_hash"])
    if isinstance(pool, asyncpg.Pool):
        async with pool.acquire() as conn:
            nonces = await nonces_of(conn, [pack_])
    else:
        nonces = await nonces_of(pool, [pack_])
    found = check_full(pack_, nonces.leaf)
    assert found.is_intact
    return {batch: digest for batch, _, digest in found.parts}
