"""Compares packs with the catalogue and the ledger, and rebuilds lost indexes."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from config.errors import OpslogError
from retention.packing.nonces import leaf_on_demand, nonces_of
from retention.safety.locks import held
from storage.database.connection import Connection
from storage.database.locks import PACK_SPACE
from storage.database.statements import statement
from storage.ledger.entries import enter
from storage.packs.errors import PackDamaged
from storage.packs.spool import sync_folder
from storage.packs.store import PackStore
from storage.packs.verify import check_filter, check_full, check_quick, rebuild_index


class NotPacked(OpslogError):
    """There is no pack of this segment."""

    code = "not_packed"
    title = "The segment is not packed"


class SegmentInUse(OpslogError):
    """Another process works on the segment."""

    code = "segment_in_use"
    title = "The segment is in use"


@dataclass(frozen=True, slots=True)
class PackState:
    """One pack of the catalogue."""

    segment: int
    class_name: str
    rows: int
    data_bytes: int
    index_bytes: int
    data_hash: bytes
    index_hash: bytes
    packed_at: datetime
    is_hold: bool
    leaf_dropped: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong with a pack."""

    segment: int
    what: str


async def packs_of(connection: Connection, segments: Sequence[int] = ()) -> list[PackState]:
    """These packs, or all. Raises NotPacked."""
    rows = await connection.fetch(statement("packs"))
    found = [PackState(**row) for row in rows]
    missing = set(segments) - {pack.segment for pack in found}
    if missing:
        raise NotPacked(f"segment {min(missing)} is not packed")
    return [pack for pack in found if not segments or pack.segment in segments]


async def check_packs(
    connection: Connection, store: PackStore, segments: Sequence[int] = (), *, full: bool = False
) -> list[Problem]:
    """Compare the files with their hashes in the ledger; with `full`, also every row's leaf."""
    entries = await connection.fetch(statement("pack_entries"))
    recorded = {row["segment"]: row for row in entries}
    found: list[Problem] = []
    for pack in await packs_of(connection, segments):
        what = _recorded_otherwise(pack, recorded.get(pack.segment))
        if not what:
            what = await _check(connection, store, pack, full=full)
        if what:
            found.append(Problem(pack.segment, what))
    return found


def _recorded_otherwise(pack: PackState, entry: "asyncpg.Record | None") -> str:
    if entry is None:
        return "the ledger has no entry of this pack"
    if (entry["data"], entry["index"]) != (pack.data_hash.hex(), pack.index_hash.hex()):
        return "the catalogue has other hashes than the ledger"
    return ""


async def _check(connection: Connection, store: PackStore, pack: PackState, *, full: bool) -> str:
    data, index = store.paths(pack.class_name, pack.segment)
    try:
        if full:
            opened = await asyncio.to_thread(
                store.read, pack.class_name, pack.segment, pack.data_hash
            )
            nonces = await nonces_of(connection, [opened])
            result = await asyncio.to_thread(check_full, opened, nonces)
            if result.first_bad is not None:
                block, row = result.first_bad
                return f"{data}, block {block}, row {row}: the row was changed"
            await asyncio.to_thread(check_filter, opened, store.filters(pack.class_name))
        await asyncio.to_thread(check_quick, data, pack.data_hash.hex())
        await asyncio.to_thread(check_quick, index, pack.index_hash.hex())
        await asyncio.to_thread(store.filters(pack.class_name).record, pack.segment, pack.data_hash)
    except PackDamaged as error:
        return str(error)
    return ""


async def reindex(connection: Connection, store: PackStore, segment: int, *, by: str) -> bool:
    """Rebuild the index of a pack and its filter from its data; whether the index has changed.

    Raises NotPacked, SegmentInUse, PackDamaged: the data is not what it was.
    """
    async with held(connection, PACK_SPACE, segment) as is_ours:
        if not is_ours:
            raise SegmentInUse(f"segment {segment} is in use by another process")
        return await _reindex(connection, store, segment, by=by)


async def _reindex(connection: Connection, store: PackStore, segment: int, *, by: str) -> bool:
    (pack,) = await packs_of(connection, [segment])
    leaf = leaf_on_demand(connection, pack.class_name)
    data, index = store.paths(pack.class_name, segment)
    fresh = index.with_name(f"{segment}.idx.tmp")

    def rebuild() -> tuple[str, int]:
        check_quick(data, pack.data_hash.hex())
        digest = rebuild_index(data, fresh, leaf)
        size = fresh.stat().st_size
        fresh.replace(index)
        sync_folder(index.parent)
        return digest, size

    digest, size = await asyncio.to_thread(rebuild)
    store.forget(segment)
    if digest == pack.index_hash.hex():
        return False
    async with connection.transaction():
        await connection.execute(statement("replace_index"), segment, size, bytes.fromhex(digest))
        row = await connection.fetchrow(statement("pack_entry"), segment)
        assert row is not None
        body = json.loads(row["body"])
        body |= {"index": digest, "bytes": pack.data_bytes + size, "reindexed_by": by}
        await enter(connection, "pack", body)
    return True
