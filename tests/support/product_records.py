"""What a product has stored, in leaves and in packs alike.

The rows of a packed segment are no longer in system_logs, so a test that counts records reads both
in one snapshot: a record in a leaf and in a pack would be stored twice.
"""

import json
from typing import Any

import asyncpg

from storage.packs.errors import PackDamaged
from storage.packs.store import PackStore
from tests.support.databases import run
from tests.support.product import Product

_LEAVES = """
SELECT {columns} FROM system_logs AS l JOIN segments AS s USING (segment)
 WHERE s.state NOT IN ('packed', 'retiring') AND l.source_module = $1
"""
_PACKS = "SELECT segment, class, data_hash FROM segments WHERE state = 'packed'"
_TRIES = 20
_LOST = (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError)
_known: dict[tuple[bytes, str, tuple[str, ...]], list[tuple[Any, ...]]] = {}
"""Rows of packs that were read: they never change."""


def records(product: Product, module: str, *columns: str) -> list[tuple[Any, ...]]:
    """These columns of all stored records of a module; metadata as JSON text."""
    for attempt in range(_TRIES):
        try:
            return run(_records(product, module, columns))
        except (PackDamaged, asyncpg.UndefinedTableError):  # merged or dropped since the snapshot
            if attempt == _TRIES - 1:
                raise
        except _LOST:
            product.wait(lambda: product.sql("SELECT 1"), 30)
    raise AssertionError("the database does not come back")


def count(product: Product, module: str) -> int:
    """How many records of a module are stored."""
    return run(_count(product, module))


def numbered(product: Product, module: str) -> list[tuple[int, int]]:
    """(client, number) of all stored records of senders.Senders with this run."""
    return [_number(text) for (text,) in records(product, module, "metadata")]


def _number(metadata: str) -> tuple[int, int]:
    attributes = json.loads(metadata)["attributes"]
    return attributes["load.client"], attributes["load.n"]


async def _records(
    product: Product, module: str, columns: tuple[str, ...]
) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(product.installation.database_dsn())
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            names = ", ".join(f"l.{name}" for name in columns)
            rows = await connection.fetch(_LEAVES.format(columns=names), module)
            packed = await connection.fetch(_PACKS)
    finally:
        await connection.close()
    found = [tuple(row) for row in rows]
    directory = product.installation.packs_dir
    if packed:
        assert directory is not None
        store = PackStore(directory)
        for row in packed:
            found += _of_pack(store, row, module, columns)
    return found


async def _count(product: Product, module: str) -> int:
    connection = await asyncpg.connect(product.installation.database_dsn())
    try:
        # The counts are exact, and move with the rows (storage/sql/rewriting.sql).
        return int(
            await connection.fetchval(
                "SELECT coalesce(sum(c.rows), 0) FROM log_counts AS c JOIN segments USING (segment)"
                " WHERE c.source_module = $1 AND state NOT IN ('retiring', 'dropped')",
                module,
            )
        )
    finally:
        await connection.close()


def _of_pack(
    store: PackStore, row: asyncpg.Record, module: str, columns: tuple[str, ...]
) -> list[tuple[Any, ...]]:
    key = (row["data_hash"], module, columns)
    if key not in _known:
        pack = store.read(row["class"], row["segment"], row["data_hash"])
        found: list[tuple[Any, ...]] = []
        for block in range(len(pack.blocks)):
            values = pack.columns(block, ["source_module"])["source_module"]
            numbers = [at for at, value in enumerate(values) if value == module]
            if numbers:
                read = pack.columns(block, columns)
                found += [tuple(read[name][at] for name in columns) for at in numbers]
        _known[key] = found
    return _known[key]
