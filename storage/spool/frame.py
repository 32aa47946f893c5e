"""One request in the spool: a frame. Pure: bytes to Frame and back, no I/O.

    magic 4 | frame version 2 | encoding version 2 | header length 4 | payload length 8
    | CRC-32 of these and the header 4 | header (JSON) | payload | CRC-32 of the payload 4

The header has everything but rows: ids, times, counts, streams, the secret of the nonces (from
version 2 on), and for each part its class, lengths, hashes. The payload is, for each part, its
leaves (32 bytes a row), then its COPY tuples.
All integers big-endian. A reader accepts FRAME_VERSION and the one before; a change of the layout
increments it and keeps the old reader.
"""

import struct
from dataclasses import dataclass
from mmap import mmap

import orjson
from isal.isal_zlib import crc32

from storage.record.columns import COPY_COLUMNS, ENCODING_VERSION
from storage.record.record import Part, StreamDef

MAGIC = b"\xf5OPL"
FRAME_VERSION = 2
_PREFIX = struct.Struct(">4sHHIQI")
PREFIX_BYTES = _PREFIX.size
_CRC = struct.Struct(">I")
MAX_HEADER_BYTES = 256 * 2**20
MAX_PAYLOAD_BYTES = 8 * 2**30
NO_HASH = bytes(32)
"""Request hash of a frame that is excluded from duplicate detection."""
_INVALID_HEADER = (AssertionError, AttributeError, KeyError, TypeError, ValueError)
"""Raised by a header with a correct checksum and invalid content. Its frame is quarantined like a
damaged one; otherwise the writer would fail on it forever."""


class FrameDamaged(Exception):
    """The bytes at this place are not a complete, valid frame."""

    def __init__(self, what: str, *, torn: bool = False, size: int = 0) -> None:
        super().__init__(what)
        self.torn = torn
        """The bytes end before the frame does: a truncated write."""
        self.size = size
        """Bytes to the next frame, when the prefix and the header are valid; else 0."""


class FrameUnknown(Exception):
    """This release cannot read the frame's version; the frame must not be deleted."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One encoded request: counts, streams, and one part per retention class."""

    batch_id: int
    received_unix_ns: int
    ingest_key_id: int
    signal: str
    """logs, traces or audit."""
    request_hash: bytes
    """SHA-256 over key, path and decompressed body; NO_HASH where a record has no own time."""
    received: int
    derived: int
    rejected: dict[str, int]
    """Reason to count."""
    streams: tuple[StreamDef, ...]
    """Every stream that the parts refer to, so a replay needs nothing else."""
    parts: tuple[Part, ...]
    encoding_version: int = ENCODING_VERSION
    rejected_modules: tuple[tuple[str, str, int], ...] = ()
    """Reason, source module, count of those rejected records whose module is known."""
    secret: bytes = b""
    """Of the nonces (storage/record/nonces.py); empty: the rows have their nonces."""

    @property
    def rows(self) -> int:
        """Rows over all parts."""
        return sum(part.rows for part in self.parts)


@dataclass(frozen=True, slots=True)
class FrameHead:
    """The valid prefix and header of a frame whose payload has not been checked."""

    frame_version: int
    encoding_version: int
    header: dict[str, object]
    size: int
    """Of the whole frame, in bytes."""

    @property
    def batch_id(self) -> int:
        """The frame's batch id."""
        value = self.header["batch_id"]
        assert isinstance(value, int)
        return value

    @property
    def rows(self) -> int:
        """Rows over all parts, according to the header."""
        parts = self.header["parts"]
        assert isinstance(parts, list)
        return sum(part["rows"] for part in parts)


def encode_frame(frame: Frame) -> list[bytes]:
    """The frame as buffers to be written in order."""
    header = orjson.dumps(
        {
            "batch_id": frame.batch_id,
            "received_unix_ns": frame.received_unix_ns,
            "ingest_key_id": frame.ingest_key_id,
            "signal": frame.signal,
            "request_hash": frame.request_hash.hex(),
            "received": frame.received,
            "derived": frame.derived,
            "rejected": frame.rejected,
            "rejected_modules": frame.rejected_modules,
            "secret": frame.secret.hex(),
            "columns": COPY_COLUMNS,
            "streams": [_stream_out(stream) for stream in frame.streams],
            "parts": [_part_out(part) for part in frame.parts],
        }
    )
    payload = [piece for part in frame.parts for piece in (part.leaves, part.copy_bytes)]
    crc = 0
    for piece in payload:
        crc = crc32(piece, crc)
    prefix = struct.pack(
        ">4sHHIQ",
        MAGIC,
        FRAME_VERSION,
        frame.encoding_version,
        len(header),
        sum(map(len, payload)),
    )
    head_crc = _CRC.pack(crc32(header, crc32(prefix)))
    return [prefix + head_crc + header, *payload, _CRC.pack(crc)]


def read_head(buffer: bytes | mmap, at: int = 0) -> FrameHead:
    """The head of the frame that begins at `at`.

    Raises:
        FrameDamaged: no valid head here; `.torn` when the buffer ends too early.
        FrameUnknown: written by a release newer than this one.
    """
    if len(buffer) - at < PREFIX_BYTES:
        raise FrameDamaged("the file ends within a frame's prefix", torn=True)
    magic, version, encoding, header_length, payload_length, head_crc = _PREFIX.unpack_from(
        buffer, at
    )
    if magic != MAGIC:
        raise FrameDamaged("no frame begins here")
    if header_length > MAX_HEADER_BYTES or payload_length > MAX_PAYLOAD_BYTES:
        raise FrameDamaged("the frame's lengths are not plausible")
    end = at + PREFIX_BYTES + header_length
    if len(buffer) < end:
        raise FrameDamaged("the file ends within a frame's header", torn=True)
    header = buffer[at + PREFIX_BYTES : end]
    if crc32(header, crc32(buffer[at : at + PREFIX_BYTES - 4])) != head_crc:
        raise FrameDamaged("the frame's header does not match its checksum")
    size = PREFIX_BYTES + header_length + payload_length + 4
    if version > FRAME_VERSION or encoding > ENCODING_VERSION:
        raise FrameUnknown(
            f"frame version {version}, encoding {encoding}; this release reads up to "
            f"{FRAME_VERSION} and {ENCODING_VERSION}: start the newer release to drain this spool"
        )
    try:
        head = FrameHead(version, encoding, orjson.loads(header), size)
        matches = _payload_length(head) == payload_length and head.batch_id >= 0
    except _INVALID_HEADER as error:
        raise FrameDamaged("the frame's header is not valid") from error
    if not matches:
        raise FrameDamaged("the frame's header does not match its payload")
    return head


def decode_frame(buffer: bytes | mmap, at: int = 0) -> tuple[Frame, int]:
    """The frame that begins at `at`, and its size in bytes.

    Raises:
        FrameDamaged: it is truncated, or a checksum or hash does not match.
        FrameUnknown: written by a release newer than this one.
    """
    head = read_head(buffer, at)
    if len(buffer) - at < head.size:
        raise FrameDamaged("the file ends within a frame's payload", torn=True, size=head.size)
    end = at + head.size
    payload = buffer[end - 4 - _payload_length(head) : end - 4]
    if crc32(payload) != _CRC.unpack_from(buffer, end - 4)[0]:
        raise FrameDamaged("the frame's rows do not match their checksum", size=head.size)
    try:
        return _frame_in(head, payload), head.size
    except _INVALID_HEADER as error:
        raise FrameDamaged("the frame's header is not valid", size=head.size) from error


def find_frame(buffer: bytes | mmap, at: int) -> int:
    """Where the next valid frame head begins at or after `at`; -1 when there is none."""
    while (at := buffer.find(MAGIC, at)) >= 0:
        try:
            read_head(buffer, at)
        except FrameDamaged:
            at += 1
            continue
        except FrameUnknown:
            pass
        return at
    return -1


def _payload_length(head: FrameHead) -> int:
    parts = head.header["parts"]
    assert isinstance(parts, list)
    sizes = [(int(part["rows"]), int(part["bytes"])) for part in parts]
    if any(rows < 0 or size < 0 for rows, size in sizes):
        raise ValueError("a negative length")
    return sum(rows * 32 + size for rows, size in sizes)


def _stream_out(stream: StreamDef) -> dict[str, object]:
    return {
        "id": stream.id,
        "digest": stream.digest.hex(),
        "resource": stream.resource.decode(),
        "scope": stream.scope.decode(),
        "resource_schema_url": stream.resource_schema_url,
        "scope_schema_url": stream.scope_schema_url,
    }


def _part_out(part: Part) -> dict[str, object]:
    return {
        "class": part.class_name,
        "rows": part.rows,
        "bytes": len(part.copy_bytes),
        "digest": part.digest.hex(),
        "min_created_us": part.min_created_us,
        "max_created_us": part.max_created_us,
        "odd_times": part.odd_times,
        "counts": part.counts,
    }


def _frame_in(head: FrameHead, payload: bytes) -> Frame:
    header: dict[str, object] = head.header
    raw_parts, raw_streams = header["parts"], header["streams"]
    assert isinstance(raw_parts, list)
    assert isinstance(raw_streams, list)
    by_module = header.get("rejected_modules", [])  # absent in frames of the first builds
    assert isinstance(by_module, list)
    parts, at = [], 0
    for raw in raw_parts:
        leaves_end = at + raw["rows"] * 32
        rows_end = leaves_end + raw["bytes"]
        parts.append(_part_in(raw, payload[at:leaves_end], payload[leaves_end:rows_end]))
        at = rows_end
    simple = {name: header[name] for name in _SIMPLE}
    return Frame(
        **simple,  # type: ignore[arg-type]
        request_hash=bytes.fromhex(str(header["request_hash"])),
        streams=tuple(_stream_in(raw) for raw in raw_streams),
        parts=tuple(parts),
        encoding_version=head.encoding_version,
        rejected_modules=tuple((str(r), str(m), int(n)) for r, m, n in by_module),
        secret=bytes.fromhex(str(header.get("secret", ""))),  # absent in version 1
    )


_SIMPLE = (
    "batch_id",
    "received_unix_ns",
    "ingest_key_id",
    "signal",
    "received",
    "derived",
    "rejected",
)


def _stream_in(raw: dict[str, object]) -> StreamDef:
    return StreamDef(
        id=int(str(raw["id"])),
        digest=bytes.fromhex(str(raw["digest"])),
        resource=str(raw["resource"]).encode(),
        scope=str(raw["scope"]).encode(),
        resource_schema_url=str(raw["resource_schema_url"]),
        scope_schema_url=str(raw["scope_schema_url"]),
    )


def _part_in(raw: dict[str, object], leaves: bytes, copy_bytes: bytes) -> Part:
    counts = raw["counts"]
    assert isinstance(counts, list)
    return Part(
        class_name=str(raw["class"]),
        rows=int(str(raw["rows"])),
        copy_bytes=copy_bytes,
        leaves=leaves,
        digest=bytes.fromhex(str(raw["digest"])),
        min_created_us=int(str(raw["min_created_us"])),
        max_created_us=int(str(raw["max_created_us"])),
        odd_times=int(str(raw["odd_times"])),
        counts=tuple(tuple(count) for count in counts),
    )
