"""Brings a pack back into PostgreSQL: a closed segment that is packed again only by hand.

    fill     a leaf that nobody reads yet, indexed like an open one
    switch   one transaction: leaf attached, state closed, parts as they were
    unlink   the files

Interrupted before the switch, the pack is still read; the next attempt starts again, and any later
packing drops the leaf. Interrupted after it, the next job that looks for orphans unlinks the files.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import asyncpg

from config.errors import OpslogError
from retention.packing.nonces import nonces_of
from retention.safety.locks import held
from storage import failpoints
from storage.database.connection import Connection
from storage.database.locks import PACK_SPACE
from storage.database.statements import statement
from storage.filtering.conditions import leaf_table
from storage.ledger.data import MARK_BYTES
from storage.ledger.entries import enter
from storage.packs.blocks import Block
from storage.packs.errors import PackDamaged
from storage.packs.pack import Pack
from storage.packs.proof import Proof
from storage.packs.store import PackStore
from storage.record.columns import COPY_COLUMNS
from storage.record.copy_binary import HEADER
from storage.record.nonces import with_nonce
from storage.segments.leaves import IN_A_MOMENT, LONG_S, build_live_indexes, leaf_statement

_TRAILER = b"\xff\xff"
_PATIENCE_S = 60.0
_RETRY_S = 0.2
_DAY_US = 86_400_000_000


class NotUnpackable(OpslogError):
    """The segment is not packed, or in use."""

    code = "not_unpackable"
    title = "The segment cannot be unpacked"


@dataclass(slots=True)
class _Part:
    """What ingest_parts has of a batch, but for its hashes."""

    size: int = 0
    received_us: int = 0
    times: list[int] = field(default_factory=list)
    odd: int = 0


async def unpack(connection: Connection, store: PackStore, segment: int, *, by: str) -> int:
    """Unpack one segment, after its rows were compared with their digests; how many they are.

    Raises NotUnpackable, PackDamaged.
    """
    async with held(connection, PACK_SPACE, segment) as is_ours:
        if not is_ours:
            raise NotUnpackable(f"segment {segment} is in use by another process")
        row = await connection.fetchrow(statement("pack_of_segment"), segment)
        if row is None or row["state"] != "packed":
            raise NotUnpackable(f"segment {segment} is {row['state'] if row else 'missing'}")
        if not row["leaf_dropped"]:
            raise NotUnpackable(f"the leaf of segment {segment} is being dropped; try again")
        pack = await asyncio.to_thread(store.read, row["class"], segment, row["data_hash"])
        parts: dict[int, _Part] = defaultdict(_Part)
        proof = Proof(pack.class_name, await nonces_of(connection, [pack]))
        await _fill(connection, pack, parts, proof)
        await asyncio.to_thread(_check, pack, proof)
        await build_live_indexes(connection, segment)
        failpoints.reach("unpack.before_switch")
        await _switch(connection, pack, parts, proof.marks(MARK_BYTES), by)
        failpoints.reach("unpack.after_switch")
        store.unlink(pack.class_name, segment)
        return pack.rows_total


async def _fill(connection: Connection, pack: Pack, parts: dict[int, _Part], proof: Proof) -> None:
    await connection.execute(leaf_statement("drop_unread_leaf", pack.segment))
    await connection.execute(statement("make_bare_leaf"), pack.segment)

    async def rows() -> AsyncIterator[bytes]:
        yield HEADER
        for number in range(len(pack.blocks)):
            yield await asyncio.to_thread(_tuples, pack.block(number), parts, proof)
        yield _TRAILER

    await connection.copy_to_table(
        leaf_table(pack.segment),
        source=rows(),
        columns=COPY_COLUMNS,
        format="binary",
        timeout=LONG_S,
    )


def _check(pack: Pack, proof: Proof) -> None:
    """Compare the rows with the digests of their batches. Raises PackDamaged."""
    proof.parts()
    if proof.sections()["parts"] != pack.index.bytes_of("parts"):
        raise PackDamaged(pack.path, "its rows are not those of its index; `opslog packs verify`")


def _tuples(block: Block, parts: dict[int, _Part], proof: Proof) -> bytes:
    proof.add(block)
    tuples, nonces = block.tuples()
    names = ("batch_id", "created_at", "received_at")
    for data, batch, created, received in zip(
        tuples, *(block.get(name).array().tolist() for name in names), strict=True
    ):
        part = parts[batch]
        part.size += len(data)
        part.received_us = received
        if received - 400 * _DAY_US <= created <= received + _DAY_US:
            part.times.append(created)
        else:
            part.odd += 1
    # A nonce that is stored since another row of its batch was purged stays with its row.
    return b"".join(
        row if nonce is None else with_nonce(row, nonce)
        for row, nonce in zip(tuples, nonces, strict=True)
    )


async def _switch(
    connection: Connection, pack: Pack, parts: dict[int, _Part], marks: bytes, by: str
) -> None:
    hashes = pack.parts
    columns = [
        (
            int(part["batch_id"]),
            int(part["rows"]),
            bytes(part["digest"]),
            marks[MARK_BYTES * int(part["first"]) : MARK_BYTES * int(part["first"] + part["rows"])],
            parts[int(part["batch_id"])],
        )
        for part in hashes
    ]
    until_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            async with connection.transaction():
                await connection.execute(
                    statement("restore_parts"),
                    pack.segment,
                    pack.class_name,
                    [batch for batch, *_ in columns],
                    [rows for _, rows, *_ in columns],
                    [part.size for *_, part in columns],
                    [digest for _, _, digest, *_ in columns],
                    [min(part.times, default=0) for *_, part in columns],
                    [max(part.times, default=0) for *_, part in columns],
                    [part.odd for *_, part in columns],
                    [part.received_us for *_, part in columns],
                    [mark for _, _, _, mark, _ in columns],
                )
                await connection.execute(statement("mark_unpacked"), pack.segment)
                body = {
                    "segment": pack.segment,
                    "class": pack.class_name,
                    "rows": pack.rows_total,
                    "by": by,
                }
                await enter(connection, "unpack", body)
                await connection.execute(IN_A_MOMENT)
                text = leaf_statement("plug_leaf", pack.segment, SEGMENT=str(pack.segment))
                await connection.execute(text)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if time.monotonic() > until_s:
                raise
            await asyncio.sleep(_RETRY_S)
        else:
            return
