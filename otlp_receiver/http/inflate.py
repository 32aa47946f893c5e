"""Streaming decompression in bounded steps: compressed chunks in, slices of plain bytes out.

At most one slice is held, so the reader can stop at a limit before the memory is allocated. To add
a coding, add a class with `feed` and `finish` and a line in CODINGS.
"""

from collections.abc import Callable, Iterator
from typing import Protocol, cast

import zstandard
from isal import isal_zlib

from otlp_receiver.errors import BadCompression, UnsupportedContentEncoding

SLICE_BYTES = 256 * 1024
"""Maximum plain bytes per step of gzip and deflate."""
MAX_MEMBERS = 1024
"""Maximum members per gzip body and frames per zstd body; aiohttp 3.15 has the same limit."""

_ZSTD_STEP_BYTES = 512
"""zstandard's decompressobj cannot limit its output. A block of 4 bytes can expand to 128 KiB
(RFC 8878 section 3.1.1.2), so a step of 512 bytes to at most 16 MiB."""
_ZSTD_WINDOW_BYTES = 8 * 2**20
"""RFC 9659: a content coding uses windows of at most 8 MiB."""
_ZSTD_HEADER_BYTES = 18
"""Maximum frame header (RFC 8878 section 3.1.1.1); it may contain the content size."""
_SIZE_UNKNOWN = -1
_GZIP, _ZLIB = 31, 15
_IsalError = cast("type[Exception]", isal_zlib.error)


class Inflater(Protocol):
    """One compressed body."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Decompress a chunk; yields slices of plain bytes. Raises BadCompression."""

    def finish(self) -> None:
        """Raise BadCompression if the body is truncated."""


class _Zlib:
    """gzip (RFC 1952, concatenated members form one body) or deflate (RFC 1950)."""

    def __init__(self, name: str, wbits: int, max_members: int) -> None:
        self._name = name
        self._wbits = wbits
        self._max_members = max_members
        self._members = 0
        self._stream: isal_zlib.Decompress | None = None

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        more = bool(chunk)
        while more:
            stream = self._stream or self._next_member()
            try:
                piece = stream.decompress(chunk, SLICE_BYTES)
            except _IsalError as error:
                raise BadCompression(f"the body is not valid {self._name}") from error
            if piece:
                yield piece
            if stream.eof:
                self._stream = None
                chunk = stream.unused_data
                more = bool(chunk)
            else:
                chunk = stream.unconsumed_tail
                # After a full slice the decompressor may hold more plain bytes.
                more = bool(chunk) or len(piece) == SLICE_BYTES

    def finish(self) -> None:
        if self._stream is not None or not self._members:
            raise BadCompression(f"the {self._name} data is truncated")

    def _next_member(self) -> isal_zlib.Decompress:
        self._members += 1
        if self._members > self._max_members:
            raise BadCompression(f"more than {self._max_members} {self._name} streams in the body")
        self._stream = isal_zlib.decompressobj(self._wbits)
        return self._stream


class _Zstd:
    """zstd (RFC 8878), concatenated frames form one body."""

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
        self._frames = 0
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._head = b""
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        for start in range(0, len(chunk), _ZSTD_STEP_BYTES):
            step = chunk[start : start + _ZSTD_STEP_BYTES]
            while step:
                frame = self._frame or self._next_frame()
                if len(self._head) < _ZSTD_HEADER_BYTES:
                    self._head += step[:_ZSTD_HEADER_BYTES]
                try:
                    piece = frame.decompress(step)
                except zstandard.ZstdError as error:
                    raise BadCompression(
                        "the body is not valid zstd, or its window exceeds 8 MiB (RFC 9659)"
                    ) from error
                if piece:
                    self._size += len(piece)
                    yield piece
                step = b""
                if frame.eof:
                    step = frame.unused_data
                    self._end_frame()

    def finish(self) -> None:
        if self._frame is not None or not self._frames:
            raise BadCompression("the zstd data is truncated")

    def _next_frame(self) -> "zstandard.ZstdDecompressionObj":
        self._frames += 1
        if self._frames > MAX_MEMBERS:
            raise BadCompression(f"more than {MAX_MEMBERS} zstd frames in the body")
        self._frame = self._decompressor.decompressobj()
        self._head, self._size = b"", 0
        return self._frame

    def _end_frame(self) -> None:
        """Check the size, which the library omits if an empty last block is in a separate step."""
        self._frame = None
        if zstandard.frame_content_size(self._head) not in {_SIZE_UNKNOWN, self._size}:
            raise BadCompression("the zstd data is truncated")


CODINGS: dict[str, Callable[[], Inflater] | None] = {
    "": None,
    "identity": None,
    "gzip": lambda: _Zlib("gzip", _GZIP, MAX_MEMBERS),
    "x-gzip": lambda: _Zlib("gzip", _GZIP, MAX_MEMBERS),  # RFC 9110 section 8.4.1.3
    "deflate": lambda: _Zlib("deflate", _ZLIB, 1),
    "zstd": _Zstd,
}
"""Inflater by Content-Encoding in lower case; None is plain."""

ACCEPT_ENCODING = "gzip, deflate, zstd, identity"
"""Header of a 415 response to an unsupported coding (RFC 9110 section 15.5.16)."""


def inflater_of(content_encoding: str) -> Inflater | None:
    """The inflater for a Content-Encoding header; None if the body is plain.

    Raises UnsupportedContentEncoding, also for multiple codings.
    """
    try:
        make = CODINGS[content_encoding.strip().lower()]
    except KeyError:
        raise UnsupportedContentEncoding(
            f"the content encoding is not one of {ACCEPT_ENCODING}", where="Content-Encoding"
        ) from None
    return make and make()
