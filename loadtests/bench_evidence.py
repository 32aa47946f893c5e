"""The cost of tamper evidence at ingest in µs per record: `python -m loadtests.bench_evidence`.

Two parts: hashing and ledger entries in Python, and their insertion by PostgreSQL in the transaction of
the rows. Requests of 100 and of 500 records over five levels and ten modules.
"""

import asyncio
import os
import time

from storage.database.pool import DatabaseRole, open_pool
from storage.ledger.accounting.stored_frame import StoredFrame
from storage.ledger.data import data_body, marks_of
from storage.ledger.entries import enter_data
from storage.record.copy_binary import leaf_of, part_digest, rows_of
from storage.spool.frame import Frame
from tests.support.databases import fresh_database, make_template
from tests.support.records import make_frame, make_record
from tests.support.servers import postgres_server

ROUNDS = 200


def frame_of(records: int) -> Frame:
    """Build a request like the load tool's: messages of some 200 bytes, some 300 of metadata."""
    metadata = b'{"attributes": {"text": "%s"}}' % (b"x" * 300)
    return make_frame(
        [
            make_record(
                level=n % 5,
                source_module=f"service-{n % 10}",
                message=os.urandom(100).hex(),
                metadata=metadata,
            )
            for n in range(records)
        ]
    )


def hashing_s(frame: Frame) -> float:
    """Measure the leaf hashes and digests of a frame in seconds."""
    rows = [list(rows_of(part.copy_bytes)) for part in frame.parts]
    began = time.perf_counter()
    for part, part_rows in zip(frame.parts, rows, strict=True):
        leaves = b"".join([leaf_of(row) for row in part_rows])
        part_digest(part.class_name, frame.batch_id, leaves, frame.encoding_version)
    return time.perf_counter() - began


def entering_s(entry: StoredFrame, segments: dict[str, int]) -> float:
    """Measure the entry and the marks of a frame in seconds."""
    began = time.perf_counter()
    data_body(entry, segments)
    for part in entry.parts:
        marks_of(part)
    return time.perf_counter() - began


async def database_s(dsn: str, frames: list[Frame], segments: dict[str, int]) -> float:
    """Measure the INSERT of these frames' entries in a transaction, in seconds."""
    bodies = [data_body(StoredFrame(frame, frame.parts), segments) for frame in frames]
    ids = [frame.batch_id for frame in frames]
    async with await open_pool(dsn, DatabaseRole.WRITER, size=1) as pool:
        times = []
        for _ in range(ROUNDS):
            async with pool.acquire() as connection, connection.transaction():
                began = time.perf_counter()
                await enter_data(connection, ids, bodies)
                times.append(time.perf_counter() - began)
    return sorted(times)[ROUNDS // 2]


def main() -> None:
    """Print the table."""
    with postgres_server(durable=True) as server:
        template = make_template(server.dsn)
        with fresh_database(server.dsn, template) as database:
            for records, together in ((100, 1), (100, 20), (500, 1), (500, 10)):
                frames = [frame_of(records) for _ in range(together)]
                segments = {part.class_name: 7 for part in frames[0].parts}
                entry = StoredFrame(frames[0], frames[0].parts)
                hashing = min(hashing_s(frames[0]) for _ in range(ROUNDS)) / records
                entering = min(entering_s(entry, segments) for _ in range(ROUNDS)) / records
                seconds = asyncio.run(database_s(database.dsn, frames, segments))
                database_ = seconds / records / together
                total = hashing + entering + database_
                print(
                    f"{together:>3} requests of {records}: leaves and digests {hashing * 1e6:.2f},"
                    f" entries {entering * 1e6:.2f}, PostgreSQL {database_ * 1e6:.2f},"
                    f" together {total * 1e6:.2f} us per record"
                )


if __name__ == "__main__":
    main()
