"""Content codings: decompression restores the data for any split into chunks."""

import gzip
import random
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from otlp_receiver.errors import BadCompression
from otlp_receiver.http.inflate import SLICE_BYTES, inflater_of

PACKERS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
}
codings = pytest.mark.parametrize("coding", PACKERS)


def inflated(coding, chunks):
    """The decompressed data of these chunks."""
    inflater = inflater_of(coding)
    pieces = [piece for chunk in chunks for piece in inflater.feed(chunk)]
    inflater.finish()
    return b"".join(pieces)


def split(data, places):
    """The data split at these positions."""
    ends = sorted({place % (len(data) + 1) for place in places})
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


@codings
@given(
    bodies=st.lists(st.binary(max_size=2000), min_size=1, max_size=3),
    places=st.lists(st.integers(0, 10**6), max_size=8),
)
def test_any_body_is_restored_for_any_split(coding, bodies, places):
    """Also with several members, if the coding allows them."""
    bodies = bodies[:1] if coding == "deflate" else bodies
    packed = b"".join(map(PACKERS[coding], bodies))

    assert inflated(coding, split(packed, places)) == b"".join(bodies)


@codings
def test_a_body_truncated_at_any_byte_is_an_error(coding):
    """Partial data is never accepted as complete."""
    packed = PACKERS[coding](b"some text, some more text, " * 20)

    for end in range(len(packed)):
        with pytest.raises(BadCompression):
            inflated(coding, [packed[:end]])


@codings
def test_a_body_with_any_byte_changed_is_an_error_or_unchanged(coding):
    """Some header bits have no effect (gzip: time, system)."""
    body = b"some text, some more text, " * 20
    packed = PACKERS[coding](body)

    for at in range(len(packed)):
        changed = bytearray(packed)
        changed[at] ^= 0x10
        try:
            assert inflated(coding, [bytes(changed)]) == body
        except BadCompression:
            continue


@codings
@pytest.mark.parametrize(
    "size", [SLICE_BYTES - 1, SLICE_BYTES, SLICE_BYTES + 1, 3 * SLICE_BYTES, 5_000_000]
)
def test_no_data_is_lost_at_slice_boundaries(coding, size):
    """A full slice may leave bytes in the decompressor."""
    body = random.Random(size).randbytes(1000) * (size // 1000 + 1)

    assert inflated(coding, [PACKERS[coding](body[:size])]) == body[:size]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_slice_never_exceeds_its_limit(coding):
    """Whatever a chunk expands to."""
    pieces = inflater_of(coding).feed(PACKERS[coding](bytes(50_000_000)))

    assert all(len(piece) <= SLICE_BYTES for piece in pieces)


def test_a_step_of_zstd_is_bounded():
    """Maximum density: a byte repeated in blocks of 128 KiB, 4 bytes each."""
    block = (128 * 1024 << 3 | 1 << 1).to_bytes(3, "little") + b"x"  # RLE, not the last
    header = b"\x28\xb5\x2f\xfd\x00\x58"  # magic, no content size, window of 2 MiB
    sizes = [len(piece) for piece in inflater_of("zstd").feed(header + block * 1000)]

    assert sum(sizes) > 100_000_000
    assert max(sizes) <= 17 * 2**20


def test_skippable_frames_of_zstd_are_skipped():
    """RFC 8878 section 3.1.2."""
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"

    assert inflated("zstd", [skippable + PACKERS["zstd"](b"x") + skippable]) == b"x"


@pytest.mark.parametrize("step", [1, 2, 5, 100])
def test_a_zstd_frame_shorter_than_its_content_size_is_an_error(step):
    """Found by fuzzing: 255 bytes declared, an empty last block, any split."""
    body = bytes.fromhex("28b52ffd20ff010000")

    with pytest.raises(BadCompression):
        inflated("zstd", [body[at : at + step] for at in range(0, len(body), step)])
