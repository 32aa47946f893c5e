"""PostgreSQL's own COPY rate of the same bytes: the upper limit of ingest."""

import asyncio
import os
import time
from pathlib import Path

from loadtests.default_codec import default_codec
from loadtests.load_tool import BATCH, distinct_bodies
from otlp_receiver.admission.keys import KEYLESS
from otlp_receiver.export import Encoding, Signal
from storage.database.pool import DatabaseRole, connect
from storage.record.classes import CLASS_BY_LEVEL, classify
from storage.record.copy_binary import encode
from storage.segments.rollover import open_segment
from storage.writing.copying import copy_rows
from tests.support.product import Product

BODIES, ROUNDS = 40, 10


def encoded_parts(tool: Path) -> dict[str, list[bytes]]:
    """Encode the load tool's records as COPY tuples by class, like the receiver."""
    codec = default_codec()
    by_class: dict[str, list[bytes]] = {name: [] for name in CLASS_BY_LEVEL}
    for number, body in enumerate(distinct_bodies(tool, BODIES)):
        export = codec.decode(Signal.LOGS, Encoding.PROTOBUF, body)
        now = time.time_ns()
        batch = codec.map(codec.redact(export), received_unix_ns=now, key=KEYLESS)
        for part in encode(
            batch,
            batch_id=number,
            received_unix_ns=now,
            ingest_key_id=0,
            classify=classify,
            secret=os.urandom(16),
        ):
            by_class[part.class_name].append(part.copy_bytes)
    return by_class


async def copy_rate(tool: Path) -> dict[str, float]:
    """Measure COPY into open segments over one connection, in transactions of 20,000 rows."""
    by_class = await asyncio.to_thread(encoded_parts, tool)
    size = sum(len(piece) for pieces in by_class.values() for piece in pieces)
    with Product.running() as product:
        connection = await connect(product.installation.database_dsn(), DatabaseRole.WRITER)
        try:
            segments = {name: await open_segment(connection, name) for name in by_class}
            began = time.perf_counter()
            for _ in range(ROUNDS):
                async with connection.transaction():
                    for name, pieces in by_class.items():
                        await copy_rows(connection, segments[name], pieces)
            took_s = time.perf_counter() - began
        finally:
            await connection.close()
    rows = BODIES * BATCH
    return {"rows_per_s": round(rows * ROUNDS / took_s), "bytes_per_row": round(size / rows, 1)}
