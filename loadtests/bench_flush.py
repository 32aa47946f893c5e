"""`make bench-flush`: duration of the writer's transaction with 500 rows, including the commit.

    python -m loadtests.bench_flush --load-tool ../shared/tools/otlp_load.py [--repeats 300]

opslog's spool and writer, one request of 500 records of the load tool at a time, into open segments of a
fresh PostgreSQL with all their indexes: claims, COPY into each class, counts, ledger, commit with its
fsync. Nothing else is sent; the time is the writer's metric `opslog_writer_flush_seconds`.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from config.settings import SpoolSettings, WriterSettings
from loadtests.default_codec import default_codec
from loadtests.load_tool import BATCH, distinct_bodies
from loadtests.measurements import Measurements
from loadtests.profile import sync_ms
from otlp_receiver.admission.keys import KEYLESS
from otlp_receiver.export import Encoding, Signal
from storage.database.pool import DatabaseRole, open_pool
from storage.record.classes import classify
from storage.spool.framing import Framing
from storage.spool.spool import Spool
from storage.writing.writer import Writer
from tests.support.product import Product

P50_LIMIT_MS, P99_LIMIT_MS = 12, 80
WARM = 20
"""Warm-up flushes: streams are new, connections cold."""


def main() -> int:
    """Print the measurements; return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--load-tool", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=300)
    chosen = parser.parse_args()
    bodies = distinct_bodies(chosen.load_tool, chosen.repeats + WARM)
    measurements = Measurements()
    with Product.running() as product, tempfile.TemporaryDirectory() as folder:
        measurements.report("one fdatasync of 400 kB", sync_ms(Path(folder)), "ms")
        took_ms = asyncio.run(flushes(product, bodies, Path(folder, "spool")))[WARM:]
    measurements.report(
        f"a flush of {BATCH} rows, p50", statistics.median(took_ms), "ms", P50_LIMIT_MS
    )
    measurements.report("… p99", statistics.quantiles(took_ms, n=100)[98], "ms", P99_LIMIT_MS)
    measurements.report("… longest", max(took_ms), "ms")
    return 0 if measurements.is_within else 1


async def flushes(product: Product, bodies: list[bytes], folder: Path) -> list[float]:
    """Return the milliseconds of each transaction."""
    pool = await open_pool(product.installation.database_dsn(), DatabaseRole.WRITER, size=2)
    spool = await Spool.open(folder, SpoolSettings(), 2**24)
    writer = Writer(pool, spool, WriterSettings(), duplicate_window_s=3600, note=lambda *_: None)
    await writer.register()
    working = asyncio.create_task(writer.run())
    codec = default_codec()
    framing = Framing(spool, classify)
    took_ms = []
    for body in bodies:
        now_ns = time.time_ns()
        export = codec.redact(codec.decode(Signal.LOGS, Encoding.PROTOBUF, body))
        batch = codec.map(export, received_unix_ns=now_ns, key=KEYLESS)
        batch_id = framing.next_batch_id(now_ns)
        await spool.append(
            framing.frame(batch, batch_id=batch_id, received_unix_ns=now_ns, signal="logs")
        )
        await spool.drained()
        took_ms.append(writer.state.flush_s * 1000)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await spool.close()
    await pool.close()
    return took_ms


if __name__ == "__main__":
    sys.exit(main())
