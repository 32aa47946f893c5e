"""Export formats. Each writes a head, rows in pieces, and a tail; none buffers all rows."""

import csv
import io
import itertools
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from config.errors import BadInput
from query.render.otlp import otlp_lines
from query.render.records import metadata_text, records
from storage.database.read import NO_STREAM, Row, Stream
from storage.record.times import rfc3339

Streams = Mapping[int, Stream]


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """How records are serialized."""

    name: str
    suffix: str
    """File name suffix."""
    content_type: str
    head: bytes
    write: Callable[[Sequence[Row], Streams], bytes]
    """Serializes some rows; never called without rows."""
    between: bytes
    """Separator between two pieces."""
    tail: bytes
    narrowed: Callable[[frozenset[str]], "ExportFormat"] | None = None
    """The format with these members of the record only; None: not supported."""

    def only(self, names: frozenset[str]) -> "ExportFormat":
        """The format with these members only. Raises BadInput if it does not support that."""
        if self.narrowed is None:
            raise BadInput(f"{self.name} does not support fields", where="fields")
        return self.narrowed(names)

    def with_mark(self) -> "ExportFormat":
        """The format with a byte order mark before its text. Raises BadInput for JSON."""
        if self.name != "csv":
            raise BadInput(f"{self.name} has no byte order mark; only csv may", where="bom")
        return replace(self, head=BOM_UTF8 + self.head)


def _ndjson(names: frozenset[str] | None = None) -> ExportFormat:
    def write(rows: Sequence[Row], streams: Streams) -> bytes:
        return b"\n".join(records(rows, streams, names)) + b"\n"

    return ExportFormat("ndjson", "ndjson", "application/x-ndjson", b"", write, b"", b"", _ndjson)


def _json(names: frozenset[str] | None = None) -> ExportFormat:
    def write(rows: Sequence[Row], streams: Streams) -> bytes:
        return b",\n".join(records(rows, streams, names))

    return ExportFormat("json", "json", "application/json", b"[", write, b",\n", b"]\n", _json)


_CSV_COLUMNS = (
    *("createdAt", "receivedAt", "kind", "level", "sourceModule", "action", "message"),
    *("resourceType", "resourceId", "actorId", "ipAddress", "correlationId", "traceId"),
    *("spanId", "parentSpanId", "durationNs", "id", "metadata", "resource", "scope"),
)
# Prefixes that make a spreadsheet treat a cell as a formula (ASVS 5.0, 1.2.10).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")


def _csv(names: frozenset[str] | None = None) -> ExportFormat:
    if names is not None and "metadata" in names:
        names |= {"resource", "scope"}
    chosen = [names is None or name in names for name in _CSV_COLUMNS]

    def line(values: Iterable[object]) -> list[str]:
        return [_cell(value) for value in itertools.compress(values, chosen)]

    def write(rows: Sequence[Row], streams: Streams) -> bytes:
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer)
        for row in rows:
            writer.writerow(line(_csv_values(row, streams.get(row["stream_id"], NO_STREAM))))
        return buffer.getvalue().encode()

    head = (",".join(itertools.compress(_CSV_COLUMNS, chosen)) + "\r\n").encode()
    content_type = "text/csv; charset=utf-8; header=present"
    return ExportFormat("csv", "csv", content_type, head, write, b"", b"", _csv)


def _csv_values(row: Row, stream: Stream) -> tuple[object, ...]:
    trace_id, span_id, parent = row["trace_id"], row["span_id"], row["parent_span_id"]
    return (
        rfc3339(row["created_at"], row["created_ns"]),
        rfc3339(row["received_at"]),
        _KINDS[row["kind"]],
        *(row["level"], row["source_module"], row["action"], row["message"]),
        *(row["resource_type"], row["resource_id"], row["actor_id"], row["ip_address"]),
        *(row["correlation_id"], trace_id.hex if trace_id else None),
        *(span_id.hex() if span_id else None, parent.hex() if parent else None),
        *(row["duration_ns"], row["id"], metadata_text(row, stream), stream.resource, stream.scope),
    )


_KINDS = {"l": "log", "s": "span", "a": "audit"}


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


FORMATS: dict[str, ExportFormat] = {
    fmt.name: fmt
    for fmt in (
        _ndjson(),
        _json(),
        _csv(),
        ExportFormat("otlp", "otlp.jsonl", "application/x-ndjson", b"", otlp_lines, b"", b""),
    )
}
