"""Rows for tests of the store, written like the writer does but without spool and frames."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta

import asyncpg

from storage.record.columns import COPY_COLUMNS
from storage.segments.rollover import enter_segments, open_segment

_batch_ids = itertools.count(1)


def row(batch_id: int, position: int, *, level: str, at: datetime) -> tuple[object, ...]:
    """One row in the order of COPY_COLUMNS."""
    values: dict[str, object] = dict.fromkeys(COPY_COLUMNS)
    values |= {
        "created_at": at,
        "received_at": at,
        "batch_id": batch_id,
        "stream_id": 1,
        "position": position,
        "ingest_key_id": 0,
        "tenant": 0,
        "level": level,
        "created_ns": 0,
        "severity_number": 9,
        "kind": b"l",
        "id": uuid.uuid4(),
        "trace_id": uuid.uuid4(),
        "nonce": bytes(16),
        "source_module": "checkout",
        "action": "order.place",
        "message": f"order {position} of batch {batch_id}",
        "metadata": "{}",
    }
    return tuple(values[name] for name in COPY_COLUMNS)


async def store(
    conn: asyncpg.Connection,
    class_name: str,
    rows: int,
    *,
    received_at: datetime | None = None,
) -> int:
    """Store a batch of `rows` rows in one transaction; returns the segment they went to."""
    batch_id = next(_batch_ids)
    at = received_at or datetime.now(UTC)
    level = class_name.upper() if class_name != "audit" else "INFO"
    while True:
        async with conn.transaction():
            segment = (await enter_segments(conn, [class_name])).get(class_name)
            if segment is not None:
                await conn.copy_records_to_table(
                    f"system_logs_s{segment}",
                    columns=COPY_COLUMNS,
                    records=[row(batch_id, n, level=level, at=at) for n in range(rows)],
                )
                await _account(conn, batch_id, segment, class_name, level=level, rows=rows, at=at)
                return segment
        await open_segment(conn, class_name)


async def _account(conn, batch_id, segment, class_name, *, level, rows, at) -> None:
    await conn.execute(
        "INSERT INTO ingest_parts VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $7)",
        batch_id, segment, class_name, rows, rows * 500, bytes(32), at, at + timedelta(seconds=1),
    )  # fmt: skip
    await conn.execute(
        "INSERT INTO log_counts_hourly AS c VALUES ($1, date_trunc('hour', $2::timestamptz),"
        " $3::text::log_level, 'l', 'checkout', $4, 1, $5, $6)"
        " ON CONFLICT (segment, hour, level, kind, source_module, spool_id)"
        " DO UPDATE SET rows = c.rows + excluded.rows, bytes = c.bytes + excluded.bytes",
        segment, at, level, class_name, rows, rows * 500,
    )  # fmt: skip
