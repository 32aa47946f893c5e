"""Another protocol on the port of OTLP/HTTP: answered, logged once a minute, and closed."""

import logging
import ssl

import pytest

from otlp_receiver.http import server as http_server
from otlp_receiver.http.other_protocols import OTHER_PROTOCOLS, other_protocol_of
from tests.contract.otlp.server import PROTOBUF, request

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""The preface of a gRPC client, and its empty SETTINGS frame."""


def client_hello(*versions: ssl.TLSVersion) -> bytes:
    """The first bytes of a TLS client."""
    context = ssl.create_default_context()
    if versions:
        context.minimum_version, context.maximum_version = versions
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="receiver").do_handshake()
    return outgoing.read()


TLS = {
    "any": client_hello(),
    "1.2": client_hello(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2),
    "1.3": client_hello(ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3),
}


@pytest.mark.parametrize(
    ("first", "name", "advice"),
    [
        pytest.param(PREFACE, "gRPC (HTTP/2)", "http/protobuf", id="grpc"),
        *(
            pytest.param(hello, "TLS", "begins with http://", id=name)
            for name, hello in TLS.items()
        ),
    ],
)
async def test_the_response_and_the_log_say_what_it_is(receiver, first, name, advice, caplog):
    """As HTTP, in which clients of either protocol report a response."""
    wire = await receiver.connect()
    await wire.send(first)

    reply = await wire.reply()

    assert reply.status == 400
    assert advice in reply.rpc.message
    assert await wire.is_closed()
    assert f"{name} was sent to the port of OTLP/HTTP" in caplog.text
    assert "from 127.0.0.1" in caplog.text


@pytest.mark.parametrize("first", [PREFACE, TLS["any"]], ids=["grpc", "tls"])
async def test_it_is_logged_once_a_minute(receiver, first, caplog, monkeypatch):
    """However often senders retry; then again."""
    caplog.set_level(logging.WARNING)

    for _ in range(5):
        wire = await receiver.connect()
        await wire.send(first)
        assert await wire.is_closed()
    assert len(caplog.records) == 1
    monkeypatch.setattr(http_server, "_LOG_EVERY_S", 0.0)
    wire = await receiver.connect()
    await wire.send(first)
    assert await wire.is_closed()

    assert len(caplog.records) == 2


async def test_grpc_over_http_1_is_named(receiver):
    """As a proxy passes it on."""
    reply = await receiver.post(
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Content_Type="application/grpc+proto",
    )

    assert reply.status == 404
    assert b"http/protobuf" in reply.body


@pytest.mark.parametrize(
    "begin", [b"", b"P", b"POST /v1/logs", b"PRIX", b"\x16", b"GET / HTTP/1.1"]
)
def test_http_is_not_another_protocol(begin):
    """Nor are bytes that are none of them."""
    assert other_protocol_of(begin) is None
    assert len({protocol.name for protocol in OTHER_PROTOCOLS}) == len(OTHER_PROTOCOLS)


async def test_requests_are_served_afterwards(receiver):
    """Another connection, and those bytes in the middle of one."""
    wire = await receiver.connect()
    await wire.send(request(body=b"one", Content_Type=PROTOBUF))
    assert (await wire.reply()).status == 200
    await wire.send(PREFACE)

    assert (await wire.reply()).status == 400
