"""HTTP on raw sockets: points 147 to 156."""

import asyncio
import json
import logging

import pytest

from config.settings import OtlpSettings
from tests.contract.otlp.server import JSON, MemorySink, request, running
from tests.support.waiting import until


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
async def test_point_148_the_connection_stays_usable_after_an_unread_body(
    receiver, path, headers, status
):
    """148: the small body of a rejected request is not read as the next request."""
    wire = await receiver.connect()
    await wire.send(request(path, b"POST / HTTP/1.1\r\n\r\n" * 100, **headers))

    assert (await wire.reply()).status == status
    await wire.send(request(body=b"next"))

    assert (await wire.reply()).status == 200
    assert receiver.sink.bodies == [b"next"]


async def test_point_148_a_large_unread_body_ends_the_connection_cleanly(receiver):
    """148: the response is final and reaches a sender that is still sending."""
    wire = await receiver.connect()
    body = bytes(3_000_000)

    await wire.send(request("/v1/metrics", body))
    reply = await wire.reply()

    assert (reply.status, reply.headers["connection"]) == (404, "close")
    assert await wire.is_closed()


async def test_point_149_expect_gets_100_continue(receiver):
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
    """150: the body is read, the response is HTTP/1.1, and so is the next request."""
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
async def test_point_152_pipelined_requests_get_responses_in_order(receiver, count):
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
    """152: without Host, as sent by old clients."""
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
async def test_point_153_a_disconnect_within_a_body_leaves_nothing(receiver, caplog, cut):
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


async def test_point_153_a_disconnect_before_the_response_is_harmless(caplog):
    """153, F53: its export is still stored."""
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
async def test_malformed_http_gets_400_and_is_closed(receiver, caplog, bad):
    """154, 156: with a Status, without repeating the request in the response or the log."""
    wire = await receiver.connect()
    await wire.send(bad)

    reply = await wire.reply()

    assert reply.status == 400
    assert json.loads(reply.body)["message"].startswith("bad_http")
    assert await wire.is_closed()
    assert receiver.sink.got == []
    assert "SECRET" not in reply.body.decode() + caplog.text


@pytest.mark.parametrize("size", [8000, 100_000])
async def test_point_155_long_headers_are_limited(receiver, size):
    """155: 8000 bytes pass; 100,000 get 400 and the end of the connection."""
    reply = await receiver.post(body=b"abc", X_Long="a" * size)

    assert reply.status == (200 if size == 8000 else 400)


@pytest.mark.parametrize("apart", [True, False])
async def test_an_invalid_chunk_is_rejected_immediately(receiver, apart):
    """Not only at the body timeout."""
    wire = await receiver.connect()
    await wire.send(request(Transfer_Encoding="chunked", Content_Length="-") + b"3\r\nabc\r\n")
    if apart:
        await asyncio.sleep(0.05)
    async with asyncio.timeout(2):
        await wire.send(b"no-number\r\n")
        assert (await wire.reply()).status == 400
    assert await wire.is_closed()
    assert receiver.sink.got == []
