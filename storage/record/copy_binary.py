"""RedactedBatch -> the binary COPY tuples shared by spool, leaf hash and PostgreSQL.

Encoded once. Hot path: loadtests/bench_codec.py justifies the long functions and short names.
The layout is that of PostgreSQL's COPY ... (FORMAT binary) (documentation, "COPY", File Formats)
over columns.py; tests/integration/storage/test_writer.py reads every value back.
"""

import hashlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from librt.strings import BytesWriter, write_i16_be, write_i32_be, write_i64_be
from mypy_extensions import i16, i32, i64

from config.levels import LEVEL_NAMES
from storage.record.columns import COLUMNS, ENCODING_VERSION
from storage.record.nonces import NONCE_BYTES, Nonces, class_key
from storage.record.record import Part, Record, RedactedBatch

Classify = Callable[[Record], str]
"""Returns the retention class of a record."""

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"

PG_EPOCH_US = 946_684_800_000_000
"""PostgreSQL counts microseconds from 2000-01-01 UTC."""

_NULL = -1
"""The length of a field that is SQL NULL."""
_NULL_FIELD = b"\xff\xff\xff\xff"
_LEAF = 0
"""The first byte of what a leaf hash covers; the tuple follows."""
_FIELDS = len(COLUMNS)

_pack_length = struct.Struct(">i").pack
_pack_int4 = struct.Struct(">ii").pack
_pack_int8 = struct.Struct(">iq").pack
_unpack_length = struct.Struct(">i").unpack_from

_LEVELS = tuple(_pack_length(len(name)) + name.encode() for name in LEVEL_NAMES)
_KINDS = {kind: b"\x00\x00\x00\x01" + kind[:1].encode() for kind in ("log", "span", "audit")}
# inet_recv: family (2 = IPv4, 3 = IPv6 on every platform), prefix bits, is_cidr, length.
_INET = {4: b"\x00\x00\x00\x08\x02\x20\x00\x04", 16: b"\x00\x00\x00\x14\x03\x80\x00\x10"}
_MAX_SMALLINT = 32_767

_sha256 = hashlib.sha256


@dataclass(slots=True)
class _Count:
    """Rows and bytes of one row of log_counts."""

    minute: i64
    level: i64
    kind: str
    source_module: str
    rows: i64 = 0
    bytes: i64 = 0


@dataclass(slots=True)
class _PartBuilder:
    nonces: Nonces
    # One buffer each: thousands of small objects, freed among others that stay, fragment memory.
    copy_bytes: BytesWriter = field(default_factory=BytesWriter)
    leaves: BytesWriter = field(default_factory=BytesWriter)
    rows: i64 = 0
    counts: dict[tuple[int, int, str, str], _Count] = field(default_factory=dict)
    latest: _Count | None = None
    """The count of the previous record, usually also that of the next one."""
    min_us: i64 = 1 << 62
    max_us: i64 = 0
    odd: i64 = 0


class Encoder:
    """Encodes the rows of one request as one Part per retention class."""

    __slots__ = ("_batch_id", "_builders", "_classify", "_rows", "_secret", "rows")

    def __init__(
        self,
        *,
        batch_id: int,
        received_unix_ns: int,
        ingest_key_id: int,
        classify: Classify,
        secret: bytes,
    ) -> None:
        self._batch_id = batch_id
        self._secret = secret
        self._classify = classify
        self._builders: dict[str, _PartBuilder] = {}
        self._rows = _Rows(batch_id, received_unix_ns, ingest_key_id)
        self.rows = 0
        """Rows so far: the `position` of the next one."""

    def add(self, batch: RedactedBatch) -> None:
        """Add the records of a batch."""
        classify, builders, rows = self._classify, self._builders, self._rows
        position = self.rows
        for place, record in enumerate(batch.records):
            class_name = classify(record)
            part = builders.get(class_name)
            if part is None:
                part = _PartBuilder(Nonces(class_key(self._secret, class_name)))
                builders[class_name] = part
            hashed = rows.row(record, position + place, part.nonces.of(position + place))
            at = rows.nonce_at
            part.rows += 1
            part.copy_bytes.write(hashed[1:at])
            part.copy_bytes.write(_NULL_FIELD)
            part.copy_bytes.write(hashed[at + 4 + NONCE_BYTES :])
            part.leaves.write(_sha256(hashed).digest())
            created_us: i64 = record.created_unix_ns // 1000
            count = _count_of(part, created_us // 60_000_000, record)
            count.rows += 1
            count.bytes += len(hashed) - 1 - NONCE_BYTES
            if record.odd_time:
                part.odd += 1
            else:
                part.min_us = min(part.min_us, created_us)
                part.max_us = max(part.max_us, created_us)
        self.rows = position + len(batch.records)

    def parts(self) -> list[Part]:
        """The parts, in order of class name."""
        return [
            _finish(name, self._builders[name], self._batch_id) for name in sorted(self._builders)
        ]


def encode(
    batch: RedactedBatch,
    *,
    batch_id: int,
    received_unix_ns: int,
    ingest_key_id: int,
    classify: Classify,
    secret: bytes,
) -> list[Part]:
    """Encode a whole batch at once."""
    encoder = Encoder(
        batch_id=batch_id,
        received_unix_ns=received_unix_ns,
        ingest_key_id=ingest_key_id,
        classify=classify,
        secret=secret,
    )
    encoder.add(batch)
    return encoder.parts()


class _Rows:
    """Encodes the rows of one request, one by one, in one buffer."""

    __slots__ = ("_arrival", "_sender", "_writer", "nonce_at")

    def __init__(self, batch_id: int, received_unix_ns: int, ingest_key_id: int) -> None:
        self._writer = BytesWriter()
        self._arrival = _int8(received_unix_ns // 1000 - PG_EPOCH_US) + _int8(batch_id)
        tenant = 0
        self._sender = _pack_int4(4, ingest_key_id) + _pack_int4(4, tenant)
        self.nonce_at: int = 0
        """Where the length of the nonce is in the last row."""

    def row(self, record: Record, position: i64, nonce: bytes) -> bytes:
        """What a leaf hash covers: a zero byte, then one tuple in the order of COLUMNS."""
        writer = self._writer
        writer.truncate(0)
        writer.append(_LEAF)
        write_i16_be(writer, _FIELDS)
        created_us: i64 = record.created_unix_ns // 1000 - PG_EPOCH_US
        write_i32_be(writer, 8)
        write_i64_be(writer, created_us)
        writer.write(self._arrival)
        stream_id: i64 = record.stream_id
        write_i32_be(writer, 8)
        write_i64_be(writer, stream_id)
        if record.duration_ns is None:
            write_i32_be(writer, _NULL)
        else:
            writer.write(_int8(record.duration_ns))
        write_i32_be(writer, 4)
        write_i32_be(writer, i32(position))
        writer.write(self._sender)
        writer.write(_LEVELS[record.level])
        created_ns: i64 = record.created_unix_ns % 1000
        write_i32_be(writer, 2)
        write_i16_be(writer, i16(created_ns))
        severity: i64 = max(-_MAX_SMALLINT, min(record.severity_number, _MAX_SMALLINT))
        write_i32_be(writer, 2)
        write_i16_be(writer, i16(severity))
        writer.write(_KINDS[record.kind])
        _write(writer, record.id)
        _write(writer, record.trace_id)
        _write(writer, record.span_id)
        _write(writer, record.parent_span_id)
        self.nonce_at = len(writer)
        _write(writer, nonce)
        address = record.ip_address
        if address is None:
            write_i32_be(writer, _NULL)
        else:
            writer.write(_INET[len(address)])
            writer.write(address)
        _write(writer, record.source_module.encode())
        _write(writer, record.action.encode())
        _write_text(writer, record.resource_type)
        _write_text(writer, record.resource_id)
        _write_text(writer, record.actor_id)
        _write_text(writer, record.correlation_id)
        _write(writer, record.message.encode())
        write_i32_be(writer, len(record.metadata) + 1)
        writer.append(1)  # version of jsonb_recv
        writer.write(record.metadata)
        return writer.getvalue()


def _int8(value: int) -> bytes:
    return _pack_int8(8, value)


def _write(writer: BytesWriter, value: bytes | None) -> None:
    if value is None:
        write_i32_be(writer, _NULL)
    else:
        write_i32_be(writer, len(value))
        writer.write(value)


def _write_text(writer: BytesWriter, value: str | None) -> None:
    if value is None:
        write_i32_be(writer, _NULL)
    else:
        _write(writer, value.encode())


def _count_of(part: _PartBuilder, minute: i64, record: Record) -> _Count:
    """The count for a record of that minute."""
    latest = part.latest
    if (
        latest is not None
        and latest.minute == minute
        and latest.level == record.level
        and latest.source_module == record.source_module
        and latest.kind == record.kind
    ):
        return latest
    key = (minute, record.level, record.kind, record.source_module)
    count = part.counts.get(key)
    if count is None:
        count = part.counts[key] = _Count(*key)
    part.latest = count
    return count


def _finish(class_name: str, part: _PartBuilder, batch_id: int) -> Part:
    leaves = part.leaves.getvalue()
    return Part(
        class_name=class_name,
        rows=part.rows,
        copy_bytes=part.copy_bytes.getvalue(),
        leaves=leaves,
        digest=part_digest(class_name, batch_id, leaves, ENCODING_VERSION),
        min_created_us=part.min_us if part.max_us else 0,
        max_created_us=part.max_us,
        odd_times=part.odd,
        counts=tuple([
            (count.minute, count.level, count.kind[0], count.source_module, count.rows, count.bytes)
            for count in part.counts.values()
        ]),
    )  # fmt: skip


def part_digest(class_name: str, batch_id: int, leaves: bytes, version: int) -> bytes:
    """SHA-256(0x02, version, class, batch id, number of leaves, leaves), unambiguously framed.

    `version`: the encoding version of the batch.
    """
    name = class_name.encode()
    head = struct.pack(">BHH", 2, version, len(name)) + name
    return _sha256(head + struct.pack(">qi", batch_id, len(leaves) // 32) + leaves).digest()


def leaf_of(row: bytes) -> bytes:
    """The leaf hash of one COPY tuple that has its nonce: SHA-256(0x00, tuple)."""
    return _sha256(b"\x00" + row).digest()


def rows_of(copy_bytes: bytes) -> Iterator[bytes]:
    """The tuples of a Part's COPY bytes, in order. For bisection and verification."""
    at = 0
    while at < len(copy_bytes):
        start = at
        fields = int.from_bytes(copy_bytes[at : at + 2], "big")
        at += 2
        for _ in range(fields):
            length = _unpack_length(copy_bytes, at)[0]
            at += 4 + max(length, 0)
        yield copy_bytes[start:at]


def fields_of(row: bytes) -> dict[str, bytes | None]:
    """The fields of one tuple by column name, in PostgreSQL's binary representation."""
    fields: dict[str, bytes | None] = {}
    at = 2
    for column in COLUMNS:
        length = _unpack_length(row, at)[0]
        at += 4
        fields[column.name] = None if length < 0 else row[at : at + length]
        at += max(length, 0)
    return fields
