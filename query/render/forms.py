"""The forms of an export. Each writes a head, rows in pieces, and a tail; none holds them all."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from query.render.records import records
from storage.read import NO_STREAM, Row, Stream
from storage.times import rfc3339

Streams = Mapping[int, Stream]


@dataclass(frozen=True, slots=True)
class Form:
    """How records are written one after another."""

    name: str
    content_type: str
    head: bytes
    write: Callable[[Sequence[Row], Streams], bytes]
    """A piece of rows; never called without rows."""
    between: bytes
    """Between two pieces."""
    tail: bytes


def _ndjson(rows: Sequence[Row], streams: Streams) -> bytes:
    return b"\n".join(records(rows, streams)) + b"\n"


def _json(rows: Sequence[Row], streams: Streams) -> bytes:
    return b",\n".join(records(rows, streams))


_CSV_COLUMNS = (
    *("createdAt", "receivedAt", "kind", "level", "sourceModule", "action", "message"),
    *("resourceType", "resourceId", "actorId", "ipAddress", "correlationId", "traceId"),
    *("spanId", "parentSpanId", "durationNs", "id", "metadata", "resource", "scope"),
)
# A spreadsheet takes a cell that begins so for a formula (ASVS 5.0, 1.2.10).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")


def _csv(rows: Sequence[Row], streams: Streams) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    for row in rows:
        stream = streams.get(row["stream_id"], NO_STREAM)
        writer.writerow([_cell(value) for value in _csv_values(row, stream)])
    return buffer.getvalue().encode()


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
        *(row["duration_ns"], row["id"], row["metadata"], stream.resource, stream.scope),
    )


_KINDS = {"l": "log", "s": "span", "a": "audit"}


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


FORMS: dict[str, Form] = {
    form.name: form
    for form in (
        Form("ndjson", "application/x-ndjson", b"", _ndjson, b"", b""),
        Form("json", "application/json", b"[", _json, b",\n", b"]\n"),
        Form(
            "csv",
            "text/csv; charset=utf-8; header=present",
            (",".join(_CSV_COLUMNS) + "\r\n").encode(),
            _csv,
            b"",
            b"",
        ),
    )
}
