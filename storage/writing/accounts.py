"""Accounting within the writer's transaction: batches, minutes, parts, counts, ledger entries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import orjson

from config.levels import LEVEL_NAMES
from storage.database.connection import Connection
from storage.database.statements import statement
from storage.ledger.accounting.minutes import minutes_of
from storage.ledger.accounting.stored_frame import StoredFrame
from storage.ledger.data import data_body, marks_of
from storage.ledger.entries import enter_data
from storage.record.copy_binary import part_digest
from storage.record.record import Part


@dataclass(slots=True)
class _Columns:
    """Parallel arrays, one list per column."""

    values: list[list[object]] = field(default_factory=list)

    def add(self, *row: object) -> None:
        if not self.values:
            self.values = [[] for _ in row]
        for column, value in zip(self.values, row, strict=True):
            column.append(value)


async def account(
    connection: Connection,
    spool_id: int,
    frames: Sequence[StoredFrame],
    segments: dict[str, int],
) -> None:
    """Write the accounts of these frames; `segments` maps each class to its open segment."""
    batches, parts = _Columns(), _Columns()
    for entry in frames:
        batches.add(*_batch_row(entry))
        for part in entry.parts:
            parts.add(*_part_row(entry, part, segments[part.class_name]))
    await connection.execute(statement("account_batches"), spool_id, *batches.values)
    minutes = _Columns()
    for row in minutes_of(frames):
        minutes.add(*row)
    await connection.execute(statement("account_minutes"), spool_id, *minutes.values)
    await enter_data(
        connection,
        [entry.frame.batch_id for entry in frames],
        [data_body(entry, segments) for entry in frames],
    )
    if not parts.values:
        return
    await connection.execute(statement("account_parts"), *parts.values)
    counts = _Columns()
    for row in _count_rows(frames, segments):
        counts.add(*row)
    await connection.execute(
        statement("account_counts"), spool_id, *counts.values, _notification(frames)
    )


def _batch_row(entry: StoredFrame) -> tuple[object, ...]:
    frame = entry.frame
    return (
        frame.batch_id,
        frame.received_unix_ns // 1000,
        frame.ingest_key_id,
        frame.encoding_version,
        frame.signal,
        frame.request_hash,
        entry.duplicate_of,
        frame.received,
        frame.derived,
        entry.stored,
        entry.duplicate,
        entry.dead,
        orjson.dumps(frame.rejected).decode(),
        frame.secret if frame.secret and entry.parts else None,
    )


def _part_row(entry: StoredFrame, part: Part, segment: int) -> tuple[object, ...]:
    frame = entry.frame
    return (
        frame.batch_id,
        segment,
        part.class_name,
        part.rows,
        len(part.copy_bytes),
        _stored_digest(entry, part),
        part.min_created_us,
        part.max_created_us,
        part.odd_times,
        frame.received_unix_ns // 1000,
        marks_of(part),
    )


def _stored_digest(entry: StoredFrame, part: Part) -> bytes:
    """The digest over the rows that were stored; the one in the ledger covers dead letters too."""
    dead = {row.leaf for row in entry.dead_rows if row.class_name == part.class_name}
    if not dead:
        return part.digest
    leaves = [part.leaves[at : at + 32] for at in range(0, len(part.leaves), 32)]
    stored = b"".join(leaf for leaf in leaves if leaf not in dead)
    frame = entry.frame
    return part_digest(part.class_name, frame.batch_id, stored, frame.encoding_version)


def _count_rows(
    frames: Iterable[StoredFrame], segments: dict[str, int]
) -> Iterable[tuple[object, ...]]:
    """One row per key: an upsert may not meet the same key twice in one statement."""
    sums: dict[tuple[int, int, int, str, str, str], list[int]] = {}
    for entry in frames:
        for part in entry.parts:
            segment = segments[part.class_name]
            for minute, level, kind, module, rows, size in part.counts:
                key = (segment, minute, level, kind, module, part.class_name)
                total = sums.setdefault(key, [0, 0])
                total[0] += rows
                total[1] += size
    for (segment, minute, level, kind, module, class_name), (rows, size) in sorted(sums.items()):
        yield segment, minute, LEVEL_NAMES[level], kind, module, class_name, rows, size


def _notification(frames: Sequence[StoredFrame]) -> str:
    """First and last batch id, for live tails. NOTIFY payloads are limited to 8000 bytes."""
    ids = [entry.frame.batch_id for entry in frames if entry.parts]
    return f"{min(ids)} {max(ids)}" if ids else ""
