"""Content-Encoding and transfer: points 24 to 40, and bodies with many members (F55)."""

import gzip
import zlib

import pytest
import zstandard

from tests.contract.otlp.server import JSON, PROTOBUF, request

BODY = b'{"resourceLogs": []}' * 50
GZIPPED = gzip.compress(BODY)
ZSTD = zstandard.ZstdCompressor().compress(BODY)


def with_byte_changed(data: bytes, at: int) -> bytes:
    """The data with one bit changed."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/traces"])
@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
@pytest.mark.parametrize("coding", ["-", "gzip"])
async def test_point_024_none_and_gzip_for_both_signals_and_encodings(receiver, path, kind, coding):
    """24: required of every server."""
    body = BODY if coding == "-" else GZIPPED

    reply = await receiver.post(path, body, Content_Type=kind, Content_Encoding=coding)

    assert reply.status == 200
    assert receiver.sink.bodies == [BODY]


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        pytest.param("GZIP", GZIPPED, id="25"),
        pytest.param(" Gzip ", GZIPPED, id="25-spaces"),
        pytest.param("x-gzip", GZIPPED, id="26"),
        pytest.param("identity", BODY, id="27"),
        pytest.param("", BODY, id="28"),
        pytest.param("deflate", zlib.compress(BODY), id="30"),
        pytest.param("zstd", ZSTD, id="31"),
        pytest.param("zstd", ZSTD + ZSTD[:0], id="31-one-frame"),
        pytest.param("gzip", gzip.compress(BODY[:300]) + gzip.compress(BODY[300:]), id="33"),
        pytest.param(
            "zstd",
            zstandard.ZstdCompressor().compress(BODY[:300])
            + zstandard.ZstdCompressor().compress(BODY[300:]),
            id="33-zstd",
        ),
        pytest.param("gzip", gzip.compress(b"") + GZIPPED + gzip.compress(b""), id="33-empty"),
    ],
)
async def test_supported_codings(receiver, coding, body):
    """25 to 33: the sink receives the complete plain bytes."""
    reply = await receiver.post(body=body, Content_Encoding=coding)

    assert reply.status == 200
    assert receiver.sink.bodies == [BODY]


@pytest.mark.parametrize(
    "coding", ["br", "snappy", "lz4", "compress", "x-snappy-framed", "gzip2", "none"]
)
async def test_point_029_unknown_codings_are_rejected_with_the_supported_ones(receiver, coding):
    """29, 31: never read as uncompressed."""
    reply = await receiver.post(body=BODY, Content_Encoding=coding)

    assert reply.status == 415
    assert reply.headers["accept-encoding"] == "gzip, deflate, zstd, identity"
    assert reply.rpc.message.startswith("unsupported_content_encoding")
    assert receiver.sink.got == []


async def test_point_032_gzip_of_nothing_is_an_empty_request(receiver):
    """32: 200."""
    reply = await receiver.post(body=gzip.compress(b""), Content_Encoding="gzip")

    assert reply.status == 200
    assert receiver.sink.bodies == [b""]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda _: BODY, id="plain"),
        pytest.param(lambda whole: whole[: len(whole) // 2], id="half"),
        pytest.param(lambda whole: whole[:-1], id="last-byte-missing"),
        pytest.param(lambda whole: whole[:-8], id="no-trailer"),
        pytest.param(lambda whole: whole[:3], id="header-only"),
        pytest.param(lambda _: b"", id="zero-bytes"),
        pytest.param(lambda whole: with_byte_changed(whole, len(whole) // 2), id="changed"),
        pytest.param(lambda whole: with_byte_changed(whole, -3), id="wrong-checksum"),
        pytest.param(lambda _: b"\x1f\x8b" + bytes(40), id="zeros"),
    ],
)
async def test_point_034_invalid_compression_is_rejected(receiver, coding, kind, broken):
    """34: 400 with a Status; partial data is never accepted as complete."""
    whole = {
        "gzip": GZIPPED,
        "deflate": zlib.compress(BODY),
        "zstd": zstandard.ZstdCompressor(write_checksum=True).compress(BODY),
    }[coding]

    reply = await receiver.post(body=broken(whole), Content_Type=kind, Content_Encoding=coding)

    assert reply.status == 400
    assert reply.headers["content-type"] == kind
    assert reply.rpc.message.startswith("bad_compression")
    assert reply.violations[0][1] == reply.rpc.message
    assert receiver.sink.got == []


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
async def test_point_035_trailing_garbage_is_rejected(receiver, coding):
    """35: a concatenated second export would be lost otherwise."""
    whole = {"gzip": GZIPPED, "deflate": zlib.compress(BODY), "zstd": ZSTD}[coding]

    reply = await receiver.post(body=whole + b"garbage", Content_Encoding=coding)

    assert reply.status == 400


async def test_point_036_multiple_codings_are_rejected(receiver):
    """36: no client sends them."""
    body = gzip.compress(GZIPPED)

    assert (await receiver.post(body=body, Content_Encoding="gzip, gzip")).status == 415


@pytest.mark.parametrize(
    "accepts",
    [
        pytest.param("-", id="37"),
        pytest.param("gzip", id="38"),
        pytest.param("gzip, identity", id="39-java"),
        pytest.param("gzip, deflate", id="39-python"),
        pytest.param("*", id="39-any"),
    ],
)
async def test_responses_are_never_compressed(receiver, accepts):
    """37, 38, 39: they are a few bytes."""
    reply = await receiver.post(body=b"{}", Content_Type=JSON, Accept_Encoding=accepts)

    assert "content-encoding" not in reply.headers
    assert reply.body == b"{}"


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_point_040_chunked_bodies_are_accepted(receiver, coding, size):
    """40: the JavaScript SDK always sends them."""
    body = GZIPPED if coding == "gzip" else BODY
    wire = await receiver.connect()
    await wire.send(
        request(Transfer_Encoding="chunked", Content_Length="-", Content_Encoding=coding)
    )

    for at in range(0, len(body), size):
        piece = body[at : at + size]
        await wire.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    await wire.send(b"0\r\n\r\n")

    assert (await wire.reply()).status == 200
    assert receiver.sink.bodies == [BODY]


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_the_members_of_a_body_are_bounded(receiver, coding):
    """F55: 10,000 members of 20 bytes cost more to set up than their data."""
    empty = {"gzip": gzip.compress(b""), "zstd": zstandard.ZstdCompressor().compress(b"")}[coding]

    reply = await receiver.post(body=empty * 10_000, Content_Encoding=coding)

    assert reply.status == 400
    assert "1024" in reply.rpc.message


async def test_a_zstd_window_beyond_the_standard_is_rejected(receiver):
    """RFC 9659: 8 MiB; a frame may declare 2 GiB of memory."""
    wide = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=27)
    ).compressobj()
    body = wide.compress(BODY) + wide.flush()

    assert (await receiver.post(body=body, Content_Encoding="zstd")).status == 400
