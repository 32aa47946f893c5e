"""Exactly once: which frames of a transaction are new, replayed after a crash, or duplicates."""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.database.connection import Connection
from storage.database.statements import statement
from storage.spool.frame import NO_HASH, Frame


@dataclass(frozen=True, slots=True)
class Claims:
    """The frames of a transaction, classified."""

    fresh: tuple[Frame, ...]
    duplicates: tuple[tuple[Frame, int], ...]
    """Frames whose request is already stored, and the batch that holds its rows."""
    replayed: tuple[Frame, ...]
    """Frames that are already stored themselves: neither stored nor counted again."""


class BatchIdTaken(Exception):
    """Another spool has used one of these batch ids: nothing is stored until an operator acts."""


async def claim(
    connection: Connection, spool_id: int, frames: Sequence[Frame], window_s: int
) -> Claims:
    """Classify the frames; claims belong to the caller's transaction and roll back with it.

    Raises:
        BatchIdTaken: two spools use the same number (a copied data directory?).
    """
    known = await connection.fetch(
        statement("stored_batches"), [frame.batch_id for frame in frames]
    )
    for row in known:
        if row["spool_id"] != spool_id:
            raise BatchIdTaken(f"batch {row['batch_id']} belongs to spool {row['spool_id']}")
    stored = {row["batch_id"] for row in known}
    replayed = tuple(frame for frame in frames if frame.batch_id in stored)
    candidates = [frame for frame in frames if frame.batch_id not in stored]
    duplicates = await _duplicates(connection, candidates, window_s) if window_s else {}
    return Claims(
        fresh=tuple(frame for frame in candidates if frame.batch_id not in duplicates),
        duplicates=tuple(
            (frame, duplicates[frame.batch_id])
            for frame in candidates
            if frame.batch_id in duplicates
        ),
        replayed=replayed,
    )


async def _duplicates(
    connection: Connection, frames: Sequence[Frame], window_s: int
) -> dict[int, int]:
    """Batch id of each duplicate, mapped to the batch that has its rows."""
    first: dict[bytes, Frame] = {}
    for frame in frames:
        if frame.request_hash != NO_HASH:
            first.setdefault(frame.request_hash, frame)
    if not first:
        return {}
    rows = await connection.fetch(
        statement("claim_requests"),
        list(first),
        [frame.batch_id for frame in first.values()],
        window_s,
    )
    claimed = {row["batch_id"] for row in rows}
    holder = {frame.request_hash: frame.batch_id for frame in first.values()}
    missed = [hash_ for hash_, frame in first.items() if frame.batch_id not in claimed]
    if missed:
        rows = await connection.fetch(statement("claimed_by"), missed)
        holder |= {row["request_hash"]: row["batch_id"] for row in rows}
    return {
        frame.batch_id: holder[frame.request_hash]
        for frame in frames
        if holder.get(frame.request_hash, frame.batch_id) != frame.batch_id
    }
