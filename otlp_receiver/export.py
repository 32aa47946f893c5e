"""Data types of one request between decoding and mapping: before and after redaction.

    decode  returns  Export           values as sent, never written anywhere
    redact  returns  RedactedExport   the same, safe to store
    map     returns  RedactedBatch    storage/record/record.py

Groups and rows may be generators: a record passes all three stages while it is in the CPU cache,
and memos filled by one record serve the next. Log rows are tuples, for speed.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeAlias, TypeVar

from storage.record.record import Attribute, Hit, Value


class Signal(Enum):
    """Signal of a request; the value is the last segment of its path."""

    LOGS = "logs"
    TRACES = "traces"
    AUDIT = "audit"


class Encoding(Enum):
    """Encoding of a request."""

    PROTOBUF = "protobuf"
    JSON = "json"


RawText: TypeAlias = "bytes | str"
"""A text as received: bytes from protobuf (any bytes), str from JSON (already clean)."""

Pair: TypeAlias = "tuple[str, Value]"
"""Key and value of an attribute before redaction."""

HeadKey: TypeAlias = "tuple[int, RawText, int, RawText, int]"
"""Severity number, severity text, flags, event name, dropped attributes: few distinct values."""

Fresh: TypeAlias = "tuple[list[Attribute | None], int, Hashable, Pair, str]"
"""An attribute missing from the memos: its list and index, its memo key (None: not memoized), the
pair, and its path in the record (for the redaction manifest)."""


@dataclass(slots=True)
class Note:
    """A value that cannot be read as what its field requires."""

    where: str
    """Path in the record (or resource, scope), without any content."""
    problem: str
    sent: Value = None
    """What was sent, as text or bytes; None if it is kept in its place, as text."""


@dataclass(slots=True)
class Odd:
    """Anomalies of one record; most records have none."""

    replaced: int = 0
    """NULs and invalid UTF-8 replaced by U+FFFD."""
    strindexes: int = 0
    """References to a string table, which OTLP logs and traces do not have: read as empty."""
    cuts: dict[str, int] = field(default_factory=dict)
    """What was truncated, with its original size (bytes, number of attributes) or the count."""
    notes: list[Note] = field(default_factory=list)
    """Values that could not be read; redacted together with the record."""


RawLog: TypeAlias = (
    "tuple[HeadKey, int, int, bytes, bytes, Value, list[Attribute | None], list[Fresh], Odd | None]"
)
"""Head, time, observed time (ns), trace id, span id, body, attributes (None: see fresh), fresh,
anomalies."""

LogRow: TypeAlias = (
    "tuple[Head, int, int, bytes, bytes, str | None, Attribute | None, list[Attribute],"
    " list[Mark], Odd | None]"
)
"""Head, time, observed time, trace id, span id, body if it is a text, body otherwise, attributes,
marks, anomalies."""

Mark: TypeAlias = "tuple[str, str, int]"
"""(path, rule, count) of a redaction in one record, without the value."""


@dataclass(slots=True)
class Head:
    """The redacted head of log records: created once per distinct HeadKey."""

    severity_number: int
    severity_text: str
    flags: int
    event_name: str
    event: str
    """The event name, if it names an event (mapping/columns/action.py)."""
    level: int | None
    """Derived from the severity number; None if that is unset."""
    members: dict[str, bytes]
    """metadata.otel without the observed time."""
    otel: bytes
    """`"otel": {…}` of a record without an observed time; b"" if empty."""
    before: bytes
    """Metadata of a record that has only an observed time and attributes: the part before the
    digits of the time, and the part between them and the attributes."""
    between: bytes
    after: bytes
    """The part after the digits in `otel` itself."""
    marks: tuple[Mark, ...] = ()
    replaced: int = 0


@dataclass(slots=True, eq=False)
class Stream:
    """A redacted resource and scope."""

    resource: tuple[Attribute, ...]
    resource_dropped: int
    resource_schema_url: str
    scope_name: str
    scope_version: str
    scope: tuple[Attribute, ...]
    scope_dropped: int
    scope_schema_url: str
    hits: tuple[Hit, ...]
    """Redactions in it; counted once per request and group."""
    replaced: int
    """Characters replaced in it."""
    notes: tuple[Note, ...] = ()
    """Values in it that could not be read."""


@dataclass(slots=True)
class RawStream:
    """Resource and scope as sent."""

    memo_key: Hashable
    """Memo key of the redacted stream; None: not memoized."""
    resource: list[Pair] = field(default_factory=list)
    resource_dropped: int = 0
    resource_schema_url: RawText = ""
    scope_name: RawText = ""
    scope_version: RawText = ""
    scope: list[Pair] = field(default_factory=list)
    scope_dropped: int = 0
    scope_schema_url: RawText = ""
    odd: Odd = field(default_factory=Odd)


@dataclass(slots=True)
class RawEvent:
    """A span event as sent."""

    time_ns: int
    name: RawText
    attributes: list[Attribute | None]
    dropped: int


@dataclass(slots=True)
class RawLink:
    """A span link as sent."""

    trace_id: bytes
    span_id: bytes
    trace_state: RawText
    attributes: list[Attribute | None]
    flags: int
    dropped: int


@dataclass(slots=True)
class RawSpan:
    """A span as sent."""

    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    trace_state: RawText
    flags: int
    name: RawText
    kind: int
    start_ns: int
    end_ns: int
    attributes: list[Attribute | None]
    dropped: int
    events: list[RawEvent]
    dropped_events: int
    links: list[RawLink]
    dropped_links: int
    status_code: int
    status_message: RawText
    fresh: list[Fresh]
    """Of the span, its events and its links."""
    odd: Odd | None


@dataclass(slots=True)
class SpanEvent:
    """A redacted span event."""

    time_ns: int
    name: str
    attributes: list[Attribute]
    dropped: int


@dataclass(slots=True)
class SpanLink:
    """A redacted span link."""

    trace_id: bytes
    span_id: bytes
    trace_state: str
    attributes: list[Attribute]
    flags: int
    dropped: int


@dataclass(slots=True)
class SpanRow:
    """A redacted span."""

    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    trace_state: str
    flags: int
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: list[Attribute]
    dropped: int
    events: list[SpanEvent]
    dropped_events: int
    links: list[SpanLink]
    dropped_links: int
    status_code: int
    status_message: str
    marks: list[Mark]
    odd: Odd | None


Row = TypeVar("Row")
StreamLike = TypeVar("StreamLike")


class Group(Generic[StreamLike, Row]):
    """Records with the same resource and scope, in order of arrival."""

    __slots__ = ("rows", "stream")

    def __init__(self, stream: StreamLike, rows: Iterable[Row]) -> None:
        self.stream = stream
        self.rows = rows


@dataclass(slots=True)
class Reject:
    """A rejected record in an otherwise accepted request."""

    position: int
    """Index in the request, from 0."""
    reason: str
    """One of mapping/reject_reasons.py."""
    where: str
    """Field path, without any content."""
    count: int = 1
    """Number of consecutive records, starting with this one."""


@dataclass(slots=True)
class Tallies:
    """Counts of a request, complete when all of its rows have been read; all stages add to it."""

    received: int = 0
    """Records (spans) in the request, including rejected ones."""
    rejects: list[Reject] = field(default_factory=list)
    replaced: int = 0
    """Characters replaced that cannot be attributed to a record."""
    redactions: dict[str, int] = field(default_factory=dict)
    """Count by rule for the whole request, including resources and scopes."""
    unreadable: int = 0
    """Values that could not be read; their records are stored nevertheless."""
    unreadable_at: str = ""
    """Path of the first of them in the request."""

    def note(self, notes: list[Note], where: str) -> None:
        """Count the notes of a record, or of a resource and scope, at path `where`."""
        if not self.unreadable:
            self.unreadable_at = joined(where, notes[0].where)
        self.unreadable += len(notes)


def joined(outer: str, inner: str) -> str:
    """The path of `inner` in `outer`; either may be empty."""
    return f"{outer}.{inner}" if outer and inner else outer or inner


@dataclass(slots=True)
class Export:
    """One decoded request. Exactly one of `logs` and `spans` is used."""

    tallies: Tallies
    logs: Iterable[Group[RawStream | Stream, RawLog]] = ()
    spans: Iterable[Group[RawStream | Stream, RawSpan]] = ()


@dataclass(slots=True)
class RedactedExport:
    """The same after redaction: safe to store."""

    tallies: Tallies
    logs: Iterable[Group[Stream, LogRow]]
    spans: Iterable[Group[Stream, SpanRow]]
