"""`make profile`: CPU microseconds per record by stage.

    python -m loadtests.profile --load-tool ../shared/tools/otlp_load.py [--bodies 120]

read      HTTP: socket, headers, body, response, without processing the body
inflate   the same bodies from gzip
decode, redact, map, encode   separately, on bodies with new ids
spool     frame, checksum, write; fdatasync is waiting and printed separately
copy      PostgreSQL's backend, into open segments with their indexes, in transactions of 20,000
commit    the same backend, at the end of the transaction
send      the client's side of the COPY

The stages run one after the other here; in opslog they are interleaved, so a record is still in the cache
when the next stage processes it.
"""

import argparse
import asyncio
import gc
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from config.settings import SpoolSettings
from loadtests.default_codec import default_codec
from loadtests.load_tool import BATCH, distinct_bodies
from opslog.compiled import in_use
from otlp_receiver.admission.keys import KEYLESS
from otlp_receiver.codec import Codec
from otlp_receiver.export import Encoding, Group, Signal
from otlp_receiver.http.inflate import inflater_of
from storage.database.pool import DatabaseRole, connect
from storage.record.classes import classify
from storage.record.copy_binary import encode
from storage.record.record import Part
from storage.segments.rollover import open_segment
from storage.spool.frame import NO_HASH, Frame
from storage.spool.spool import Spool
from storage.writing.copying import copy_rows
from tests.contract.otlp.server import running
from tests.support.product import Product

TRANSACTION_ROWS = 20_000


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--load-tool", type=Path, required=True, help="otlp_load.py")
    parser.add_argument("--bodies", type=int, default=120, help="of 500 records each")
    chosen = parser.parse_args()
    bodies = distinct_bodies(chosen.load_tool, chosen.bodies)
    measurements, parts = codec_stages(bodies)
    records = len(bodies) * BATCH
    measurements["inflate"] = inflate(bodies) / records
    measurements["read"] = asyncio.run(read(chosen.load_tool, records)) / records
    spooled, synced_ms = asyncio.run(spool(parts))
    measurements["spool"] = spooled / records
    measurements |= asyncio.run(database(parts))
    print(table(measurements, synced_ms))
    return 0


def codec_stages(bodies: list[bytes]) -> tuple[dict[str, float], list[list[Part]]]:
    """Measure decode, redact, map and encode per record; the first half is warm-up."""
    codec = default_codec()
    gc.collect()
    gc.freeze()
    spent = dict.fromkeys(("decode", "redact", "map", "encode"), 0.0)
    parts: list[list[Part]] = []
    for number, body in enumerate(bodies):
        took, made = one_body(codec, body, number)
        parts.append(made)
        if number >= len(bodies) // 2:
            for stage, seconds in took.items():
                spent[stage] += seconds
    each = 1e6 / (BATCH * (len(bodies) - len(bodies) // 2))
    gc.unfreeze()
    return {stage: seconds * each for stage, seconds in spent.items()}, parts


def one_body(codec: Codec, body: bytes, number: int) -> tuple[dict[str, float], list[Part]]:
    """Return CPU seconds by stage, and the parts of the body."""
    marks = [time.process_time()]
    export: Any = codec.decode(Signal.LOGS, Encoding.PROTOBUF, body)
    export.logs = [Group(group.stream, list(group.rows)) for group in export.logs]
    marks.append(time.process_time())
    redacted: Any = codec.redact(export)
    redacted.logs = [Group(group.stream, list(group.rows)) for group in redacted.logs]
    marks.append(time.process_time())
    now_ns = time.time_ns()
    batch = codec.map(redacted, received_unix_ns=now_ns, key=KEYLESS)
    marks.append(time.process_time())
    parts = encode(
        batch,
        batch_id=number,
        received_unix_ns=now_ns,
        ingest_key_id=0,
        classify=classify,
        secret=os.urandom(16),
    )
    marks.append(time.process_time())
    took = [after - before for before, after in pairwise(marks)]
    return dict(zip(("decode", "redact", "map", "encode"), took, strict=True)), parts


def inflate(bodies: list[bytes]) -> float:
    """Measure decompression of all bodies in microseconds."""
    packed = [gzip.compress(body, 6) for body in bodies]
    began = time.process_time()
    for body in packed:
        inflater = inflater_of("gzip")
        assert inflater is not None
        b"".join(inflater.feed(body))
        inflater.finish()
    return (time.process_time() - began) * 1e6


async def read(tool: Path, records: int) -> float:
    """Measure requests of that many records whose bodies are not processed, in microseconds."""
    async with running() as receiver:
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, str(tool), "--url", f"http://127.0.0.1:{receiver.port}"),
            *("--total-records", str(records), "--concurrency", "4", "--spread", "1"),
            stdout=subprocess.PIPE,
        )
        began = time.process_time()
        result, _ = await client.communicate()
        spent_us = (time.process_time() - began) * 1e6
        acked = json.loads(result)["acked"]
    assert acked == records, result
    return spent_us


async def spool(parts: list[list[Part]]) -> tuple[float, float]:
    """Return CPU microseconds for all frames, and the median fdatasync of the disk in ms."""
    with tempfile.TemporaryDirectory(prefix="opslog-profile-") as folder:
        waiting = await Spool.open(Path(folder, "spool"), SpoolSettings(min_free_bytes=0), 2**40)
        began = time.process_time()
        for number, made in enumerate(parts):
            await waiting.append(frame_of(number, made))
        spent_us = (time.process_time() - began) * 1e6
        await waiting.close()
        return spent_us, sync_ms(Path(folder))


def frame_of(number: int, parts: list[Part]) -> Frame:
    """Build the frame of a request."""
    return Frame(
        batch_id=number + 1,
        received_unix_ns=time.time_ns(),
        ingest_key_id=0,
        signal="logs",
        request_hash=NO_HASH,
        received=BATCH,
        derived=0,
        rejected={},
        streams=(),
        parts=tuple(parts),
    )


def sync_ms(folder: Path) -> float:
    """Return one fdatasync after a write of 400 kB, median of 21."""
    took = []
    descriptor = os.open(folder / "sync", os.O_WRONLY | os.O_CREAT, 0o600)
    for place in range(21):
        os.pwrite(descriptor, bytes(400_000), place * 400_000)
        began = time.perf_counter()
        os.fdatasync(descriptor)
        took.append((time.perf_counter() - began) * 1e3)
    os.close(descriptor)
    return sorted(took)[10]


async def database(parts: list[list[Part]]) -> dict[str, float]:
    """Measure client and backend per row, from /proc/PID/schedstat."""
    with Product.running() as product:
        connection = await connect(product.installation.database_dsn(), DatabaseRole.WRITER)
        try:
            pid = connection.get_server_pid()
            names = sorted({part.class_name for made in parts for part in made})
            segments = {name: await open_segment(connection, name) for name in names}
            sums = {"copy": 0.0, "commit": 0.0, "send": 0.0}
            rows = 0
            step = TRANSACTION_ROWS // BATCH
            for first in range(0, len(parts), step):
                some = [part for made in parts[first : first + step] for part in made]
                rows += sum(part.rows for part in some)
                await one_transaction(connection, pid, segments, some, sums)
        finally:
            await connection.close()
    return {stage: spent / rows for stage, spent in sums.items()}


async def one_transaction(
    connection: Any, pid: int, segments: dict[str, int], parts: list[Part], sums: dict[str, float]
) -> None:
    """Copy the parts and commit; add the times to `sums`."""
    by_class: dict[str, list[bytes]] = {}
    for part in parts:
        by_class.setdefault(part.class_name, []).append(part.copy_bytes)
    transaction = connection.transaction()
    await transaction.start()
    before, own = backend_us(pid), time.process_time()
    for name, pieces in by_class.items():
        await copy_rows(connection, segments[name], pieces)
    sums["send"] += (time.process_time() - own) * 1e6
    copied = backend_us(pid)
    sums["copy"] += copied - before
    await transaction.commit()
    sums["commit"] += backend_us(pid) - copied


def backend_us(pid: int) -> float:
    """Return the CPU microseconds of a process."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1000


def table(measurements: dict[str, float], synced_ms: float) -> str:
    """Format the results; mark the slowest stage of opslog."""
    ours = ("read", "inflate", "decode", "redact", "map", "encode", "spool", "send")
    slowest = max(ours, key=lambda stage: measurements[stage])
    lines = [f"codec: {'compiled' if in_use() else 'interpreted'}", "stage    us per record"]
    lines += [
        f"{stage:9}{measurements[stage]:8.2f}{'  slowest stage of opslog' if stage == slowest else ''}"
        for stage in (*ours, "copy", "commit")
    ]
    plain = sum(measurements[stage] for stage in ours if stage != "inflate")
    lines.append(
        f"receiver, without inflate {plain:.1f}; PostgreSQL {measurements['copy'] + measurements['commit']:.1f}"
    )
    lines.append(f"one fdatasync of 400 kB: {synced_ms:.2f} ms")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
