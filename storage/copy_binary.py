"""RedactedBatch -> the binary COPY tuples that spool, leaf hash and PostgreSQL all see.

Encoded once. Hot path: long functions and short names are paid for by loadtests/bench_codec.py.
The layout is that of PostgreSQL's COPY ... (FORMAT binary) (documentation, "COPY", File Formats)
over columns.py; tests/integration/test_copy_binary.py reads every value back.
"""

import hashlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from config.levels import LEVEL_NAMES
from storage.columns import COLUMNS, ENCODING_VERSION
from storage.record import Part, Record, RedactedBatch

Classify = Callable[[Record], str]
"""Names the retention class of a record."""

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"

PG_EPOCH_US = 946_684_800_000_000
"""PostgreSQL counts microseconds from 2000-01-01 UTC."""

_NULL = b"\xff\xff\xff\xff"
_LEN16 = b"\x00\x00\x00\x10"
_LEN8 = b"\x00\x00\x00\x08"
_FIELDS = len(COLUMNS)

_pack_times = struct.Struct(">hiqiqiqiqiiiiiii").pack
_pack_span_times = struct.Struct(">hiqiqiqiqiqiiiiii").pack
_pack_two_int2 = struct.Struct(">ihih").pack
_pack_length = struct.Struct(">i").pack
_unpack_length = struct.Struct(">i").unpack_from

_LEVELS = tuple(_pack_length(len(name)) + name.encode() for name in LEVEL_NAMES)
_KINDS = {kind: b"\x00\x00\x00\x01" + kind[:1].encode() for kind in ("log", "span", "audit")}
# inet_recv: family (2 = IPv4, 3 = IPv6 on every platform), prefix bits, is_cidr, length.
_INET = {4: b"\x00\x00\x00\x08\x02\x20\x00\x04", 16: b"\x00\x00\x00\x14\x03\x80\x00\x10"}
_MAX_SMALLINT = 32_767

_sha256 = hashlib.sha256


@dataclass(slots=True)
class _PartInMaking:
    rows: list[bytes] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)
    counts: dict[tuple[int, int, str, str], list[int]] = field(default_factory=dict)
    min_us: int = 1 << 63
    max_us: int = 0
    odd: int = 0


def _text(value: str) -> bytes:
    raw = value.encode()
    return _pack_length(len(raw)) + raw


def _text_or_null(value: str | None) -> bytes:
    if value is None:
        return _NULL
    raw = value.encode()
    return _pack_length(len(raw)) + raw


class _Remembered(dict[str, bytes]):
    """Encoded short texts (modules, actions) that come again and again; emptied when it is full."""

    def __missing__(self, value: str) -> bytes:
        if len(self) >= 8192:
            self.clear()
        encoded = self[value] = _text(value)
        return encoded


_names = _Remembered()


def encode(
    batch: RedactedBatch,
    *,
    batch_id: int,
    received_unix_ns: int,
    ingest_key_id: int,
    classify: Classify,
    nonces: bytes,
) -> list[Part]:
    """The batch as one Part per retention class, in order of class name.

    `nonces` holds 16 random bytes per record. `position` is the place in `batch.records`.
    """
    making: dict[str, _PartInMaking] = {}
    received_us = received_unix_ns // 1000 - PG_EPOCH_US
    sha256, names = _sha256, _names
    for position, record in enumerate(batch.records):
        created_us, created_ns = divmod(record.created_unix_ns, 1000)
        severity = record.severity_number
        if not -_MAX_SMALLINT <= severity <= _MAX_SMALLINT:
            severity = _MAX_SMALLINT if severity > 0 else -_MAX_SMALLINT
        duration, trace, span, parent, address = (
            record.duration_ns,
            record.trace_id,
            record.span_id,
            record.parent_span_id,
            record.ip_address,
        )
        message, metadata = record.message.encode(), record.metadata
        created, stream = created_us - PG_EPOCH_US, record.stream_id
        row = b"".join((
            _pack_times(
                _FIELDS, 8, created, 8, received_us, 8, batch_id, 8, stream, -1,
                4, position, 4, ingest_key_id, 4, 0,
            ) if duration is None else _pack_span_times(
                _FIELDS, 8, created, 8, received_us, 8, batch_id, 8, stream, 8, duration,
                4, position, 4, ingest_key_id, 4, 0,
            ),
            _LEVELS[record.level],
            _pack_two_int2(2, created_ns, 2, severity),
            _KINDS[record.kind],
            _LEN16,
            record.id,
            _NULL if trace is None else _LEN16 + trace,
            _NULL if span is None else _LEN8 + span,
            _NULL if parent is None else _LEN8 + parent,
            _LEN16,
            nonces[position * 16 : position * 16 + 16],
            _NULL if address is None else _INET[len(address)] + address,
            names[record.source_module],
            names[record.action],
            _text_or_null(record.resource_type),
            _text_or_null(record.resource_id),
            _text_or_null(record.actor_id),
            _text_or_null(record.correlation_id),
            _pack_length(len(message)),
            message,
            _pack_length(len(metadata) + 1),
            b"\x01",  # version of jsonb_recv
            metadata,
        ))  # fmt: skip
        class_name = classify(record)
        part = making.get(class_name)
        if part is None:
            part = making[class_name] = _PartInMaking()
        part.rows.append(row)
        part.leaves.append(sha256(b"\x00" + row).digest())
        count_key = (created_us // 60_000_000, record.level, record.kind[0], record.source_module)
        count = part.counts.get(count_key)
        if count is None:
            part.counts[count_key] = [1, len(row)]
        else:
            count[0] += 1
            count[1] += len(row)
        if record.odd_time:
            part.odd += 1
        else:
            part.min_us = min(part.min_us, created_us)
            part.max_us = max(part.max_us, created_us)
    return [_finish(name, making[name], batch_id) for name in sorted(making)]


def _finish(class_name: str, part: _PartInMaking, batch_id: int) -> Part:
    leaves = b"".join(part.leaves)
    return Part(
        class_name=class_name,
        rows=len(part.rows),
        copy_bytes=b"".join(part.rows),
        leaves=leaves,
        digest=part_digest(class_name, batch_id, leaves),
        min_created_us=part.min_us if part.max_us else 0,
        max_created_us=part.max_us,
        odd_times=part.odd,
        counts=tuple((*key, count[0], count[1]) for key, count in part.counts.items()),
    )


def part_digest(
    class_name: str, batch_id: int, leaves: bytes, version: int = ENCODING_VERSION
) -> bytes:
    """SHA-256(0x02, version, class, batch id, number of leaves, leaves), unambiguously framed."""
    name = class_name.encode()
    head = struct.pack(">BHH", 2, version, len(name)) + name
    return _sha256(head + struct.pack(">qi", batch_id, len(leaves) // 32) + leaves).digest()


def leaf_of(row: bytes) -> bytes:
    """The leaf hash of one COPY tuple: SHA-256(0x00, tuple)."""
    return _sha256(b"\x00" + row).digest()


def rows_of(copy_bytes: bytes) -> Iterator[bytes]:
    """The single tuples of a Part's COPY bytes, in order. For bisection and verification."""
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
    """The fields of one tuple by column name, as PostgreSQL's binary representation."""
    fields: dict[str, bytes | None] = {}
    at = 2
    for column in COLUMNS:
        length = _unpack_length(row, at)[0]
        at += 4
        fields[column.name] = None if length < 0 else row[at : at + length]
        at += max(length, 0)
    return fields
