"""The footer of a pack's Parquet file: schema, chunks of each block, key-values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from storage.packs.parquet.encode import DICTIONARY, PLAIN, RLE, Chunk
from storage.packs.parquet.thrift import BINARY, I32, STRUCT, Struct, text, varint, zigzag
from storage.packs.schema import ColumnSpec, Kind

MAGIC = b"PAR1"
_TYPES = {
    Kind.INT16: 1,
    Kind.INT32: 1,
    Kind.INT64: 2,
    Kind.TIME: 2,
    Kind.DECIMAL: 2,
    Kind.DOUBLE: 5,
    Kind.BOOLEAN: 0,
    Kind.TEXT: 6,
    Kind.BYTES: 6,
    Kind.UUID: 7,
}
_UTF8, _DECIMAL, _MICROS, _INT16 = 0, 5, 10, 16
"""Converted types, for readers without support for logical types."""


@dataclass(slots=True)
class Placed:
    """A chunk and its place in the file."""

    chunk: Chunk
    at: int
    """Offset of the header of its first page."""
    data_at: int
    size: int
    raw_size: int


def _element(spec: ColumnSpec) -> bytes:
    item = Struct().i32(1, _TYPES[spec.kind])
    if spec.kind is Kind.UUID:
        item.i32(2, 16)
    item.i32(3, int(spec.is_optional)).binary(4, spec.name.encode())
    if spec.kind is Kind.TEXT:
        item.i32(6, _UTF8).struct(10, Struct().struct(1, Struct()))
    elif spec.kind is Kind.TIME:
        unit = Struct().struct(2, Struct())
        zoned = Struct().flag(1, value=True).struct(2, unit)
        item.i32(6, _MICROS).struct(10, Struct().struct(8, zoned))
    elif spec.kind is Kind.DECIMAL:
        inner = Struct().i32(1, spec.scale).i32(2, 18)
        item.i32(6, _DECIMAL).i32(7, spec.scale).i32(8, 18).struct(10, Struct().struct(5, inner))
    elif spec.kind is Kind.INT16:
        # IntType(16, signed): its width is a byte, type 3 of the compact protocol.
        item.i32(6, _INT16).struct(10, Struct().struct(10, _Int16()))
    elif spec.kind is Kind.UUID:
        item.struct(10, Struct().struct(14, Struct()))
    return item.done()


class _Int16(Struct):
    """IntType { 1: i8 bitWidth = 16, 2: bool isSigned = true }."""

    def done(self) -> bytes:
        """The encoded struct."""
        return b"\x13\x10\x11\0"


def _chunk(spec: ColumnSpec, placed: Placed, rows: int) -> bytes:
    chunk = placed.chunk
    encodings = [chunk.encoding, RLE] + ([PLAIN] if chunk.encoding == DICTIONARY else [])
    meta = Struct().i32(1, _TYPES[spec.kind])
    meta.many(2, I32, [varint(zigzag(value)) for value in encodings])
    meta.many(3, BINARY, [text(spec.name.encode())])
    meta.i32(4, chunk.codec).i64(5, rows).i64(6, placed.raw_size).i64(7, placed.size)
    meta.i64(9, placed.data_at)
    if chunk.dictionary:
        meta.i64(11, placed.at)
    if spec.is_optional or chunk.range:
        statistics = Struct().i64(3, chunk.nulls)
        if chunk.range:
            statistics.binary(5, chunk.range[1]).binary(6, chunk.range[0])
        meta.struct(12, statistics)
    return Struct().i64(2, placed.at).struct(3, meta).done()


def row_group(columns: Sequence[ColumnSpec], chunks: Sequence[Placed], rows: int) -> bytes:
    """The footer entry of a block."""
    pieces = [_chunk(spec, item, rows) for spec, item in zip(columns, chunks, strict=True)]
    group = Struct().many(1, STRUCT, pieces)
    group.i64(2, sum(item.raw_size for item in chunks)).i64(3, rows)
    group.i64(5, chunks[0].at).i64(6, sum(item.size for item in chunks))
    return group.done()


def footer(
    columns: Sequence[ColumnSpec], groups: Sequence[bytes], rows: int, values: Mapping[str, str]
) -> bytes:
    """The end of the file: footer, its size, and the magic."""
    root = Struct().binary(4, b"schema").i32(5, len(columns)).done()
    pairs = [
        Struct().binary(1, key.encode()).binary(2, value.encode()).done()
        for key, value in values.items()
    ]
    file = Struct().i32(1, 2).many(2, STRUCT, [root, *[_element(spec) for spec in columns]])
    file.i64(3, rows).many(4, STRUCT, list(groups)).many(5, STRUCT, pairs)
    file.binary(6, b"opslog packs 1")
    order = Struct().struct(1, Struct()).done()
    file.many(7, STRUCT, [order] * len(columns))
    body = file.done()
    return body + len(body).to_bytes(4, "little") + MAGIC
