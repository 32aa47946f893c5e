"""Packs one closed segment.

    COPY out  ->  files, written, synced, read back  ->  every batch's digest compared
    transaction: state packed, hashes, ledger      ->  the leaf is detached and dropped (leaves.py)

Interrupted before the transaction, the segment is still closed, and the next packing writes over
the files. After it, queries read the pack, and any later run removes the leaf.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from retention.packing.nonces import encodings_of_closed
from retention.packing.streams import streams_of
from retention.packing.threads import in_thread
from storage import failpoints
from storage.database.connection import Connection
from storage.database.statements import statement
from storage.ledger.entries import enter
from storage.ledger.tree.merkle import tree_root
from storage.packs.errors import NotPackable, PackDamaged
from storage.packs.store import PackStore
from storage.packs.writer import PackFacts, PackWriter
from storage.segments.leaves import LONG_S, leaf_statement

_log = logging.getLogger(__name__)
_PIECE = 1 << 20
"""Bytes that are handed to the writer's thread at once."""


class NotClosed(Exception):
    """The segment is not one that can be packed (any more)."""


@dataclass(frozen=True, slots=True)
class Packed:
    """One segment that was packed, or found damaged."""

    segment: int
    rows: int
    facts: PackFacts | None
    damage: str = ""


async def pack_segment(
    connection: Connection, store: PackStore, segment: int, *, again: bool = False
) -> Packed:
    """Pack a closed or sealed segment up to the state `packed`; its leaf stays for now.

    `again`: also one that was found damaged before. Needs the role of the owner, and the segment's
    lock (run.py). Raises NotClosed, and OSError where the files cannot be written.
    """
    began = time.monotonic()
    row = await connection.fetchrow(statement("segment_to_pack"), segment)
    if row is None or row["state"] not in {"closed", "sealed"} or not row["rows"]:
        state = "missing" if row is None else row["state"]
        raise NotClosed(f"segment {segment} is {state}, with {row and row['rows']} rows")
    if row["damage"] and not again:
        raise NotClosed(f"segment {segment} is damaged: {row['damage']}")
    class_name = row["class"]
    facts = await _write(connection, store, segment, class_name)
    failpoints.reach("pack.after_write")
    damage = "no rows" if facts is None else await _differences(connection, segment, facts.parts)
    if facts is None or damage:
        store.unlink(class_name, segment)
        await _note_damage(connection, segment, class_name, row["rows"], damage)
        return Packed(segment, row["rows"], None, damage)
    try:
        await _commit(connection, segment, class_name, facts, began)
    except NotClosed:
        row = await connection.fetchrow(statement("segment_to_pack"), segment)
        if row is None or row["state"] != "packed":
            store.unlink(class_name, segment)
        raise
    store.forget(segment)
    failpoints.reach("pack.after_commit")
    _log.info(
        "segment %d of class %s is packed: %d rows, %d bytes",
        segment,
        class_name,
        facts.rows,
        facts.file_bytes,
    )
    return Packed(segment, facts.rows, facts)


async def _write(
    connection: Connection, store: PackStore, segment: int, class_name: str
) -> PackFacts | None:
    """Write the files; None where the leaf has no rows."""
    folder = await asyncio.to_thread(store.make_folder, class_name)
    nonces, version_2 = await encodings_of_closed(connection, segment)
    writer = PackWriter(
        folder, segment, class_name, streams_of(connection), leaf=nonces, version_2=version_2
    )
    feeding = _Feeding(writer)
    try:
        await connection.copy_from_query(
            leaf_statement("copy_out", segment),
            output=feeding.take,
            format="binary",
            timeout=LONG_S,
        )
        await feeding.end()
        failpoints.reach("pack.before_write")
        return await in_thread(writer, writer.finish)
    except NotPackable as error:
        if feeding.has_rows:
            raise PackDamaged(folder / f"{segment}.parquet", str(error)) from error
        return None
    finally:
        await asyncio.to_thread(writer.abandon)


class _Feeding:
    """Hands what COPY gives to the writer, in pieces worth a thread's while."""

    def __init__(self, writer: PackWriter) -> None:
        self._writer = writer
        self._waiting = bytearray()
        self.has_rows = False

    async def take(self, data: bytes) -> None:
        """One piece from PostgreSQL."""
        self._waiting += data
        if len(self._waiting) >= _PIECE:
            self.has_rows = True
            await self.end()

    async def end(self) -> None:
        """Hand over what waits."""
        data, self._waiting = bytes(self._waiting), bytearray()
        self.has_rows |= len(data) > _EMPTY_COPY
        if data:
            await in_thread(self._writer, self._writer.feed, data)


_EMPTY_COPY = 21
"""Bytes of a COPY without rows: header and trailer."""


async def _differences(
    connection: Connection, segment: int, found: Iterable[tuple[int, int, bytes]]
) -> str:
    """Differences between the parts as received and as the file gives them back."""
    rows = await connection.fetch(statement("received_parts"), segment)
    known = {row["batch_id"]: row["digest"] for row in rows}
    return differences(known, {batch: digest for batch, _, digest in found})


def differences(known: Mapping[int, bytes], found: Mapping[int, bytes]) -> str:
    """In words; empty: there are none.

    >>> differences({1: b"a", 2: b"b"}, {1: b"x", 4: b"d"}).split("; ")[1:]
    ['1 batches added, for instance 4', '1 batches changed, for instance 1']
    """
    missing, foreign = known.keys() - found.keys(), found.keys() - known.keys()
    changed = {batch for batch in known.keys() & found.keys() if known[batch] != found[batch]}
    return "; ".join(
        f"{len(batches)} batches {what}, for instance {min(batches)}"
        for what, batches in (("missing", missing), ("added", foreign), ("changed", changed))
        if batches
    )


def root_of(parts: Iterable[tuple[int, int, bytes]]) -> bytes:
    """The root that the ledger has of a pack: over the digests of its parts."""
    return tree_root([digest for _, _, digest in sorted(parts)])


async def _note_damage(
    connection: Connection, segment: int, class_name: str, rows: int, damage: str
) -> None:
    _log.critical("segment %d differs from what was received: %s", segment, damage)
    body = {"segment": segment, "class": class_name, "rows": rows, "found": damage}
    async with connection.transaction():
        await connection.execute(statement("mark_damaged"), segment, damage)
        await enter(connection, "corrupt", {"what": body, "by": "pack"})


async def _commit(
    connection: Connection, segment: int, class_name: str, facts: PackFacts, began: float
) -> None:
    root = root_of(facts.parts)
    async with connection.transaction():
        packed = await connection.fetchval(
            statement("mark_packed"),
            segment,
            root,
            facts.data_bytes,
            facts.index_bytes,
            bytes.fromhex(facts.data_sha256),
            bytes.fromhex(facts.index_sha256),
            round((time.monotonic() - began) * 1000),
        )
        if packed is None:
            raise NotClosed(f"segment {segment} was changed while it was packed")
        await enter(connection, "pack", entry_of(segment, class_name, facts, root))
        failpoints.reach("pack.before_commit")


def entry_of(segment: int, class_name: str, facts: PackFacts, root: bytes) -> dict[str, object]:
    """The ledger's entry of a pack."""
    return {
        "segment": segment,
        "class": class_name,
        "rows": facts.rows,
        "parts": len(facts.parts),
        "root": root.hex(),
        "data": facts.data_sha256,
        "index": facts.index_sha256,
        "bytes": facts.file_bytes,
    }
