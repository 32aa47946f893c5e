"""TLS and client certificates of the OTLP listener (T58)."""

import os
import ssl
import warnings

import pytest

from config.process.tls import TlsContext, TlsRefused
from config.settings import OtlpSettings
from tests.contract.otlp.certificates import Authority
from tests.contract.otlp.server import request, running
from tests.support.waiting import until


@pytest.fixture
def authority(tmp_path):
    """The authority that signed the receiver's certificate."""
    return Authority(tmp_path, "ours")


@pytest.fixture
def settings(authority):
    """A receiver with a certificate."""
    pair = authority.sign("receiver")
    return OtlpSettings(tls_cert=pair.cert, tls_key=pair.key, header_timeout_s=0.8)


def client(authority, pair=None):
    """A sender's SSL context, which trusts the authority."""
    context = ssl.create_default_context(cafile=authority.cert)
    if pair is not None:
        context.load_cert_chain(pair.cert, pair.key)
    return context


async def exchange(receiver, context):
    """One export over TLS."""
    wire = await receiver.connect(context)
    await wire.send(request(body=b"abc"))
    reply = await wire.reply()
    return wire, reply


async def test_exports_over_tls(authority, settings):
    """With 1.2 or newer, and HTTP/1.1 negotiated."""
    async with running(settings) as receiver:
        context = client(authority)
        context.set_alpn_protocols(["h2", "http/1.1"])
        wire, reply = await exchange(receiver, context)

        spoken = wire.writer.get_extra_info("ssl_object")
        assert reply.status == 200
        assert spoken.version() in {"TLSv1.2", "TLSv1.3"}
        assert spoken.selected_alpn_protocol() == "http/1.1"


async def test_old_versions_of_tls_are_refused(authority, settings):
    """1.1 has been deprecated by RFC 8996."""
    async with running(settings) as receiver:
        context = client(authority)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("DEFAULT:@SECLEVEL=0")

        with pytest.raises((ssl.SSLError, ConnectionError)):
            await exchange(receiver, context)

        assert (await exchange(receiver, client(authority)))[1].status == 200


async def test_plain_http_on_the_tls_port_is_closed(authority, settings):
    """A sender with http:// in its endpoint."""
    async with running(settings) as receiver:
        wire = await receiver.connect()
        await wire.send(request(body=b"abc"))

        assert await wire.is_closed()
        assert (await exchange(receiver, client(authority)))[1].status == 200
        assert receiver.sink.bodies == [b"abc"]


async def test_a_handshake_timeout_closes_the_connection(authority, settings):
    """F52: its connection slot is free again."""
    async with running(settings) as receiver:
        wire = await receiver.connect()

        assert await wire.is_closed(within_s=3)
        await until(lambda: receiver.server.slots.used == 0)


async def test_with_client_certificates_only_their_holders_are_served(
    tmp_path, authority, settings
):
    """mTLS: a certificate of the right authority, of another one, and none."""
    untrusted = Authority(tmp_path, "untrusted")
    settings = settings.model_copy(update={"tls_client_ca": authority.cert})
    async with running(settings) as receiver:
        for pair in (None, untrusted.sign("untrusted")):
            with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
                await exchange(receiver, client(authority, pair))

        _, reply = await exchange(receiver, client(authority, authority.sign("shop")))

        assert reply.status == 200
        assert len(receiver.sink.got) == 1


async def test_a_renewed_certificate_is_loaded_without_a_restart(authority, settings):
    """T58: open connections continue; an incomplete file changes nothing."""
    async with running(settings) as receiver:
        wire, _ = await exchange(receiver, client(authority))
        old = wire.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        settings.tls_key.write_bytes(b"half-written")
        os.utime(settings.tls_key, ns=(1, 1))
        assert (await exchange(receiver, client(authority)))[1].status == 200

        authority.sign("receiver")

        async def is_renewed():
            new, _ = await exchange(receiver, client(authority))
            return new.writer.get_extra_info("ssl_object").getpeercert(binary_form=True) != old

        await until(is_renewed, within_s=5)
        await wire.send(request(body=b"abc"))
        assert (await wire.reply()).status == 200


def test_unusable_files_are_reported_at_startup(tmp_path, settings):
    """By name, without their contents."""
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN SECRET-----")

    for change in (
        {"tls_cert": broken},
        {"tls_key": tmp_path / "absent"},
        {"tls_client_ca": broken},
    ):
        with pytest.raises(TlsRefused) as refused:
            TlsContext.of(settings.model_copy(update=change))
        assert "SECRET" not in str(refused.value)
        assert next(iter(change.values())).name in str(refused.value)
