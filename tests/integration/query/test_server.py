"""Slow clients, malformed requests, too many connections, TLS (T31, T32, T55, T58)."""

import asyncio
import contextlib
import socket
import ssl
import warnings
from dataclasses import dataclass

import pytest
from aiohttp import web

from config.process.listener import Listener
from config.process.tls import TlsContext
from config.settings import ApiSettings, Settings
from query.api.http.server import ApiServer
from query.auth.shared_state import SharedState
from tests.contract.otlp.certificates import Authority
from tests.integration.query.test_http import SAFE
from tests.support.querying import make_token, query_server

GET = b"GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n"


@dataclass
class Api:
    """The application of a test with opslog's listener."""

    port: int
    served: ApiServer
    listener: Listener

    async def exchange(self, data: bytes, context: ssl.SSLContext | None = None) -> bytes:
        """What is received until the peer closes, or for half a second."""
        reader, writer = await self.connect(context)
        writer.write(data)
        response = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while part := await reader.read(65536):
                    response += part
        writer.close()
        return response

    async def connect(self, context=None):
        name = "localhost" if context else None
        return await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context, server_hostname=name
        )


@contextlib.asynccontextmanager
async def serving(database, reader_pool, **settings):
    api = ApiSettings(**settings)
    async with query_server(database.dsn, reader_pool, settings=Settings(api=api)) as server:
        runner = web.AppRunner(server.client.app, access_log=None, handler_cancellation=True)
        await runner.setup()
        sock = socket.create_server(("127.0.0.1", 0))
        served = ApiServer(runner, api, SharedState.alone())
        listener = Listener(served, sock, TlsContext.of(api))
        listener.start()
        yield Api(listener.port, served, listener)
        if not listener.is_closed:
            await listener.close(0.5)


@pytest.fixture
async def api(database, reader_pool):
    async with serving(database, reader_pool, header_timeout_s=0.4) as running:
        yield running


def status_of(response: bytes) -> int:
    return int(response.split(b" ", 2)[1])


MALFORMED = {
    "no HTTP": b"canary-XYZ\r\n\r\n",
    "a control character": b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer canary\x01\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\nHost: x\r\n: canary\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n canary\r\n\r\n",
    "a long header": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"canary" * 5000 + b"\r\n\r\n",
    "a long line": b"GET /" + b"canary" * 20_000 + b" HTTP/1.1\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"canary: 1\r\n" * 5000 + b"\r\n",
    "another version": b"GET /canary HTTP/7.7\r\n\r\n",
    "bytes in the path": b"GET /canary\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\ncanary",
    "length and chunks": b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a blank before the colon": b"POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "an unknown coding": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a signed length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\ncanary",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("kind", MALFORMED)
async def test_what_is_not_http_is_refused_and_neither_echoed_nor_logged(api, kind, caplog):
    """T4, T32, T55: what follows it is not parsed as a request either."""
    smuggled = GET % (b"/livez", b"")

    response = await api.exchange(MALFORMED[kind] + smuggled)

    assert status_of(response) == 400
    assert response.count(b"HTTP/1.") == 1
    assert b"application/problem+json" in response
    assert b"canary" not in response
    assert b"aiohttp" not in response
    for name, text in SAFE.items():
        assert f"{name}: {text}".encode() in response
    assert "canary" not in caplog.text
    assert not caplog.records  # nobody fills our log by sending garbage


async def test_two_requests_on_one_connection_get_two_responses(api):
    response = await api.exchange(GET % (b"/livez", b"") * 2)

    assert response.count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize("sent", [b"", b"GET /livez HT", b"GET /livez HTTP/1.1\r\nHost:"])
async def test_a_header_timeout_closes_the_connection(api, sent):
    reader, writer = await api.connect()
    writer.write(sent)

    async with asyncio.timeout(5):
        assert await reader.read() == b""

    assert api.served.slots.used == 0
    writer.close()


async def test_a_header_timeout_applies_to_later_requests(api):
    reader, writer = await api.connect()
    writer.write(GET % (b"/livez", b""))
    await reader.readuntil(b'"ok"}')
    await asyncio.sleep(0.6)  # longer than headers may take: an idle connection is kept

    writer.write(b"GET /livez HTTP/1.1\r\n")

    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_a_body_timeout_gets_408(database, reader_pool):
    async with serving(database, reader_pool, body_timeout_s=0.3) as api:
        head = f"Authorization: Bearer {make_token()}\r\nContent-Type: application/json\r\n"
        request = b"POST /api/v1/redaction/test HTTP/1.1\r\nHost: x\r\n" + head.encode()

        reader, writer = await api.connect()
        writer.write(request + b"Content-Length: 50\r\n\r\n{")

        async with asyncio.timeout(5):
            response = await reader.readuntil(b"request_too_slow")
        assert status_of(response) == 408
        writer.close()


async def test_one_address_cannot_take_every_connection(database, reader_pool):
    async with serving(database, reader_pool, max_connections_per_peer=2) as api:
        held = [await api.connect() for _ in range(2)]
        for _, writer in held:
            writer.write(GET % (b"/livez", b""))
        for reader, _ in held:
            await reader.readuntil(b'"ok"}')

        assert await api.exchange(GET % (b"/livez", b"")) == b""

        for _, writer in held:
            writer.close()
        async with asyncio.timeout(5):
            while not await api.exchange(GET % (b"/livez", b"")):
                await asyncio.sleep(0.05)


async def test_connections_beyond_the_limit_wait(database, reader_pool):
    async with serving(database, reader_pool, max_connections=1) as api:
        first_reader, first = await api.connect()
        first.write(GET % (b"/livez", b""))
        await first_reader.readuntil(b'"ok"}')
        reader, second = await api.connect()
        second.write(GET % (b"/livez", b""))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await reader.read(1)

        first.close()

        async with asyncio.timeout(5):
            await reader.readuntil(b'"ok"}')
        second.close()


async def test_a_client_that_does_not_read_is_disconnected(database, reader_pool, monkeypatch):
    """A client cannot keep a connection by not reading its response."""
    monkeypatch.setattr("query.api.http.server._STALLED_S", 0.5)
    async with serving(database, reader_pool) as api:
        raw = socket.create_connection(("127.0.0.1", api.port))
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        page = GET % (b"/api/openapi.json", b"Accept-Encoding: identity\r\n")
        raw.sendall(page * 200)

        async with asyncio.timeout(10):
            while api.served.slots.used == 0:
                await asyncio.sleep(0.02)
            while api.served.slots.used:
                await asyncio.sleep(0.05)
        raw.close()


async def test_shutdown_waits_for_responses_and_not_for_tails(api):
    token = f"Authorization: Bearer {make_token()}\r\n".encode()
    reader, writer = await api.connect()
    writer.write(GET % (b"/api/v1/logs/tail", token))
    await reader.readuntil(b"retry: 2000")
    begin = asyncio.get_running_loop().time()

    await api.listener.close(30)

    assert asyncio.get_running_loop().time() - begin < 5
    await reader.read()
    writer.close()


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "authority")


@pytest.fixture
async def tls(authority, database, reader_pool):
    own = authority.sign("api")
    async with serving(database, reader_pool, tls_cert=own.cert, tls_key=own.key) as running:
        yield running


def trusting(authority, newest=ssl.TLSVersion.TLSv1_3):
    context = ssl.create_default_context(cafile=str(authority.cert))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = newest
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


async def test_the_api_uses_tls_with_a_certificate(authority, tls):
    """T58, T23: then the session cookie is Secure, and for this host only."""
    login = b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n"

    response = await tls.exchange(login % make_token().encode(), trusting(authority))

    assert status_of(response) == 200
    assert b"Set-Cookie: __Host-opslog=" in response
    assert b"Secure" in response


async def test_the_api_refuses_old_versions_and_plain_http(authority, tls):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await tls.exchange(GET % (b"/livez", b""), trusting(authority, ssl.TLSVersion.TLSv1_1))
    assert b"HTTP" not in await tls.exchange(GET % (b"/livez", b""))

    for newest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        response = await tls.exchange(GET % (b"/livez", b""), trusting(authority, newest))
        assert status_of(response) == 200


async def test_the_api_takes_up_a_renewed_certificate(authority, tls):
    async def certificate():
        _, writer = await tls.connect(trusting(authority))
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return found

    old = await certificate()
    authority.sign("api")

    async with asyncio.timeout(5):
        while await certificate() == old:
            await asyncio.sleep(0.05)
