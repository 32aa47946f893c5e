"""Senders that are slow, silent or too many (F52, F63) are disconnected and do not block others."""

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from config.settings import OtlpSettings
from otlp_receiver.http import server
from tests.contract.otlp.server import JSON, PROTOBUF, Wire, request, running
from tests.support.waiting import until

QUICK = OtlpSettings(header_timeout_s=0.4, body_timeout_s=0.8)
"""The same deadlines as in production, a few dozen times sooner."""


@pytest.mark.parametrize(
    "sent",
    [b"", b"POST", b"POST /v1/logs HTTP/1.1\r\nHost: x\r\n", b"\r\n"],
    ids=["silent", "method", "headers", "newline"],
)
async def test_a_header_timeout_closes_the_connection(sent):
    """F52: a silent connection and half a header."""
    async with running(QUICK) as receiver:
        wire = await receiver.connect()
        await wire.send(sent)

        assert await wire.is_closed(within_s=2)


async def test_headers_byte_by_byte_have_the_same_timeout():
    """F52: a byte does not extend the timeout."""
    async with running(QUICK) as receiver:
        wire = await receiver.connect()
        began = asyncio.get_running_loop().time()
        with suppress(ConnectionError):
            while asyncio.get_running_loop().time() - began < 5:
                await wire.send(b"X")
                await asyncio.sleep(0.05)

        assert asyncio.get_running_loop().time() - began < 2


async def test_a_header_timeout_applies_to_later_requests():
    """F52: the second request has the same timeout as the first."""
    async with running(QUICK) as receiver:
        wire = await receiver.connect()
        await wire.send(request(body=b"abc"))
        await wire.reply()
        await wire.send(b"POST /v1")

        assert await wire.is_closed(within_s=2)


async def test_an_idle_connection_outlives_the_header_timeout():
    """147: the keep-alive timeout applies, not the header timeout."""
    async with running(QUICK) as receiver:
        wire = await receiver.connect()
        await wire.send(request(body=b"abc"))
        await wire.reply()

        assert not await wire.is_closed(within_s=1.2)
        await wire.send(request(body=b"abc"))
        assert (await wire.reply()).status == 200


async def test_an_idle_connection_ends_at_the_keep_alive_timeout():
    """147: it is not kept forever."""
    async with running(OtlpSettings(keepalive_timeout_s=0.3)) as receiver:
        wire = await receiver.connect()
        await wire.send(request(body=b"abc"))
        await wire.reply()

        assert await wire.is_closed(within_s=2)


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
async def test_a_body_timeout_gets_408(kind):
    """F52: in the request's encoding, and the connection ends."""
    async with running(QUICK) as receiver:
        wire = await receiver.connect()
        await wire.send(request(Content_Type=kind, Content_Length=1000) + b"abc")

        reply = await wire.reply()

        assert (reply.status, reply.headers["content-type"]) == (408, kind)
        assert reply.rpc.message.startswith("body_too_slow")
        assert await wire.is_closed(within_s=3)


async def test_a_body_below_the_minimum_rate_gets_408(monkeypatch):
    """F52: long before the body timeout."""
    monkeypatch.setattr(server, "_RATE_GRACE_S", 0.3)
    async with running(OtlpSettings(header_timeout_s=0.4)) as receiver:
        wire = await receiver.connect()
        await wire.send(request(Content_Length=100_000) + b"abc")

        assert (await wire.reply()).status == 408


async def test_a_body_at_the_minimum_rate_is_accepted(monkeypatch):
    """A slow network is not an attack."""
    monkeypatch.setattr(server, "_RATE_GRACE_S", 0.1)
    async with running(OtlpSettings(header_timeout_s=0.4)) as receiver:
        wire = await receiver.connect()
        await wire.send(request(Content_Length=10_000))
        for _ in range(10):
            await wire.send(bytes(1000))
            await asyncio.sleep(0.06)

        assert (await wire.reply()).status == 200


async def test_two_hundred_slow_senders_do_not_slow_the_others():
    """F52: silent, half a header, half a body; all are closed at their deadline."""
    async with running(OtlpSettings(header_timeout_s=3, body_timeout_s=3)) as receiver:
        slow = [await receiver.connect() for _ in range(200)]
        for number, wire in enumerate(slow):
            await wire.send((b"", b"POST /v1/l", request(Content_Length=1000) + b"x")[number % 3])

        for _ in range(50):
            async with asyncio.timeout(2):  # a sender that held up the others would take its three
                assert (await receiver.post(body=b"abc")).status == 200

        closed = await asyncio.gather(*(wire.is_closed(within_s=20) for wire in slow))
        assert all(closed)
        await until(lambda: receiver.server.slots.used == 0)


async def test_connections_beyond_the_limit_wait():
    """They are neither refused nor served too early."""
    async with running(OtlpSettings(max_connections=2)) as receiver:
        first, second = await receiver.connect(), await receiver.connect()
        for wire in (first, second):
            await wire.send(request(body=b"abc"))
            assert (await wire.reply()).status == 200
        third = await receiver.connect()
        await third.send(request(body=b"third"))

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await third.reader.readexactly(1)
        await first.close()

        assert (await third.reply()).status == 200
        assert receiver.server.slots.used == 2


async def test_one_address_cannot_take_every_connection():
    """F52: connections above its limit are closed, its others continue."""
    async with running(OtlpSettings(max_connections_per_peer=2)) as receiver:
        first, second, third = [await receiver.connect() for _ in range(3)]

        assert await third.is_closed()
        await first.send(request(body=b"abc"))
        assert (await first.reply()).status == 200
        await second.close()
        await until(lambda: receiver.server.slots.used == 1)
        assert (await receiver.post(body=b"abc")).status == 200


async def test_running_out_of_descriptors_pauses_and_does_not_spin(receiver):
    """F63: open connections continue, and the waiting one is served when a descriptor is free."""
    wire = await receiver.connect()
    await wire.send(request(body=b"abc"))
    await wire.reply()
    with all_descriptors_taken() as taken:
        taken.pop().close()
        late = socket.create_connection(("127.0.0.1", receiver.port))
        receiver.wires.append(late_wire := Wire(*await asyncio.open_connection(sock=late)))
        await asyncio.sleep(0.1)
        used = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        await wire.send(request(body=b"abc"))
        assert (await wire.reply()).status == 200
        await asyncio.sleep(0.5)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - used < 0.25

    await late_wire.send(request(body=b"late"))
    assert (await late_wire.reply()).status == 200


@contextmanager
def all_descriptors_taken() -> Iterator[list[socket.socket]]:
    """Sockets on every descriptor that is free below a limit just above the highest one in use."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    with ExitStack() as until_the_end:
        until_the_end.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limit)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 10, limit[1]))
        taken: list[socket.socket] = []
        with suppress(OSError):  # too many open files
            while True:
                taken.append(until_the_end.enter_context(socket.socket()))
        yield taken
