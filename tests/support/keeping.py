"""Records stored as the writer stores them, with the arrival time that a test wants."""

import os
from datetime import UTC, datetime

from config.settings import RetentionSettings
from storage.database.statements import statement
from storage.record.classes import classifier
from storage.record.copy_binary import encode
from storage.segments.rollover import enter_segments, open_segment
from storage.spool.batch_ids import BatchIds
from storage.spool.frame import NO_HASH, Frame
from storage.writing.accounts import StoredFrame, account
from storage.writing.copying import copy_rows
from tests.support.records import STREAM, make_batch, make_record

_IDS = BatchIds(1)
_DEFAULT = RetentionSettings()


def ns_of(moment: datetime) -> int:
    """Nanoseconds since 1970."""
    return round(moment.timestamp() * 1_000_000) * 1000


async def keep(conn, *records, at: datetime | None = None, rules=_DEFAULT):
    """Store the records as one request that arrived then; class name to segment."""
    at = at or datetime.now(UTC)
    batch = make_batch(list(records))
    batch_id, secret = _IDS.next(ns_of(at)), os.urandom(16)
    parts = tuple(
        encode(
            batch,
            batch_id=batch_id,
            received_unix_ns=ns_of(at),
            ingest_key_id=0,
            classify=classifier(rules),
            secret=secret,
        )
    )
    frame = Frame(
        batch_id=batch_id,
        received_unix_ns=ns_of(at),
        ingest_key_id=0,
        signal="logs",
        request_hash=NO_HASH,
        received=len(records),
        derived=0,
        rejected={},
        streams=(STREAM,),
        parts=parts,
        secret=secret,
    )
    classes = [part.class_name for part in parts]
    for name in classes:
        await open_segment(conn, name)
    async with conn.transaction():
        await conn.execute(
            statement("add_streams"), [STREAM.id], [STREAM.digest], [STREAM.resource.decode()],
            [STREAM.scope.decode()], [""], [""],
        )  # fmt: skip
        segments = await enter_segments(conn, classes)
        for part in parts:
            await copy_rows(conn, segments[part.class_name], [part.copy_bytes])
        await account(conn, 1, [StoredFrame(frame, parts)], segments)
    return segments


async def keep_many(conn, rows: int, *, at: datetime | None = None, per_batch: int = 50, **fields):
    """That many records in several requests; the segment of the last."""
    segments = {}
    for begin in range(0, rows, per_batch):
        records = [
            make_record(
                created_unix_ns=ns_of(at or datetime.now(UTC)) + number,
                message=f"order {number} of many",
                metadata=b'{"attributes": {"n": %d}}' % number,
                **fields,
            )
            for number in range(begin, min(begin + per_batch, rows))
        ]
        segments = await keep(conn, *records, at=at)
    return next(iter(segments.values()))


async def close(conn, class_name: str) -> int:
    """Close the open segment of a class, and settle it; its number."""
    number = await open_segment(conn, class_name)
    await conn.fetchval("SELECT opslog_roll_segment($1, $2)", class_name, number)
    await conn.execute("SELECT opslog_settle_segments()")
    return number


async def no_pause() -> None:
    """For jobs that yield to ingest: no load."""
