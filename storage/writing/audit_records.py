"""Audit records: stored synchronously, each id once, acknowledged with a receipt.

They bypass the spool: a receipt confirms that the record is in the database and its ledger, so none
is issued while the database is unavailable.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from storage.database.connection import Connection, Pool
from storage.database.statements import statement
from storage.errors import AuditIdTaken, DatabaseUnavailable
from storage.ledger.accounting.stored_frame import StoredFrame
from storage.record.copy_binary import fields_of, rows_of
from storage.record.record import Record, RedactedBatch
from storage.record.streams import add_streams
from storage.segments.rollover import enter_segments, open_segment
from storage.spool.frame import Frame
from storage.spool.framing import Framing
from storage.spool.spool import Spool
from storage.writing.accounts import account
from storage.writing.copying import copy_rows

_TRIES = 3
"""Attempts when another sender stores the same id concurrently."""
_UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


@dataclass(frozen=True, slots=True)
class AuditItem:
    """One audit record of a request."""

    record_id: str
    """audit.record.id."""
    content: bytes
    """SHA-256 of the record as sent: distinguishes a retry from another record with this id."""
    record: Record
    where: str
    """Its path in the request, for errors."""


@dataclass(frozen=True, slots=True)
class AuditReceipt:
    """The receipt for the sender."""

    record_id: str
    id: UUID
    leaf: bytes
    """Its leaf in the tamper-evidence ledger."""
    received_at: datetime


class AuditRecords:
    """Stores audit records of one receiver."""

    def __init__(self, pool: Pool, spool: Spool, framing: Framing) -> None:
        self._pool = pool
        self._spool = spool
        self._framing = framing

    async def store(
        self,
        batch: RedactedBatch,
        items: Sequence[AuditItem],
        *,
        received_unix_ns: int,
        ingest_key_id: int,
    ) -> list[AuditReceipt]:
        """Store all of them or none; ids stored with the same content get their old receipt.

        Raises:
            AuditIdTaken: an id is stored, or repeated in the request, with other content.
            DatabaseUnavailable: nothing was stored.
        """
        unique = _unique(items)
        try:
            for _ in range(_TRIES):
                async with self._pool.acquire() as connection:
                    known = await _known(connection, unique)
                    fresh = [item for item in unique.values() if item.record_id not in known]
                    if not fresh:
                        break
                    frame = self._frame(batch, fresh, received_unix_ns, ingest_key_id)
                    try:
                        await self._insert(connection, frame, fresh)
                    except asyncpg.UniqueViolationError:
                        continue
            known = await _known(self._pool, unique)
        except _UNAVAILABLE as error:
            raise DatabaseUnavailable(f"nothing was stored: {type(error).__name__}") from error
        return [known[item.record_id] for item in items]

    def _frame(
        self, batch: RedactedBatch, fresh: Sequence[AuditItem], received_ns: int, key_id: int
    ) -> Frame:
        records = [item.record for item in fresh]
        chosen = replace(batch, records=records, received=len(records), rejected={})
        return self._framing.frame(
            RedactedBatch(chosen),
            batch_id=self._framing.next_batch_id(received_ns),
            received_unix_ns=received_ns,
            signal="audit",
            ingest_key_id=key_id,
        )

    async def _insert(
        self, connection: Connection, frame: Frame, fresh: Sequence[AuditItem]
    ) -> None:
        classes = sorted({part.class_name for part in frame.parts})
        for class_name in classes:
            await open_segment(connection, class_name)
        leaves = _leaves(frame)
        spool_id = self._spool.identity.spool_id
        assert spool_id is not None
        async with connection.transaction():
            await connection.executemany(
                statement("add_audit_record"),
                [
                    (
                        item.record_id,
                        item.content,
                        UUID(bytes=item.record.id),
                        frame.batch_id,
                        leaves[position],
                        frame.received_unix_ns // 1000,
                    )
                    for position, item in enumerate(fresh)
                ],
            )
            segments = await enter_segments(connection, classes)
            await add_streams(connection, frame.streams)
            for part in frame.parts:
                await copy_rows(connection, segments[part.class_name], [part.copy_bytes])
            await account(connection, spool_id, [StoredFrame(frame, frame.parts)], segments)


def _unique(items: Sequence[AuditItem]) -> dict[str, AuditItem]:
    unique: dict[str, AuditItem] = {}
    for item in items:
        first = unique.setdefault(item.record_id, item)
        if first.content != item.content:
            raise AuditIdTaken(item.record_id, where=item.where)
    return unique


async def _known(
    connection: "Connection | Pool", unique: dict[str, AuditItem]
) -> dict[str, AuditReceipt]:
    rows = await connection.fetch(statement("audit_records"), list(unique))
    for row in rows:
        item = unique[row["record_id"]]
        if row["content"] != item.content:
            raise AuditIdTaken(item.record_id, where=item.where)
    return {
        row["record_id"]: AuditReceipt(
            row["record_id"],
            UUID(str(row["id"])),
            row["leaf"],
            row["received_at"].astimezone(UTC),
        )
        for row in rows
    }


def _leaves(frame: Frame) -> dict[int, bytes]:
    """Leaf by position in the batch."""
    leaves = {}
    for part in frame.parts:
        for place, row in enumerate(rows_of(part.copy_bytes)):
            position = int.from_bytes(fields_of(row)["position"] or b"", "big")
            leaves[position] = part.leaves[place * 32 : place * 32 + 32]
    return leaves
