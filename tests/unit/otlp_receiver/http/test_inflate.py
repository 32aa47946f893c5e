"""Content codings: whatever is packed comes out again, however it is cut on the way."""

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
    """Everything that comes out of these chunks."""
    inflater = inflater_of(coding)
    pieces = [piece for chunk in chunks for piece in inflater.feed(chunk)]
    inflater.finish()
    return b"".join(pieces)


def cut(data, places):
    """The data in pieces that end at these places."""
    ends = sorted({place % (len(data) + 1) for place in places})
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


@codings
@given(
    bodies=st.lists(st.binary(max_size=2000), min_size=1, max_size=3),
    places=st.lists(st.integers(0, 10**6), max_size=8),
)
def test_any_body_comes_out_however_it_is_cut(coding, bodies, places):
    """Also of several members, where the coding allows them."""
    bodies = bodies[:1] if coding == "deflate" else bodies
    packed = b"".join(map(PACKERS[coding], bodies))

    assert inflated(coding, cut(packed, places)) == b"".join(bodies)


@codings
def test_a_body_that_ends_at_any_byte_too_early_is_told(coding):
    """Never a part of the data for all of it."""
    packed = PACKERS[coding](b"some text, some more text, " * 20)

    for end in range(len(packed)):
        with pytest.raises(BadCompression):
            inflated(coding, [packed[:end]])


@codings
def test_a_body_with_any_byte_changed_is_told_or_the_same(coding):
    """Some bits of a header mean nothing (gzip: time, system)."""
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
def test_slices_lose_nothing_at_their_borders(coding, size):
    """What fits a slice exactly may leave bytes behind in the decompressor."""
    body = random.Random(size).randbytes(1000) * (size // 1000 + 1)

    assert inflated(coding, [PACKERS[coding](body[:size])]) == body[:size]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_slice_is_never_larger_than_it_may_be(coding):
    """However much one chunk can become."""
    pieces = inflater_of(coding).feed(PACKERS[coding](bytes(50_000_000)))

    assert all(len(piece) <= SLICE_BYTES for piece in pieces)


def test_a_step_of_zstd_is_bounded():
    """The densest there is: a byte repeated in blocks of 128 KiB, 4 bytes each."""
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
def test_a_zstd_frame_that_holds_less_than_it_says_is_told(step):
    """Found by fuzzing: 255 bytes said, an empty last block, however it is cut."""
    body = bytes.fromhex("28b52ffd20ff010000")

    with pytest.raises(BadCompression):
        inflated("zstd", [body[at : at + step] for at in range(0, len(body), step)])
