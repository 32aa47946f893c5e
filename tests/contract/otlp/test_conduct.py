"""HTTP conduct on raw sockets: points 147 to 156, slow senders (F52), shutdown (145, F16)."""

import asyncio
import json
import logging
import resource
import socket
from contextlib import suppress

import pytest

from config.settings import OtlpSettings
from otlp_receiver import conduct
from tests.contract.otlp.server import JSON, PROTOBUF, MemorySink, request, running
from tests.support.waiting import until

QUICK = OtlpSettings(header_timeout_s=0.4, body_timeout_s=0.8)
"""The same deadlines as in production, a few dozen times sooner."""


async def test_point_147_many_exports_share_one_connection(receiver):
    """147: keep-alive."""
    wire = await receiver.connect()

    for number in range(50):
        await wire.send(request(body=b"%d" % number))
        assert (await wire.reply()).status == 200

    assert len(receiver.sink.got) == 50
    assert OtlpSettings().keepalive_timeout_s >= 60


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/logs", {"Content_Type": "text/plain"}, 415),
        ("/v1/metrics", {}, 404),
        ("/v1/logs", {"Content_Encoding": "br"}, 415),
        ("/v1/logs", {"Content_Encoding": "gzip"}, 400),
    ],
)
async def test_point_148_the_connection_goes_on_after_an_unread_body(
    receiver, path, headers, status
):
    """148: the small body of a refused request is not taken for the next request."""
    wire = await receiver.connect()
    await wire.send(request(path, b"POST / HTTP/1.1\r\n\r\n" * 100, **headers))

    assert (await wire.reply()).status == status
    await wire.send(request(body=b"next"))

    assert (await wire.reply()).status == 200
    assert receiver.sink.bodies == [b"next"]


async def test_point_148_a_large_unread_body_ends_the_connection_cleanly(receiver):
    """148: the answer says so and reaches a sender that is still sending."""
    wire = await receiver.connect()
    body = bytes(3_000_000)

    await wire.send(request("/v1/metrics", body))
    reply = await wire.reply()

    assert (reply.status, reply.headers["connection"]) == (404, "close")
    assert await wire.is_closed()


async def test_point_149_a_sender_that_asks_is_told_to_go_on(receiver):
    """149: 100, then 200."""
    wire = await receiver.connect()
    await wire.send(request(Content_Length=3, Expect="100-Continue"))

    assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await wire.send(b"abc")

    assert (await wire.reply()).status == 200
    assert receiver.sink.bodies == [b"abc"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2_Settings": "AAEAAEAAAA"},
        {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"},
    ],
    ids=["h2c", "websocket"],
)
@pytest.mark.parametrize("together", [True, False])
async def test_point_150_an_upgrade_is_ignored(receiver, headers, together):
    """150: the body is read, the answer is HTTP/1.1, and so is the next request."""
    wire = await receiver.connect()
    first = request(body=b"first", **headers)
    await wire.send(first if together else first[:-5])
    if not together:
        await asyncio.sleep(0.02)
        await wire.send(first[-5:])

    assert (await wire.reply()).status == 200
    await wire.send(request(body=b"next"))
    assert (await wire.reply()).status == 200
    assert receiver.sink.bodies == [b"first", b"next"]


async def test_point_151_sixteen_connections_of_twenty_exports(receiver):
    """151: all 200."""

    async def exports():
        wire = await receiver.connect()
        for _ in range(20):
            await wire.send(request(body=bytes(10_000)))
            assert (await wire.reply()).status == 200

    await asyncio.gather(*(exports() for _ in range(16)))

    assert len(receiver.sink.got) == 320


@pytest.mark.parametrize("count", [2, 100])
async def test_point_152_pipelined_requests_are_answered_in_order(receiver, count):
    """152: every second one is for another path."""
    wire = await receiver.connect()
    await wire.send(
        b"".join(
            request("/v1/metrics" if number % 2 else "/v1/logs", b"%d" % number)
            for number in range(count)
        )
    )

    statuses = [(await wire.reply()).status for _ in range(count)]

    assert statuses == [404 if number % 2 else 200 for number in range(count)]
    assert receiver.sink.bodies == [b"%d" % number for number in range(0, count, 2)]


async def test_point_152_http_1_0_is_served_and_closed(receiver):
    """152: without Host, as old clients send it."""
    wire = await receiver.connect()
    await wire.send(
        b"POST /v1/logs HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )

    assert (await wire.reply()).status == 200
    assert await wire.is_closed()


async def test_point_152_header_names_in_any_case(receiver):
    """152: upper, lower, mixed."""
    wire = await receiver.connect()
    await wire.send(
        b"POST /v1/logs HTTP/1.1\r\nHOST: x\r\ncOnTeNt-TyPe: application/json\r\n"
        b"CONTENT-LENGTH: 2\r\n\r\n{}"
    )

    assert (await wire.reply()).headers["content-type"] == JSON


async def test_point_153_a_slow_body_is_served(receiver):
    """153: byte by byte."""
    wire = await receiver.connect()
    for byte in request(body=b"slowly"):
        await wire.send(bytes([byte]))
        await asyncio.sleep(0)

    assert (await wire.reply()).status == 200
    assert receiver.sink.bodies == [b"slowly"]


@pytest.mark.parametrize("cut", [1, 30, 120, 500, 9_000])
async def test_point_153_a_sender_that_goes_leaves_nothing(receiver, caplog, cut):
    """153, F53: half an export is not stored, the next sender is served, nothing is logged."""
    whole = request(body=bytes(10_000))
    wire = await receiver.connect()
    await wire.send(whole[:cut])
    await asyncio.sleep(0.02)
    wire.writer.transport.abort()
    await asyncio.sleep(0.02)

    assert (await receiver.post(body=b"next")).status == 200
    assert receiver.sink.bodies == [b"next"]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_point_153_a_sender_that_goes_before_the_answer_harms_nobody(caplog):
    """153, F53: its export is stored all the same."""
    sink = MemorySink(gate=asyncio.Event())
    async with running(sink=sink) as receiver:
        wire = await receiver.connect()
        await wire.send(request(body=b"gone"))
        await until(lambda: sink.waiting == 1)
        wire.writer.transport.abort()
        await asyncio.sleep(0.02)
        sink.gate.set()
        await until(lambda: sink.bodies == [b"gone"])

        assert (await receiver.post(body=b"next")).status == 200
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", id="154"),
        pytest.param(b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 4\r\n\r\nabcd", id="154-list"),
        pytest.param(b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="smuggled"),
        pytest.param(b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\n", id="negative"),
        pytest.param(b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", id="coding"),
        pytest.param(b"POST /v1/logs HTTP/1.1\r\nContent-Length: 0\r\n\r\n", id="no-host"),
        pytest.param(b"POST /v1/logs HTTP/1.1\r\nHost : x\r\n\r\n", id="space"),
        pytest.param(b"POST /v1/logs HTTP/1.1\r\nAuthorization: Bearer opslog_SECRET\r\nbad header\r\n\r\n", id="no-colon"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50) + b"\r\n\r\n", id="tls"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="156-h2"),
        pytest.param(b"POST  HTTP/1.1\r\n\r\n", id="no-path"),
    ],
)  # fmt: skip
async def test_what_is_not_http_is_answered_with_400_and_closed(receiver, caplog, bad):
    """154, 156: with a Status, without repeating what was sent, to the sender or in the log."""
    wire = await receiver.connect()
    await wire.send(bad)

    reply = await wire.reply()

    assert reply.status == 400
    assert json.loads(reply.body)["message"].startswith("bad_http")
    assert await wire.is_closed()
    assert receiver.sink.got == []
    assert "SECRET" not in reply.body.decode() + caplog.text


@pytest.mark.parametrize("size", [8000, 100_000])
async def test_point_155_long_headers_do_no_harm(receiver, size):
    """155: 8000 bytes pass; 100,000 get 400 and the end of the connection."""
    reply = await receiver.post(body=b"abc", X_Long="a" * size)

    assert reply.status == (200 if size == 8000 else 400)


@pytest.mark.parametrize("apart", [True, False])
async def test_a_chunk_that_is_none_is_answered_at_once(receiver, apart):
    """Not when the time for the body is over."""
    wire = await receiver.connect()
    await wire.send(request(Transfer_Encoding="chunked", Content_Length="-") + b"3\r\nabc\r\n")
    if apart:
        await asyncio.sleep(0.05)
    async with asyncio.timeout(2):
        await wire.send(b"no-number\r\n")
        assert (await wire.reply()).status == 400
    assert await wire.is_closed()
    assert receiver.sink.got == []


@pytest.mark.parametrize(
    "sent",
    [b"", b"POST", b"POST /v1/logs HTTP/1.1\r\nHost: x\r\n", b"\r\n"],
    ids=["silent", "method", "headers", "newline"],
)
async def test_headers_that_do_not_come_end_the_connection(sent):
    """F52: a silent connection and half a header."""
    async with running(QUICK) as receiver:
        wire = await receiver.connect()
        await wire.send(sent)

        assert await wire.is_closed(within_s=2)


async def test_headers_byte_by_byte_end_at_the_same_time():
    """F52: each byte does not give more time."""
    async with running(QUICK) as receiver:
        wire = await receiver.connect()
        began = asyncio.get_running_loop().time()
        with suppress(ConnectionError):
            while asyncio.get_running_loop().time() - began < 5:
                await wire.send(b"X")
                await asyncio.sleep(0.05)

        assert asyncio.get_running_loop().time() - began < 2


async def test_headers_that_do_not_come_on_a_used_connection_end_it():
    """F52: the second request has the same time as the first."""
    async with running(QUICK) as receiver:
        wire = await receiver.connect()
        await wire.send(request(body=b"abc"))
        await wire.reply()
        await wire.send(b"POST /v1")

        assert await wire.is_closed(within_s=2)


async def test_an_idle_connection_is_kept_longer_than_headers_may_take():
    """147: the keep-alive time counts, not the one for headers."""
    async with running(QUICK) as receiver:
        wire = await receiver.connect()
        await wire.send(request(body=b"abc"))
        await wire.reply()

        assert not await wire.is_closed(within_s=1.2)
        await wire.send(request(body=b"abc"))
        assert (await wire.reply()).status == 200


async def test_an_idle_connection_ends_with_the_keep_alive_time():
    """147: not never."""
    async with running(OtlpSettings(keepalive_timeout_s=0.3)) as receiver:
        wire = await receiver.connect()
        await wire.send(request(body=b"abc"))
        await wire.reply()

        assert await wire.is_closed(within_s=2)


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
async def test_a_body_that_does_not_come_is_answered_with_408(kind):
    """F52: in the request's encoding, and the connection ends."""
    async with running(QUICK) as receiver:
        wire = await receiver.connect()
        await wire.send(request(Content_Type=kind, Content_Length=1000) + b"abc")

        reply = await wire.reply()

        assert (reply.status, reply.headers["content-type"]) == (408, kind)
        assert reply.rpc.message.startswith("body_too_slow")
        assert await wire.is_closed(within_s=3)


async def test_a_body_below_the_least_rate_is_answered_with_408(monkeypatch):
    """F52: long before the time for the body is over."""
    monkeypatch.setattr(conduct, "_RATE_GRACE_S", 0.3)
    async with running(OtlpSettings(header_timeout_s=0.4)) as receiver:
        wire = await receiver.connect()
        await wire.send(request(Content_Length=100_000) + b"abc")

        assert (await wire.reply()).status == 408


async def test_a_body_at_the_least_rate_is_taken(monkeypatch):
    """A slow network is no attack."""
    monkeypatch.setattr(conduct, "_RATE_GRACE_S", 0.1)
    async with running(OtlpSettings(header_timeout_s=0.4)) as receiver:
        wire = await receiver.connect()
        await wire.send(request(Content_Length=10_000))
        for _ in range(10):
            await wire.send(bytes(1000))
            await asyncio.sleep(0.06)

        assert (await wire.reply()).status == 200


async def test_two_hundred_slow_senders_do_not_slow_the_others():
    """F52: silent, half a header, half a body; all are gone at their deadline."""
    async with running(QUICK) as receiver:
        slow = [await receiver.connect() for _ in range(200)]
        for number, wire in enumerate(slow):
            await wire.send((b"", b"POST /v1/l", request(Content_Length=1000) + b"x")[number % 3])

        for _ in range(50):
            async with asyncio.timeout(0.5):
                assert (await receiver.post(body=b"abc")).status == 200

        closed = await asyncio.gather(*(wire.is_closed(within_s=4) for wire in slow))
        assert all(closed)
        await until(lambda: receiver.server.open_connections == 0)


async def test_connections_beyond_the_cap_wait_for_their_turn():
    """They are neither refused nor served too soon."""
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
        assert receiver.server.open_connections == 2


async def test_one_address_cannot_take_every_connection():
    """F52: beyond its share connections are closed, and its others go on."""
    async with running(OtlpSettings(max_connections_per_peer=2)) as receiver:
        first, second, third = [await receiver.connect() for _ in range(3)]

        assert await third.is_closed()
        await first.send(request(body=b"abc"))
        assert (await first.reply()).status == 200
        await second.close()
        await until(lambda: receiver.server.open_connections == 1)
        assert (await receiver.post(body=b"abc")).status == 200


async def test_running_out_of_descriptors_pauses_and_does_not_spin(receiver):
    """F63: others go on, and the waiting connection is served when there is one again."""
    wire = await receiver.connect()
    await wire.send(request(body=b"abc"))
    await wire.reply()
    waiting = socket.create_connection(("127.0.0.1", receiver.port))
    taken, limit = [], resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, limit[1]))
    try:
        with suppress(OSError):  # too many open files
            while True:
                taken.append(socket.socket())
        taken.pop().close()
        late = socket.create_connection(("127.0.0.1", receiver.port))
        await asyncio.sleep(0.1)
        used = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        await wire.send(request(body=b"abc"))
        assert (await wire.reply()).status == 200
        await asyncio.sleep(0.5)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - used < 0.25
    finally:
        for one in taken:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)

    reader, writer = await asyncio.open_connection(sock=late)
    writer.write(request(body=b"late"))
    async with asyncio.timeout(5):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    waiting.close()


async def test_point_145_requests_that_were_begun_are_finished():
    """145, F16: one waits for its fsync, one is in the middle of its body."""
    sink = MemorySink(gate=asyncio.Event())
    async with running(sink=sink) as receiver:
        waiting, reading, idle = [await receiver.connect() for _ in range(3)]
        await waiting.send(request(body=b"waiting"))
        await reading.send(request(body=b"reading")[:-3])
        await until(lambda: sink.waiting == 1)

        closing = asyncio.create_task(receiver.listener.close(5))
        assert await idle.is_closed()
        await reading.send(b"ing")
        await until(lambda: sink.waiting == 2)
        sink.gate.set()
        replies = [await waiting.reply(), await reading.reply()]
        await closing

    assert [(reply.status, reply.headers["connection"]) for reply in replies] == [
        (200, "close")
    ] * 2
    assert sorted(sink.bodies) == [b"reading", b"waiting"]


async def test_point_145_a_request_behind_one_in_work_is_not_taken_any_more():
    """145: 503 or the end of the connection; never 200 without storing."""
    sink = MemorySink(gate=asyncio.Event())
    async with running(sink=sink) as receiver:
        wire = await receiver.connect()
        await wire.send(request(body=b"first") + request(body=b"second"))
        await until(lambda: sink.waiting == 1)
        closing = asyncio.create_task(receiver.listener.close(5))
        await asyncio.sleep(0.05)
        sink.gate.set()

        assert (await wire.reply()).status == 200
        assert await wire.is_closed()
        await closing
    assert sink.bodies == [b"first"]


async def test_point_145_the_grace_is_not_endless():
    """145, F16: a body that does not come does not keep the process."""
    async with running() as receiver:
        wire = await receiver.connect()
        await wire.send(request(Content_Length=1000) + b"abc")
        await until(lambda: any(one.in_request for one in receiver.server.connections))

        async with asyncio.timeout(4):
            await receiver.listener.close(0.2)
