"""Fuzz targets and their invariants. Pure: bytes in, AssertionError out.

The first byte of an input chooses the target, the rest is its input. tests/fuzz/run.py is guided by
coverage, test_corpus.py repeats the findings. A target is a function and a line in TARGETS.
"""

import json
import os
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import gettempdir

import zstandard
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from config.settings import LimitSettings, MappingSettings, RedactionSettings
from otlp_receiver.admission.keys import KEYLESS
from otlp_receiver.codec import Codec
from otlp_receiver.errors import BadCompression, BadPayload, WrongSignal
from otlp_receiver.export import Encoding, Signal
from otlp_receiver.http.inflate import inflater_of
from otlp_receiver.mapping.reject_reasons import BAD_VALUE
from storage.record.canonical import canonical
from storage.record.classes import classify
from storage.record.columns import COLUMNS
from storage.record.copy_binary import encode, fields_of, leaf_of, rows_of
from storage.record.nonces import Nonces, class_key, fill
from storage.record.record import RECORD_FIELDS, Record, RedactedBatch
from storage.redaction.redactor import Redactor
from storage.redaction.tokens import HmacKeys
from storage.spool.files import scan_file
from storage.spool.frame import FrameDamaged, FrameUnknown, decode_frame, find_frame, read_head

NOW_NS = 1_780_000_000_000_000_000
MAX_PLAIN_BYTES = 8 * 2**20
MAX_STEP_BYTES = 16 * 2**20
INDEXED_BYTES = 2600
"""Of a text column with a btree; PostgreSQL refuses entries beyond 2704."""
TEXTS = [column for column in COLUMNS if column.type.startswith(("text", "character"))]
INDEXED = {"resource_id", "actor_id"}


@cache
def codec() -> Codec:
    """A receiver's codec, with all redaction rules; its caches are kept, as in a receiver."""
    redactor = Redactor(RedactionSettings(), HmacKeys({"t": b"k" * 32}, current="t"))
    return Codec(redactor, LimitSettings(), MappingSettings())


def stored(signal: Signal, encoding: Encoding, body: bytes) -> RedactedBatch:
    """The batch of a body. Raises only BadPayload."""
    redacted = codec().redact(codec().decode(signal, encoding, body))
    return codec().map(redacted, received_unix_ns=NOW_NS, key=KEYLESS)


def check_batch(batch: RedactedBatch) -> None:
    """Every record is accounted for and acceptable to PostgreSQL."""
    rejected = sum(batch.rejected.values())
    assert len(batch.records) + rejected == batch.received + batch.derived
    parts = encode(
        batch,
        batch_id=1,
        received_unix_ns=NOW_NS,
        ingest_key_id=0,
        classify=classify,
        secret=bytes(16),
    )
    assert sum(part.rows for part in parts) == len(batch.records)
    for part in parts:
        rows = list(rows_of(part.copy_bytes))
        nonces = Nonces(class_key(bytes(16), part.class_name))
        assert b"".join(leaf_of(fill(row, nonces)) for row in rows) == part.leaves
        for row in rows:
            check_row(fields_of(row))
    for stream in batch.streams.values():
        check_json(stream.resource)
        check_json(stream.scope)
        check_text((stream.resource_schema_url + stream.scope_schema_url).encode())


def check_row(fields: dict[str, bytes | None]) -> None:
    """Texts are clean and within limits, metadata is the JSON that jsonb prints."""
    for column in TEXTS:
        raw = fields[column.name]
        if raw is None:
            assert column.nullable, column.name
            continue
        text = check_text(raw)
        if "(" in column.type:
            assert len(text) <= int(column.type.partition("(")[2].rstrip(")")), column.name
        if column.name in INDEXED:
            assert len(raw) <= INDEXED_BYTES, column.name
    metadata = fields["metadata"]
    assert metadata is not None
    assert metadata[0] == 1
    check_json(metadata[1:])


def check_text(raw: bytes) -> str:
    """UTF-8 without NUL."""
    text = raw.decode()
    assert "\0" not in text
    return text


def check_json(raw: bytes) -> None:
    """Canonical: read and written again it is the same; no NUL, surrogate, NaN or deep nest."""
    value = json.loads(raw, parse_constant=_no_constant)
    assert canonical(value) == raw
    assert b"\\u0000" not in raw.replace(b"\\\\", b"")


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} in JSON")


# -- whole bodies ---------------------------------------------------------------------------

_OFFICIAL = {Signal.LOGS: ExportLogsServiceRequest, Signal.TRACES: ExportTraceServiceRequest}
_OLD_SCOPES = b"\xc2\x3e"
"""Field 1000, which we read on purpose and the official classes do not know."""


def protobuf_body(signal: Signal, body: bytes) -> None:
    """Every record that the official classes read is accepted; what they skip is rejected."""
    try:
        official = _OFFICIAL[signal].FromString(body)
    except DecodeError:
        official = None
    try:
        batch = stored(signal, Encoding.PROTOBUF, body)
    except BadPayload as error:
        is_empty = official is None or not _count(signal, official)
        is_other = isinstance(error, WrongSignal)
        _check_refusal(error, may_be=is_empty or is_other or _OLD_SCOPES in body)
        return
    check_batch(batch)
    if official is not None and _OLD_SCOPES not in body:
        skipped = batch.rejected.get(BAD_VALUE, 0)
        assert batch.received - skipped == _count(signal, official)


def _count(signal: Signal, official: ExportLogsServiceRequest | ExportTraceServiceRequest) -> int:
    if signal is Signal.LOGS:
        scopes = [scope for item in official.resource_logs for scope in item.scope_logs]
        return sum(len(scope.log_records) for scope in scopes)
    scopes = [scope for item in official.resource_spans for scope in item.scope_spans]
    return sum(len(scope.spans) for scope in scopes)


def json_body(signal: Signal, body: bytes) -> None:
    """Rejected or accepted, nothing else."""
    try:
        batch = stored(signal, Encoding.JSON, body)
    except BadPayload as error:
        _check_refusal(error)
        return
    check_batch(batch)


def _check_refusal(error: BadPayload, *, may_be: bool = True) -> None:
    assert may_be, f"the batch was refused at {error.where}: {error}"
    f"{error}{error.where}".encode()
    assert len(str(error)) + len(error.where) < 1000


# -- one record between good neighbours -----------------------------------------------------

_GOOD = ("good neighbour before", "good neighbour after")


def _good_proto(signal: Signal, text: str) -> bytes:
    if signal is Signal.LOGS:
        logs = ExportLogsServiceRequest()
        record = (
            logs.resource_logs.add()
            .scope_logs.add()
            .log_records.add(time_unix_nano=NOW_NS - 5, severity_number=17)
        )
        record.body.string_value = text
        record.attributes.add(key="shop").value.string_value = text
        return record.SerializeToString()
    traces = ExportTraceServiceRequest()
    span = (
        traces.resource_spans.add()
        .scope_spans.add()
        .spans.add(name=text, trace_id=b"t" * 16, span_id=b"s" * 8, start_time_unix_nano=NOW_NS - 5)
    )
    span.attributes.add(key="shop").value.string_value = text
    return span.SerializeToString()


def _good_json(signal: Signal, text: str) -> bytes:
    attributes = [{"key": "shop", "value": {"stringValue": text}}]
    time = str(NOW_NS - 5)
    if signal is Signal.LOGS:
        record = {"timeUnixNano": time, "severityNumber": 17, "body": {"stringValue": text}}
    else:
        record = {"traceId": "74" * 16, "spanId": "73" * 8, "name": text, "startTimeUnixNano": time}
    return json.dumps(record | {"attributes": attributes}).encode()


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field of protobuf."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """A protobuf varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _among_neighbours(signal: Signal, encoding: Encoding, record: bytes) -> bytes:
    if encoding is Encoding.PROTOBUF:
        before, after = (_good_proto(signal, text) for text in _GOOD)
        return field(1, field(2, field(2, before) + field(2, record) + field(2, after)))
    before, after = (_good_json(signal, text) for text in _GOOD)
    outer, inner, rows = (
        (b"resourceLogs", b"scopeLogs", b"logRecords")
        if signal is Signal.LOGS
        else (b"resourceSpans", b"scopeSpans", b"spans")
    )
    return b'{"%b":[{"%b":[{"%b":[%b,%b,%b]}]}]}' % (outer, inner, rows, before, record, after)


@cache
def _expected(signal: Signal, encoding: Encoding) -> list[dict[str, object]]:
    good = _good_proto if encoding is Encoding.PROTOBUF else _good_json
    return [
        _columns(stored(signal, encoding, _alone(signal, encoding, good(signal, text))).records[0])
        for text in _GOOD
    ]


def _alone(signal: Signal, encoding: Encoding, record: bytes) -> bytes:
    if encoding is Encoding.PROTOBUF:
        return field(1, field(2, field(2, record)))
    body = _among_neighbours(signal, encoding, b"@")
    good = [_good_json(signal, text) for text in _GOOD]
    return body.replace(b"%b,@,%b" % (good[0], good[1]), record)


def _columns(record: Record) -> dict[str, object]:
    return {name: getattr(record, name) for name in RECORD_FIELDS if name != "id"}


def protobuf_record(signal: Signal, record: bytes) -> None:
    """A record of any bytes does not affect its neighbours, unless it is of another signal."""
    body = _among_neighbours(signal, Encoding.PROTOBUF, record)
    _record(signal, Encoding.PROTOBUF, body, sound=True)


def json_record(signal: Signal, record: bytes) -> None:
    """A record of any JSON does not affect its neighbours."""
    try:
        json.loads(record.decode(), parse_constant=_refuse)
        sound = True
    except (ValueError, RecursionError):
        sound = False
    _record(signal, Encoding.JSON, _among_neighbours(signal, Encoding.JSON, record), sound=sound)


def _refuse(name: str) -> None:
    raise ValueError(name)


def _record(signal: Signal, encoding: Encoding, body: bytes, *, sound: bool) -> None:
    try:
        batch = stored(signal, encoding, body)
    except BadPayload as error:
        _check_refusal(error, may_be=not sound or isinstance(error, WrongSignal))
        return
    check_batch(batch)
    if sound:
        found = [_columns(record) for record in batch.records]
        kept = [columns for columns in found if columns in _expected(signal, encoding)]
        assert kept == _expected(signal, encoding), "a neighbour was lost or changed"


# -- compressed bodies and frames -----------------------------------------------------------

_CODINGS = ("gzip", "deflate", "zstd")


class _TooMuch(Exception):
    """Raised at the limit, as in the receiver."""


def inflated(data: bytes) -> None:
    """Any chunking of the body gives the same result; agrees with zlib and zstd."""
    coding, step = _CODINGS[data[0] % 3], 1 + data[1] * 8 if len(data) > 1 else 1
    body = data[2:]
    try:
        plain = _inflate(coding, [body[at : at + step] for at in range(0, len(body), step)])
    except BadCompression:
        plain = None
    except _TooMuch:
        return
    if coding == "zstd":
        assert plain in {None, _unzstd(body)}, "zstd: read otherwise"
        return
    reference = _unzip(coding, body)
    assert reference is None or reference == plain, f"{coding}: read otherwise"


def _inflate(coding: str, chunks: list[bytes]) -> bytes:
    inflater = inflater_of(coding)
    assert inflater is not None
    pieces, size = [], 0
    for chunk in chunks:
        for piece in inflater.feed(chunk):
            size += len(piece)
            assert len(piece) <= MAX_STEP_BYTES
            if size > MAX_PLAIN_BYTES:
                raise _TooMuch
            pieces.append(piece)
    inflater.finish()
    return b"".join(pieces)


def _unzstd(body: bytes) -> bytes | None:
    """Another API of the same library, which does not detect truncated data."""
    zstd = zstandard.ZstdDecompressor(max_window_size=2**23)
    try:
        return zstd.stream_reader(body, read_across_frames=True).read(2 * MAX_PLAIN_BYTES)
    except zstandard.ZstdError:
        return None


def _unzip(coding: str, body: bytes) -> bytes | None:
    """The decompressed bytes by zlib; None if it rejects them."""
    plain = b""
    while True:
        stream = zlib.decompressobj(31 if coding == "gzip" else 15)
        try:
            plain += stream.decompress(body, MAX_PLAIN_BYTES)
        except zlib.error:
            return None
        body = stream.unused_data
        if not stream.eof or (body and coding == "deflate"):
            return None
        if not body:
            return plain


def frames(data: bytes) -> None:
    """Damage is reported, and reading continues after it."""
    for at in (0, data.find(b"\xf5OPL", 1)):
        try:
            read_head(data, max(at, 0))
            decode_frame(data, max(at, 0))
        except (FrameDamaged, FrameUnknown):
            pass
    assert -1 <= find_frame(data, 0) < max(len(data), 1)
    path = Path(gettempdir()) / f"opslog-fuzz-{os.getpid()}.spool"
    try:
        path.write_bytes(data)
        scan = scan_file(path)
    finally:
        path.unlink(missing_ok=True)
    assert scan.frames >= 0
    assert scan.end <= len(data)


TARGETS: tuple[Callable[[bytes], None], ...] = (
    lambda data: protobuf_body(Signal.LOGS, data),
    lambda data: protobuf_body(Signal.TRACES, data),
    lambda data: json_body(Signal.LOGS, data),
    lambda data: json_body(Signal.TRACES, data),
    lambda data: protobuf_record(Signal.LOGS, data),
    lambda data: protobuf_record(Signal.TRACES, data),
    lambda data: json_record(Signal.LOGS, data),
    lambda data: json_record(Signal.TRACES, data),
    inflated,
    frames,
)
"""By the first byte of an input; the numbers are part of the corpus."""
PROTOBUF = (0, 1, 4, 5)
JSON = (2, 3, 6, 7)
INFLATE, FRAMES = 8, 9


def try_input(data: bytes) -> None:
    """Pass one input to its target. Any exception is a finding."""
    if len(data) > 1:
        TARGETS[data[0] % len(TARGETS)](data[1:])
