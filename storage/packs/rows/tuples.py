"""Splits COPY tuples of system_logs into columns and joins them. Compiled by mypyc; hot loops.

scan   bytes of any chunking -> one key record per complete tuple
split  tuples of a block     -> integers row by row, and a list per other column
join   the same              -> tuples
"""

from librt.strings import (
    BytesWriter,
    read_i16_be,
    read_i32_be,
    read_i64_be,
    read_i64_le,
    write_i16_be,
    write_i16_le,
    write_i32_be,
    write_i32_le,
    write_i64_be,
    write_i64_le,
)
from mypy_extensions import i16, i32, i64

FIELDS = 26
INTS = 10
"""Fixed integers of a row: created_at, received_at, batch_id, stream_id, duration_ns, position,
ingest_key_id, tenant, created_ns, severity_number; eight bytes each, little endian."""
OTHERS = 16
"""level, kind, id, trace_id, span_id, parent_span_id, nonce, ip_address and the eight texts."""
KEY_BYTES = 48
_NONCE = 6
_IP = 7
_METADATA = 15


def scan(data: bytes, base: i64, keys: BytesWriter) -> int:
    """Write a key record for each complete tuple of `data`; return the end of the last one.

    A record is created_at, received_at, batch_id, place (`base` added), length, position,
    created_ns, encoding version (2 where the nonce is NULL). Raises ValueError.
    """
    size: i64 = len(data)
    at: i64 = 0
    while at + 2 <= size:
        start: i64 = at
        fields: i64 = i64(read_i16_be(data, at))
        if fields == -1:
            return int(at)
        if fields != FIELDS:
            raise ValueError("a tuple does not have 26 fields")
        at += 2
        offsets_duration: i64 = 0
        duration_size: i64 = 0
        nonce: i64 = 0
        level_size: i64 = 0
        field: i64 = 0
        while field < FIELDS:
            if at + 4 > size:
                return int(start)
            length: i64 = i64(read_i32_be(data, at))
            at += 4
            if field == 4:
                offsets_duration = at
                duration_size = max(0, length)
            elif field == 8:
                level_size = length
            elif field == 16:
                nonce = length
            if length > 0:
                at += length
            field += 1
        if at > size:
            return int(start)
        if level_size < 0 or offsets_duration - start != 54:
            raise ValueError("a tuple's first columns have unexpected sizes")
        after: i64 = offsets_duration + duration_size
        write_i64_le(keys, read_i64_be(data, start + 6))
        write_i64_le(keys, read_i64_be(data, start + 18))
        write_i64_le(keys, read_i64_be(data, start + 30))
        write_i64_le(keys, base + start)
        write_i32_le(keys, i32(at - start))
        write_i32_le(keys, read_i32_be(data, after + 4))
        write_i16_le(keys, read_i16_be(data, after + 32 + level_size - 4 + 4))
        write_i16_le(keys, i16(2 if nonce < 0 else 1))
        write_i32_le(keys, 0)
    return int(at)


def split(
    rows: list[bytes], ints: BytesWriter, spans: BytesWriter, others: list[list[bytes | None]]
) -> None:
    """Append the columns of `rows`; `spans` gets a 1 for each row with a duration, else a 0.

    Raises ValueError for a fixed column of another size.
    """
    for row in rows:
        write_i64_le(ints, read_i64_be(row, 6))
        write_i64_le(ints, read_i64_be(row, 18))
        write_i64_le(ints, read_i64_be(row, 30))
        write_i64_le(ints, read_i64_be(row, 42))
        at: i64 = 54
        if read_i32_be(row, 50) < 0:
            write_i64_le(ints, 0)
            spans.append(0)
        else:
            write_i64_le(ints, read_i64_be(row, at))
            spans.append(1)
            at += 8
        write_i64_le(ints, i64(read_i32_be(row, at + 4)))
        write_i64_le(ints, i64(read_i32_be(row, at + 12)))
        write_i64_le(ints, i64(read_i32_be(row, at + 20)))
        at += 24
        length: i64 = i64(read_i32_be(row, at))
        at += 4
        others[0].append(row[at : at + length])
        at += length
        write_i64_le(ints, i64(read_i16_be(row, at + 4)))
        write_i64_le(ints, i64(read_i16_be(row, at + 10)))
        at += 12
        number: i64 = 1
        while number < _METADATA:
            length = i64(read_i32_be(row, at))
            at += 4
            if length < 0:
                others[number].append(None)
            else:
                others[number].append(row[at : at + length])
                at += length
            number += 1
        length = i64(read_i32_be(row, at))
        at += 4
        if length < 1 or at + length != len(row) or row[at] != 1:
            raise ValueError("a tuple does not end with jsonb of version 1")
        others[_METADATA].append(row[at + 1 : at + length])


def join(
    count: i64,
    ints: bytes,
    spans: bytes,
    others: list[list[bytes | None]],
    versions: bytes,
    head: bytes = b"",
) -> list[bytes]:
    """The tuples of `count` rows after `head`; NULL as nonce where the version is not 1."""
    made: list[bytes] = []
    writer = BytesWriter()
    number: i64 = 0
    while number < count:
        writer.truncate(0)
        writer.write(head)
        base: i64 = number * (INTS * 8)
        write_i16_be(writer, FIELDS)
        write_i32_be(writer, 8)
        write_i64_be(writer, read_i64_le(ints, base))
        write_i32_be(writer, 8)
        write_i64_be(writer, read_i64_le(ints, base + 8))
        write_i32_be(writer, 8)
        write_i64_be(writer, read_i64_le(ints, base + 16))
        write_i32_be(writer, 8)
        write_i64_be(writer, read_i64_le(ints, base + 24))
        if spans[number] == 0:
            write_i32_be(writer, -1)
        else:
            write_i32_be(writer, 8)
            write_i64_be(writer, read_i64_le(ints, base + 32))
        place: i64 = 40
        while place < 64:
            write_i32_be(writer, 4)
            write_i32_be(writer, i32(read_i64_le(ints, base + place)))
            place += 8
        _write(writer, others[0][number])
        write_i32_be(writer, 2)
        write_i16_be(writer, i16(read_i64_le(ints, base + 64)))
        write_i32_be(writer, 2)
        write_i16_be(writer, i16(read_i64_le(ints, base + 72)))
        other: i64 = 1
        while other < _METADATA:
            if other == _NONCE and versions[number] != 1:
                write_i32_be(writer, -1)
            else:
                _write(writer, others[other][number])
            other += 1
        metadata = others[_METADATA][number]
        assert metadata is not None
        write_i32_be(writer, i32(len(metadata) + 1))
        writer.append(1)
        writer.write(metadata)
        made.append(writer.getvalue())
        number += 1
    return made


def _write(writer: BytesWriter, value: bytes | None) -> None:
    if value is None:
        write_i32_be(writer, -1)
    else:
        write_i32_be(writer, i32(len(value)))
        writer.write(value)


def with_nonce(row: bytes, nonce: bytes) -> bytes:
    """A tuple of encoding version 2 with its nonce filled in, for the writer's spool."""
    at: i64 = 2
    field: i64 = 0
    while field < 16:
        length: i64 = i64(read_i32_be(row, at))
        at += 4
        if length > 0:
            at += length
        field += 1
    return row[:at] + len(nonce).to_bytes(4, "big") + nonce + row[at + 4 :]
