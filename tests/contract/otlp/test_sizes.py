"""Sizes: points 41 to 47 and 50, and bombs (F54, F56). Points 48 and 49 are test_exports.py's."""

import asyncio
import gzip
import subprocess
import sys
import zlib

import pytest
import zstandard

from config.settings import MIB, OtlpSettings
from otlp_receiver.errors import BadPayload
from otlp_receiver.http.body import YIELD_BYTES
from tests.contract.otlp.server import JSON, PROTOBUF, MemorySink, Outcome, request, running
from tests.support.waiting import until

LIMIT = 100_000
SMALL = OtlpSettings(max_body_bytes=LIMIT)
CODINGS = {
    "identity": lambda body: body,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.fixture
async def small():
    """A receiver with a limit of 100,000 bytes."""
    async with running(SMALL) as receiver:
        yield receiver


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413)])
async def test_point_041_bodies_over_the_limit_are_rejected(small, coding, chunked, size, status):
    """41: by Content-Length, chunked, and after decompression; the limit itself is allowed."""
    body = CODINGS[coding](bytes(size))
    wire = await small.connect()

    if chunked:
        framed = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        await wire.send(
            request(Transfer_Encoding="chunked", Content_Length="-", Content_Encoding=coding)
        )
        await wire.send(framed)
    else:
        await wire.send(request(body=body, Content_Encoding=coding))

    assert (await wire.reply()).status == status
    assert small.sink.bodies == ([bytes(size)] if status == 200 else [])


def test_point_042_the_default_limit_is_64_mib():
    """42: as OTLP 1.11 recommends."""
    assert OtlpSettings().max_body_bytes == 64 * MIB


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
@pytest.mark.parametrize("coding", CODINGS)
async def test_point_043_a_413_holds_a_status_in_the_requests_encoding(small, kind, coding):
    """43: with advice."""
    body = CODINGS[coding](bytes(LIMIT + 1))

    reply = await small.post(body=body, Content_Type=kind, Content_Encoding=coding)

    assert (reply.status, reply.headers["content-type"]) == (413, kind)
    assert reply.rpc.message.startswith("body_too_large")
    assert "smaller batches" in reply.rpc.message


@pytest.mark.slow
@pytest.mark.parametrize("coding", ["gzip", "zstd", "deflate"])
def test_point_044_a_bomb_of_a_gibibyte_costs_little(coding, tmp_path):
    """44: 413 within 2 s, less than 150 MB added to the process; in a process of its own."""
    script = tmp_path / "bomb.py"
    script.write_text(_BOMB)

    done = subprocess.run(
        [sys.executable, script, coding], capture_output=True, text=True, check=True, timeout=120
    )

    status, wire_bytes, elapsed_s, added_bytes = done.stdout.split()
    assert int(status) == 413
    assert int(wire_bytes) < 2 * MIB
    assert float(elapsed_s) < 2
    assert int(added_bytes) < 150_000_000


_BOMB = f"""
import asyncio, sys, time, zlib
from pathlib import Path
sys.path.insert(0, {str(sys.path[0])!r})
sys.path.insert(0, {__file__.partition("/tests/")[0]!r})
import zstandard
from tests.contract.otlp.server import running

def bomb(coding):
    if coding == "zstd":
        return zstandard.ZstdCompressor(level=19).compress(bytes(1 << 30))
    packer = zlib.compressobj(9, zlib.DEFLATED, 31 if coding == "gzip" else 15)
    return b"".join([packer.compress(bytes(1 << 20)) for _ in range(1024)]) + packer.flush()

def peak_bytes():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024

async def main(coding, body):
    async with running() as receiver:
        await receiver.post(body=b"abc")
        Path("/proc/self/clear_refs").write_text("5")  # reset the peak
        before = peak_bytes()
        began = time.monotonic()
        reply = await receiver.post(body=body, Content_Encoding=coding)
        print(reply.status, len(body), time.monotonic() - began, peak_bytes() - before)

if len(sys.argv) == 2:  # the bomb is made by a process of its own: making it takes memory
    import os, subprocess, tempfile
    with tempfile.TemporaryFile() as file:
        file.write(bomb(sys.argv[1]))
        file.seek(0)
        subprocess.run([sys.executable, *sys.argv, "run"], stdin=file, check=True)
else:
    asyncio.run(main(sys.argv[1], sys.stdin.buffer.read()))
"""


async def test_point_045_too_large_bodies_are_rejected_before_they_are_sent(small):
    """45: no 100 Continue, and the connection ends, since the body may or may not follow."""
    wire = await small.connect()
    await wire.send(request(Content_Length=LIMIT + 1, Expect="100-continue"))

    reply = await wire.reply()

    assert reply.status == 413
    assert reply.headers["connection"] == "close"


@pytest.mark.parametrize("coding", CODINGS)
async def test_point_046_a_413_is_final(small, coding):
    """46: without a hint to retry."""
    reply = await small.post(body=CODINGS[coding](bytes(LIMIT + 1)), Content_Encoding=coding)

    assert "retry-after" not in reply.headers


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(warnings=["é" * 8 * MIB]),
        Outcome(rejected={"x" * 5 * MIB: 1}),
        BadPayload("y" * 5 * MIB, where="resourceLogs[0]." * MIB),
        BadPayload("\ud800 lone", where="\udfff"),
    ],
    ids=["warnings", "reasons", "status", "surrogates"],
)
async def test_point_047_no_response_is_larger_than_4_mib(kind, outcome):
    """47: messages are shortened but remain readable."""
    async with running(sink=MemorySink(outcome)) as receiver:
        reply = await receiver.post(body=b"abc", Content_Type=kind)

    assert len(reply.body) < 64 * 1024
    assert reply.status in {200, 400}


async def test_point_050_the_memory_of_bodies_is_bounded():
    """50: beyond it 503 with Retry-After; afterwards requests are accepted again."""
    sink = MemorySink(gate=asyncio.Event())
    settings = OtlpSettings(max_inflight_bytes=2 * MIB, max_body_bytes=MIB)
    async with running(settings, sink=sink) as receiver:
        first = [asyncio.create_task(receiver.post(body=bytes(MIB))) for _ in range(2)]
        await until(lambda: sink.waiting == 2)

        refused = await receiver.post(body=bytes(MIB))
        inflated = await receiver.post(body=gzip.compress(bytes(MIB)), Content_Encoding="gzip")
        sink.gate.set()
        taken = await asyncio.gather(*first)
        again = await receiver.post(body=bytes(MIB))

    assert (refused.status, inflated.status) == (503, 503)
    assert 1 <= int(refused.headers["retry-after"]) <= 3
    assert refused.rpc.message.startswith("receiver_busy")
    assert [reply.status for reply in taken] == [200, 200]
    assert again.status == 200


async def test_a_single_body_larger_than_the_memory_limit_is_accepted():
    """It would be rejected forever otherwise."""
    settings = OtlpSettings(max_inflight_bytes=MIB, max_body_bytes=4 * MIB)
    async with running(settings) as receiver:
        assert (await receiver.post(body=bytes(3 * MIB))).status == 200


async def test_an_announced_body_uses_no_budget_before_it_arrives():
    """Connections that announce 64 MiB and send nothing must not lock others out."""
    settings = OtlpSettings(max_inflight_bytes=MIB, max_body_bytes=MIB)
    async with running(settings) as receiver:
        for _ in range(10):
            wire = await receiver.connect()
            await wire.send(request(Content_Length=MIB - 1) + b"x")

        assert (await receiver.post(body=bytes(1000))).status == 200


@pytest.mark.slow
async def test_others_are_served_while_a_large_body_is_inflated():
    """The event loop runs between slices, and complete exports are processed."""
    body = gzip.compress(bytes(60 * MIB), 1)
    async with running() as receiver:
        large = asyncio.create_task(receiver.post(body=body, Content_Encoding="gzip"))
        turns = asyncio.create_task(iterations_until(large))
        served = 0
        while not large.done():
            assert (await receiver.post(body=b"abc")).status == 200
            served += not large.done()

        assert (await large).status == 200
        assert await turns > 60 * MIB // YIELD_BYTES
    assert served


async def iterations_until(task: asyncio.Task) -> int:
    """Number of event loop iterations until the task was done."""
    turns = 0
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    return turns
