"""Encodes the columns of a block: one V1 data page per chunk, each encoding in one fixed layout.

DELTA_BINARY_PACKED has one block of one miniblock, DELTA_LENGTH_BYTE_ARRAY the same for its
lengths, dictionary indices are one bit-packed run, or one RLE run if all are equal: each
page is an array that NumPy can use in place (decode.py).
"""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import zstandard
from numpy.typing import NDArray

from storage.packs.parquet.thrift import Struct, varint, zigzag
from storage.packs.schema import ColumnSpec, Kind

PLAIN, RLE, DELTA, DELTA_LENGTH, DICTIONARY = 0, 3, 5, 6, 8
UNCOMPRESSED, ZSTD = 0, 6
MOST_IN_DICTIONARY = 256
_WORTH = 0.93
"""Maximum compressed share; a chunk that compresses less is stored as it is."""
_SMALLEST = 64
_PROBE = 512
_WIDEST = 56
"""Maximum bits of a delta; wider ones take 64."""

Array: TypeAlias = NDArray[Any]
Numbers: TypeAlias = tuple[Array, Array | None]
"""Values of all rows, 0 for NULL, and which are not NULL (None: all)."""
Texts: TypeAlias = list[bytes | None]
Data: TypeAlias = Numbers | Texts

_compress = zstandard.ZstdCompressor(level=1).compress
_length = struct.Struct("<I").pack


@dataclass(slots=True)
class Chunk:
    """An encoded column of a block."""

    encoding: int
    codec: int
    dictionary: bytes
    """The body of its page, possibly compressed; empty: no dictionary."""
    dictionary_values: int
    data: bytes
    raw_dictionary: int
    raw_data: int
    nulls: int
    range: tuple[bytes, bytes] | None = None


def packed(values: Array, width: int) -> bytes:
    """Bit-pack numbers of `width` bits, lowest bit first, padded to a multiple of 8 numbers."""
    count = len(values)
    padded = -count % 8
    if padded:
        values = np.concatenate([values, np.zeros(padded, values.dtype)])
    if width in {8, 16, 32, 64}:
        return values.astype(f"<u{width // 8}").tobytes()
    if width < 8:
        shifts = np.arange(8, dtype=np.uint64) * np.uint64(width)
        words = (values.reshape(-1, 8).astype(np.uint64) << shifts).sum(axis=1, dtype=np.uint64)
        return bytes(words.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :width].tobytes())
    raw = np.ascontiguousarray(values.astype("<u8")).view(np.uint8).reshape(-1, 8)
    used = (width + 7) // 8
    bits = np.unpackbits(np.ascontiguousarray(raw[:, :used]), axis=1, bitorder="little")
    return np.packbits(bits[:, :width].ravel(), bitorder="little").tobytes()


def delta_packed(values: Array) -> bytes:
    """DELTA_BINARY_PACKED with one block and one miniblock."""
    count = len(values)
    deltas = values[1:].astype(np.int64) - values[:-1].astype(np.int64)
    size = max(128, (count - 1 + 127) // 128 * 128)
    head = varint(size) + b"\1" + varint(count) + varint(zigzag(int(values[0]) if count else 0))
    if count < 2:
        return head
    least = int(deltas.min())
    above = (deltas - np.int64(least)).view(np.uint64)
    width = int(above.max()).bit_length()
    if width > _WIDEST:
        width = 64
    body = b""
    if width:
        body = packed(above, width).ljust(size * width // 8, b"\0")
    return head + varint(zigzag(least)) + bytes([width]) + body


def indices(codes: Array, count: int) -> bytes:
    """Dictionary indices: their width, then one run."""
    width = max(1, (count - 1).bit_length())
    if count == 1:
        return b"\1" + varint(len(codes) << 1) + b"\0"
    groups = (len(codes) + 7) // 8
    return bytes([width]) + varint(groups << 1 | 1) + packed(codes, width)


def levels(valid: Array | None, rows: int) -> bytes:
    """Definition levels of an optional column, with their length."""
    if valid is None or valid.all():
        body = varint(rows << 1) + b"\1"
    elif not valid.any():
        body = varint(rows << 1) + b"\0"
    else:
        body = varint((rows + 7) // 8 << 1 | 1) + np.packbits(valid, bitorder="little").tobytes()
    return _length(len(body)) + body


def few_texts(data: Texts) -> dict[bytes | None, None] | None:
    """The distinct values in order, NULL included; None where they are too many for a dictionary.

    Most columns have either few values or too many in the first rows already.
    """
    if len(data) > _PROBE and len(set(data[:_PROBE])) > MOST_IN_DICTIONARY + 1:
        return None
    found = dict.fromkeys(data)
    return found if len(found) <= MOST_IN_DICTIONARY + 1 else None


def joined(data: Texts) -> bytes | None:
    """All texts one after the other; None if one is NULL: faster than looking for None."""
    try:
        return b"".join(data)  # type: ignore[arg-type] # that fails where one is NULL
    except TypeError:
        return None


def encode(
    spec: ColumnSpec, data: Data, rows: int, few: Mapping[bytes | None, None] | None = None
) -> Chunk:
    """The pages of a column; `few`: of texts, what few_texts returns."""
    valid: Array | None
    if isinstance(data, list):
        valid = None
        if few is not None and len(few) == 1 and None in few:
            chunk, valid = _texts(spec, [], b"", ()), np.zeros(rows, np.bool_)
        elif few is not None and None not in few:
            chunk = _texts(spec, data, None, tuple(few))
        else:
            whole = joined(data)
            texts: Texts = data
            if whole is None:
                texts = [value for value in data if value is not None]
                valid = np.fromiter([value is not None for value in data], np.bool_, rows)
            chunk = _texts(spec, texts, whole, [text for text in few or () if text is not None])
    else:
        numbers, valid = data
        if valid is not None:
            numbers = numbers[valid]
        chunk = _numbers(spec, numbers)
    present = rows if valid is None else int(valid.sum())
    chunk.nulls = rows - present
    if spec.is_optional:
        chunk.data = levels(valid, rows) + chunk.data
    _shrink(chunk)
    return chunk


def _texts(
    spec: ColumnSpec, texts: Sequence[Any], whole: bytes | None, distinct: Sequence[Any]
) -> Chunk:
    """`whole`: the texts joined, if that was done."""
    if spec.kind is Kind.UUID:
        return _chunk(PLAIN, b"", 0, b"".join(texts) if whole is None else whole)
    if 0 < len(distinct) <= MOST_IN_DICTIONARY and len(distinct) * 2 <= max(len(texts), 2):
        if len(distinct) == 1:
            codes = np.zeros(len(texts), np.uint8)
        else:
            places = {value: number for number, value in enumerate(distinct)}
            codes = np.fromiter(map(places.__getitem__, texts), np.uint8, len(texts))
        dictionary = b"".join([_length(len(value)) + value for value in distinct])
        return _chunk(DICTIONARY, dictionary, len(distinct), indices(codes, len(distinct)))
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    whole = b"".join(texts) if whole is None else whole
    return _chunk(DELTA_LENGTH, b"", 0, delta_packed(lengths) + whole)


def _numbers(spec: ColumnSpec, numbers: Array) -> Chunk:
    if spec.kind is Kind.BOOLEAN:
        return _chunk(PLAIN, b"", 0, np.packbits(numbers != 0, bitorder="little").tobytes())
    if spec.kind is Kind.DOUBLE:
        numbers = numbers.view(np.int64)  # by bits
    ordered = np.sort(numbers)
    distinct = ordered
    if len(ordered):
        changes = ordered[1:] != ordered[:-1]
        distinct = ordered[np.append(True, changes)]
    if 0 < len(distinct) <= MOST_IN_DICTIONARY:
        chunk = _few_numbers(spec, numbers, distinct)
    elif spec.kind is Kind.DOUBLE:
        chunk = _chunk(PLAIN, b"", 0, numbers.tobytes())
    else:
        chunk = _chunk(DELTA, b"", 0, delta_packed(numbers))
    if spec.has_range and len(distinct):
        chunk.range = (_DTYPE64.type(distinct[0]).tobytes(), _DTYPE64.type(distinct[-1]).tobytes())
    return chunk


def _few_numbers(spec: ColumnSpec, numbers: Array, distinct: Array) -> Chunk:
    """As a dictionary where that is smaller."""
    kind = _DTYPES[spec.kind]
    plain = numbers.tobytes() if spec.kind is Kind.DOUBLE else delta_packed(numbers)
    width = max(1, (len(distinct) - 1).bit_length())
    cost = len(distinct) * kind.itemsize + (len(numbers) * width // 8 if len(distinct) > 1 else 0)
    if cost >= len(plain):
        return _chunk(PLAIN if spec.kind is Kind.DOUBLE else DELTA, b"", 0, plain)
    body = (distinct if spec.kind is Kind.DOUBLE else distinct.astype(kind)).tobytes()
    codes = np.zeros(len(numbers), np.uint8)
    if len(distinct) > 1:
        codes = np.searchsorted(distinct, numbers).astype(np.uint8)
    return _chunk(DICTIONARY, body, len(distinct), indices(codes, len(distinct)))


_DTYPE64 = np.dtype("<i8")
_DTYPES: dict[Kind, np.dtype[Any]] = {
    Kind.INT16: np.dtype("<i4"),
    Kind.INT32: np.dtype("<i4"),
    Kind.INT64: _DTYPE64,
    Kind.TIME: _DTYPE64,
    Kind.DECIMAL: _DTYPE64,
    Kind.DOUBLE: np.dtype("<f8"),
}


def _chunk(encoding: int, dictionary: bytes, values: int, data: bytes) -> Chunk:
    return Chunk(encoding, UNCOMPRESSED, dictionary, values, data, len(dictionary), len(data), 0)


def _shrink(chunk: Chunk) -> None:
    """Compress both pages if that saves enough."""
    chunk.raw_dictionary, chunk.raw_data = len(chunk.dictionary), len(chunk.data)
    whole = chunk.raw_dictionary + chunk.raw_data
    if whole < _SMALLEST:
        return
    dictionary = _compress(chunk.dictionary) if chunk.dictionary else b""
    data = _compress(chunk.data)
    if len(dictionary) + len(data) < _WORTH * whole:
        chunk.codec, chunk.dictionary, chunk.data = ZSTD, dictionary, data


def pages(chunk: Chunk, rows: int) -> tuple[bytes, bytes]:
    """(header of the dictionary page, header of the data page); the first may be empty."""
    first = b""
    if chunk.dictionary:
        inner = Struct().i32(1, chunk.dictionary_values).i32(2, PLAIN)
        first = _header(2, chunk.raw_dictionary, chunk.dictionary).struct(7, inner).done()
    inner = Struct().i32(1, rows).i32(2, chunk.encoding).i32(3, RLE).i32(4, RLE)
    return first, _header(0, chunk.raw_data, chunk.data).struct(5, inner).done()


def _header(kind: int, raw: int, body: bytes) -> Struct:
    crc = zlib.crc32(body)
    signed = crc - (1 << 32) if crc >> 31 else crc
    return Struct().i32(1, kind).i32(2, raw).i32(3, len(body)).i32(4, signed)
