"""The balance: received + derived = stored + duplicate + dead + rejected, and all rows exist.

Checked in one snapshot: the counters of each batch, those of each minute, and the counted rows of
each segment against its parts and its counts. The contents of spools are reported separately.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import asyncpg

from storage.database.connection import Connection
from storage.database.statements import statement
from storage.ledger.accounting.minutes import COUNTERS
from storage.ledger.accounting.waiting import Waiting, waiting_in
from storage.ledger.packed_rows import PackedSegment, rows_of_parts
from storage.packs.errors import PackDamaged
from storage.packs.store import PackStore

_LONG_S = 4 * 3600.0
_TRIES = 3


@dataclass(slots=True)
class Balance:
    """The result of a check."""

    counters: dict[str, int]
    """Over all minutes: received, derived, stored, duplicate, dead, rejected."""
    rows: int
    """Counted in the existing segments."""
    segments: int
    differences: list[str] = field(default_factory=list)
    """Descriptions with numbers; empty when everything is balanced."""
    spools: list[Waiting] = field(default_factory=list)


class _Moved(Exception):
    """A pack was removed, merged or unpacked since the snapshot was taken."""


async def balance(
    connection: Connection, spools: Path | None = None, store: PackStore | None = None
) -> Balance:
    """Count and compare; `spools` is the folder with the spools of this machine."""
    for _ in range(_TRIES):
        # Retention may drop a segment between reading the catalogue and counting: the snapshot
        # preserves its rows, but not its table or files.
        with suppress(asyncpg.UndefinedTableError, _Moved):
            return await _balance(connection, spools, store)
    return await _balance(connection, spools, store)


async def _balance(connection: Connection, spools: Path | None, store: PackStore | None) -> Balance:
    lost: list[tuple[asyncpg.Record, PackDamaged]] = []
    waiting = await waiting_in(connection, spools) if spools else []
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        sums = await connection.fetchrow(statement("all_minutes"))
        assert sums is not None
        found = Balance({name: sums[name] for name in COUNTERS}, 0, 0, spools=waiting)
        for row in await connection.fetch(statement("unbalanced_minutes")):
            found.differences.append(
                f"minute {row['minute']:%Y-%m-%d %H:%M}Z, key {row['ingest_key_id']}, module "
                f"{row['source_module']!r}: {row['arrived']} arrived, {row['settled']} settled"
            )
        for row in await connection.fetch(statement("unbalanced_batches")):
            found.differences.append(
                f"batch {row['batch_id']}: {row['arrived']} arrived, {row['settled']} settled"
            )
        for row in await connection.fetch(statement("segment_totals")):
            if row["data_hash"] is None:
                await _count(connection, row, found)
                continue
            try:
                await _count_packed(row, found, store)
            except PackDamaged as error:
                lost.append((row, error))
    for row, damage in lost:
        if await connection.fetchval(statement("state_of_segment"), row["segment"]) != "packed":
            raise _Moved
        found.differences.append(f"segment {row['segment']}: its pack cannot be read: {damage}")
    return found


def is_damage(error: asyncpg.PostgresError) -> bool:
    """Whether PostgreSQL cannot read its own files (internal and system errors)."""
    return (error.sqlstate or "")[:2] in {"XX", "58"}


async def _count(connection: Connection, row: asyncpg.Record, found: Balance) -> None:
    segment = row["segment"]
    try:
        async with connection.transaction():  # a savepoint: the others are counted in any case
            rows = await connection.fetchval(
                f"SELECT count(*) FROM system_logs_s{segment:d}",  # noqa: S608 - our integer
                timeout=_LONG_S,
            )
    except asyncpg.PostgresError as error:
        if not is_damage(error):
            raise
        found.differences.append(f"segment {segment}: its rows cannot be counted: {error}")
        return
    _compare(row, rows, row["parts"], found)


async def _count_packed(row: asyncpg.Record, found: Balance, store: PackStore | None) -> None:
    """Raises PackDamaged."""
    of = PackedSegment(row["segment"], row["class"], row["data_hash"])
    pack = await asyncio.to_thread(of.open, store)
    parts = await asyncio.to_thread(rows_of_parts, pack)
    _compare(row, pack.rows_total, parts, found)


def _compare(row: asyncpg.Record, rows: int, parts: int | None, found: Balance) -> None:
    found.rows += rows
    found.segments += 1
    for name in ("parts", "counts", "hours", "settled"):
        recorded = parts if name == "parts" else row[name]
        if recorded is not None and recorded != rows:
            found.differences.append(
                f"segment {row['segment']}: {rows} rows, but {recorded} according to its"
                f" {_SOURCES[name]} ({rows - recorded:+d})"
            )


_SOURCES = {
    "parts": "batches (ingest_parts)",
    "counts": "counts per minute (log_counts)",
    "hours": "counts per hour (log_counts_hourly)",
    "settled": "entry in the catalogue (segments)",
}


async def minutes(
    connection: Connection, start: datetime, end: datetime, limit: int
) -> list[asyncpg.Record]:
    """Counters per minute, key, module and reason, newest first, in a time range."""
    return await connection.fetch(statement("minutes_between"), start, end, limit)


async def summed_minutes(
    connection: Connection, start: datetime, end: datetime, limit: int
) -> list[asyncpg.Record]:
    """The same per minute only."""
    return await connection.fetch(statement("summed_minutes_between"), start, end, limit)
