"""What packs cost: bytes a row by column and index part, CPU a row, memory, false blocks.

    python loadtests/bench_packs.py --load-tool otlp_load.py --rows 1000000 --request 500
    python loadtests/bench_packs.py --kind nginx --rows 40000

The load tool's records go through the codec in a process of its own, INFO's rows into a file; the
packing process reads that.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from librt.strings import BytesWriter

import opslog  # noqa: F401 - first: it decides whether the loops are the compiled ones
from loadtests.unlike_logs import KINDS, copy_bytes, secret_of
from storage.packs.index.layout import MARK, PART
from storage.packs.rows.tuples import scan
from storage.packs.spool import KEY
from storage.record.nonces import Completer, class_key

CLASS = "info"
NO_KEY = SimpleNamespace(id=0, attributes=(), min_level=None)
START_NS = 1_796_070_000_000_000_000
HOUR_NS = 3600 * 10**9


def load_tool_rows(tool_path: Path, rows: int, request: int) -> Iterator[bytes]:
    """COPY tuples of the load tool's INFO records, over 24 h a million of them."""
    from config.settings import LimitSettings, MappingSettings, RedactionSettings  # noqa: PLC0415
    from loadtests.load_tool import load_tool  # noqa: PLC0415
    from otlp_receiver.codec import Codec  # noqa: PLC0415
    from otlp_receiver.export import Encoding, Signal  # noqa: PLC0415
    from storage.record.classes import classify  # noqa: PLC0415
    from storage.record.copy_binary import encode  # noqa: PLC0415
    from storage.redaction.redactor import Redactor  # noqa: PLC0415
    from storage.redaction.tokens import HmacKeys  # noqa: PLC0415
    from storage.spool.batch_ids import BatchIds  # noqa: PLC0415

    tool = load_tool(tool_path)
    bodies = int(rows / 0.6 / request) + 50
    span_ns = int(24 * HOUR_NS * max(rows, 1) / 1_000_000)
    templates = tool.build_templates(min(bodies, 200), request, 1)
    stream = tool.Stream(templates, request, 1, bodies, START_NS, span_ns, "ascending", 200_000)
    keys = HmacKeys({"bench": bytes(32)}, current="bench")
    codec = Codec(Redactor(RedactionSettings(), keys), LimitSettings(), MappingSettings())
    ids = BatchIds(1)
    made = 0
    for number in range(bodies):
        # As if each request arrived when its last record happened.
        now_ns = START_NS + span_ns * (number + 1) // bodies
        export = codec.redact(codec.decode(Signal.LOGS, Encoding.PROTOBUF, stream.body(number)))
        batch = codec.map(export, received_unix_ns=now_ns, key=NO_KEY)
        batch_id = ids.next(now_ns)
        parts = encode(
            batch,
            batch_id=batch_id,
            received_unix_ns=now_ns,
            ingest_key_id=0,
            classify=classify,
            secret=secret_of(batch_id),
        )
        for part in parts:
            if part.class_name == CLASS:
                yield part.copy_bytes
                made += part.rows
        if made >= rows:
            return


def nonces_of(source: Path) -> Completer:
    """The keys of the batches of a file."""
    keys: dict[int, bytes] = {}
    found = BytesWriter()
    rest = b""
    with source.open("rb") as file:
        while piece := file.read(1 << 22):
            data = rest + piece
            rest = data[scan(data, 0, found) :]
            for batch_id in np.unique(np.frombuffer(found.getvalue(), KEY)["batch"]).tolist():
                keys[batch_id] = class_key(secret_of(batch_id), CLASS)
            found.truncate(0)
    return Completer(keys)


def make_file(options: argparse.Namespace, path: Path) -> None:
    """The rows that are packed, in a file."""
    pieces = (
        copy_bytes(options.kind, options.rows)
        if options.kind
        else load_tool_rows(Path(options.load_tool), options.rows, options.request)
    )
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece)


def pack_file(options: argparse.Namespace, source: Path, folder: Path) -> None:
    """Pack it and print what it took."""
    from storage.packs.writer import PackWriter  # noqa: PLC0415

    nonces = nonces_of(source)
    base_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    streams = {"resource": "{}" * 100, "scope": "{}"}
    writer = PackWriter(
        folder,
        1,
        CLASS,
        lambda ids: dict.fromkeys(ids, streams),
        leaf=nonces,
    )
    writer.measures = options.parts
    begin = time.process_time()
    with source.open("rb") as file:
        while piece := file.read(1 << 18):
            writer.feed(piece)
    fed = time.process_time()
    facts = writer.finish()
    done = time.process_time()
    rows = facts.rows
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    marks = MARK + PART.itemsize * len(facts.parts) / rows
    print(
        f"{options.kind or f'load tool, requests of {options.request}'}:"
        f" {rows} rows, {facts.blocks} blocks,"
        f" COPY {facts.copy_bytes / rows:.1f} B/row"
    )
    print(
        f"  {facts.file_bytes / rows:.2f} B/row = data {facts.data_bytes / rows:.2f}"
        f" + index {facts.index_bytes / rows - marks:.2f} + proof {marks:.2f};"
        f" {100 * facts.file_bytes / facts.copy_bytes:.1f} % of COPY"
    )
    print(
        f"  CPU us/row: {(done - begin) / rows * 1e6:.1f} (feed {(fed - begin) / rows * 1e6:.1f});"
        f" peak {peak_mb:.0f} MB (before {base_mb:.0f})"
    )
    columns = sorted(writer.column_bytes.items(), key=lambda item: -item[1])
    print("  by column: " + ", ".join(f"{n} {s / rows:.2f}" for n, s in columns[: options.top]))
    chunks = facts.data_bytes - sum(writer.column_bytes.values())
    print(f"  footer {chunks / rows:.2f} B/row")
    if options.parts and writer.builder is not None:
        parts = sorted(writer.builder.distinct_by_part.items(), key=lambda item: -item[1])
        print("  index bits/row: " + ", ".join(f"{n} {s / rows:.2f}" for n, s in parts[:12]))
    read_back(folder)


def read_back(folder: Path) -> None:
    """Density of the signature, false blocks, and the cost of opening."""
    import random  # noqa: PLC0415

    from storage.filtering.filters import FieldEquals, Text  # noqa: PLC0415
    from storage.packs.pack import Pack  # noqa: PLC0415
    from storage.record.fields import SPAN_ID, TRACE_ID  # noqa: PLC0415

    pack = Pack(folder, 1)
    sizes = {name: of[1] for name, of in pack.index.header["sections"].items()}
    rows = pack.rows_total
    print("  index by section: " + ", ".join(f"{n} {s / rows:.2f}" for n, s in sizes.items()))
    matrix = pack.index.array("signature", np.uint8)
    density = float(np.unpackbits(matrix).mean()) * 8 * pack.index.header["signature"]["stride"]
    print(
        f"  density {density / len(pack.blocks):.2f}, bits a block"
        f" {pack.index.header['signature']['bits']}, templates {pack.index.header['templates']}"
    )
    chance = random.Random(1)
    false: dict[str, list[int]] = {}
    conditions: dict[str, list[object]] = {"needle (16 hex)": [], "phrase of 3 words": []}
    conditions["needle (16 hex)"] = [
        Text(f"{chance.getrandbits(64):016x}", True) for _ in range(50)
    ]
    ids = [chance.randbytes(16) for _ in range(50)]
    conditions["trace id"] = [FieldEquals(TRACE_ID, raw) for raw in ids]
    conditions["span id"] = [FieldEquals(SPAN_ID, raw[:8]) for raw in ids]
    for _ in range(50):
        number = chance.randrange(len(pack.blocks))
        words = chance.choice(pack.columns(number, ["message"])["message"]).split(" ")
        start = chance.randrange(max(1, len(words) - 2))
        conditions["phrase of 3 words"].append(Text(" ".join(words[start : start + 3]), True))
    for name, some in conditions.items():
        counts = []
        for condition in some:
            found = pack.candidate_blocks(condition)  # type: ignore[arg-type]
            counts.append(sum(not pack.matches(block, condition) for block in found[:200]))  # type: ignore[arg-type]
        false[name] = counts
    blocks = len(pack.blocks)
    print(
        f"  false blocks of {blocks}: "
        + ", ".join(f"{name} {sum(c) / len(c):.2f}" for name, c in false.items())
    )


def main() -> int:
    """Make the rows, pack them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--load-tool", default=os.environ.get("OPSLOG_LOAD_TOOL", ""))
    parser.add_argument("--kind", choices=sorted(KINDS), help="rows of unlike_logs.py instead")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--request", type=int, default=500)
    parser.add_argument("--parts", action="store_true", help="bits by part (costs CPU)")
    parser.add_argument("--top", type=int, default=14)
    parser.add_argument("--source", type=Path, help="a file of COPY tuples; made if missing")
    parser.add_argument("--only-make", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="opslog-packs-") as scratch:
        source = options.source or Path(scratch) / "rows"
        if not source.exists():
            if not options.only_make:
                command = [sys.executable, __file__, *sys.argv[1:], "--only-make"]
                subprocess.run([*command, "--source", str(source)], check=True)
            else:
                make_file(options, source)
                return 0
        pack_file(options, source, Path(scratch))
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.exit(main())
