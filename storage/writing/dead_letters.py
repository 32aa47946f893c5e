"""Rows that PostgreSQL rejects: find them, store them as dead letters, store the rest."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import asyncpg

from config.levels import LEVEL_NAMES
from storage.database.connection import Connection
from storage.database.statements import statement
from storage.ledger.accounting.stored_frame import DeadRow
from storage.record.columns import SELF_CONTAINED
from storage.record.copy_binary import PG_EPOCH_US, fields_of, leaf_of, rows_of
from storage.record.nonces import Nonces, class_key, fill
from storage.record.record import Part
from storage.spool.frame import Frame
from storage.writing.copying import copy_rows

_log = logging.getLogger(__name__)

DATA_ERRORS = ("22", "23", "54")
"""SQLSTATE classes of data errors: data exception, integrity constraint, limit exceeded."""
_UNIQUE_VIOLATION = "23505"


def is_data_error(error: BaseException) -> bool:
    """Whether a retry with the same rows cannot succeed.

    A unique violation does not count: another writer has claimed the same batch, which the next
    attempt detects.
    """
    state = getattr(error, "sqlstate", None) or ""
    return (
        isinstance(error, asyncpg.PostgresError)
        and state[:2] in DATA_ERRORS
        and state != _UNIQUE_VIOLATION
    )


async def store_valid_rows(
    connection: Connection, frame: Frame, part: Part, segment: int
) -> tuple[Part, list[DeadRow]]:
    """COPY the rows of a part that PostgreSQL accepts, put the rest into dead_letters.

    Returns the part as stored (its leaves and digest still cover all rows) and the dead rows.
    Runs inside the caller's transaction, with savepoints; cost: log2(rows) COPYs for each bad row.
    """
    bad: list[tuple[bytes, asyncpg.PostgresError]] = []
    await _copy_or_split(connection, segment, list(rows_of(part.copy_bytes)), bad)
    if not bad:
        return part, []
    dead = await _add_dead_letters(connection, frame, part, bad)
    rejected = {row for row, _ in bad}
    return _reduced(part, [row for row in rows_of(part.copy_bytes) if row not in rejected]), dead


async def _copy_or_split(
    connection: Connection,
    segment: int,
    rows: Sequence[bytes],
    bad: list[tuple[bytes, asyncpg.PostgresError]],
) -> None:
    try:
        async with connection.transaction():
            await copy_rows(connection, segment, rows)
    except asyncpg.PostgresError as error:
        if not is_data_error(error):
            raise
        if len(rows) == 1:
            bad.append((rows[0], error))
            return
        middle = len(rows) // 2
        await _copy_or_split(connection, segment, rows[:middle], bad)
        await _copy_or_split(connection, segment, rows[middle:], bad)


async def _add_dead_letters(
    connection: Connection,
    frame: Frame,
    part: Part,
    bad: Sequence[tuple[bytes, asyncpg.PostgresError]],
) -> list[DeadRow]:
    """They are stored with their nonces: a dead letter outlives the secret of its batch."""
    nonces = Nonces(class_key(frame.secret, part.class_name)) if frame.secret else None
    return [
        await _add_dead_letter(
            connection, frame, part, row if nonces is None else fill(row, nonces), error
        )
        for row, error in bad
    ]


async def _add_dead_letter(
    connection: Connection, frame: Frame, part: Part, row: bytes, error: asyncpg.PostgresError
) -> DeadRow:
    fields, leaf = fields_of(row), leaf_of(row)
    position = int.from_bytes(fields["position"] or b"", "big")
    # PostgreSQL's message names the constraint; its detail may quote the value, so it is omitted.
    reason = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    _log.error(
        "a row was rejected and stored as a dead letter: batch %d, position %d, SQLSTATE %s",
        frame.batch_id, position, error.sqlstate,
    )  # fmt: skip
    await connection.execute(
        statement("add_dead_letter"),
        frame.batch_id,
        position,
        part.class_name,
        SELF_CONTAINED,
        row,
        leaf,
        error.sqlstate,
        reason[:500],
        frame.received_unix_ns // 1000,
    )
    module = (fields["source_module"] or b"").decode()
    return DeadRow(part.class_name, position, leaf, module)


def _reduced(part: Part, rows: Sequence[bytes]) -> Part:
    """The part with only these rows: counts recomputed, leaves and digest unchanged."""
    counts: dict[tuple[int, int, str, str], list[int]] = {}
    levels = {name: level for level, name in enumerate(LEVEL_NAMES)}
    for row in rows:
        fields = fields_of(row)
        created_us = int.from_bytes(fields["created_at"] or b"", "big", signed=True) + PG_EPOCH_US
        key = (
            created_us // 60_000_000,
            levels[(fields["level"] or b"").decode()],
            (fields["kind"] or b"").decode(),
            (fields["source_module"] or b"").decode(),
        )
        total = counts.setdefault(key, [0, 0])
        total[0] += 1
        total[1] += len(row)
    return replace(
        part,
        rows=len(rows),
        copy_bytes=b"".join(rows),
        counts=tuple((*key, total[0], total[1]) for key, total in counts.items()),
    )
