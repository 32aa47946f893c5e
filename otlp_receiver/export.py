"""What one request holds, on its way from bytes to records: before and after redaction.

    decode  makes  Export           values as they were sent, never written anywhere
    redact  makes  RedactedExport   the same, safe to keep
    map     makes  RedactedBatch    storage/record/record.py

Groups and rows may be generators: a record goes through all three stages while it is in the cache,
and what it taught the memos serves the next one. Log rows are tuples, not objects.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeAlias, TypeVar

from storage.record.record import Attribute, Hit, Value


class Signal(Enum):
    """What a request carries; the value is the last part of its path."""

    LOGS = "logs"
    TRACES = "traces"
    AUDIT = "audit"


class Encoding(Enum):
    """How a request is written."""

    PROTOBUF = "protobuf"
    JSON = "json"


RawText: TypeAlias = "bytes | str"
"""A text as it came: bytes from protobuf (any bytes), str from JSON (already clean)."""

Pair: TypeAlias = "tuple[str, Value]"
"""Key and value of an attribute before redaction."""

HeadKey: TypeAlias = "tuple[int, RawText, int, RawText, int]"
"""Severity number, severity text, flags, event name, dropped attributes: few distinct ones."""

Fresh: TypeAlias = "tuple[list[Attribute | None], int, Hashable, Pair, str]"
"""An attribute that no memo knew: the list and index where it belongs, its key in the memo (None:
not to be remembered), the pair, and where it stands in the record (for the redaction manifest)."""


@dataclass(slots=True)
class Odd:
    """What was unusual about one record; most records have none."""

    replaced: int = 0
    """NULs and invalid UTF-8 that became U+FFFD."""
    strindexes: int = 0
    """References into a string table that OTLP logs and traces do not have: read as empty."""
    cuts: dict[str, int] = field(default_factory=dict)
    """What was cut, and its size before (bytes of a text, number of attributes) or how often."""


RawLog: TypeAlias = (
    "tuple[HeadKey, int, int, bytes, bytes, Value, list[Attribute | None], list[Fresh], Odd | None]"
)
"""Head, time, observed time (ns), trace id, span id, body, attributes (None: see fresh), fresh,
odd."""

LogRow: TypeAlias = (
    "tuple[Head, int, int, bytes, bytes, str | None, Attribute | None, list[Attribute],"
    " list[Mark], Odd | None]"
)
"""Head, time, observed time, trace id, span id, body where it is a text, body where it is not,
attributes, marks, odd."""

Mark: TypeAlias = "tuple[str, str, int]"
"""(where, rule, how often): what redaction hid in one record, never the value."""


@dataclass(slots=True)
class Head:
    """The redacted head of log records: made once per distinct HeadKey."""

    severity_number: int
    severity_text: str
    flags: int
    event_name: str
    level: int | None
    """By the severity number; None where that says nothing."""
    members: dict[str, bytes]
    """metadata.otel without the observed time."""
    otel: bytes
    """`"otel": {…}` of a record without an observed time; b"" when there is nothing to say."""
    before: bytes
    """Metadata of a record with an observed time and attributes, and nothing else: what comes
    before the digits of that time, and what between them and the attributes."""
    between: bytes
    after: bytes
    """What comes behind the digits in `otel` itself."""
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
    """What was hidden in it; counted once per request and group."""
    replaced: int
    """Characters replaced in it."""


@dataclass(slots=True)
class RawStream:
    """Resource and scope as sent."""

    memo_key: Hashable
    """Under which the redacted stream is remembered; None: not worth it."""
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
    """Of the span, its events and its links together."""
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
    """Records that share resource and scope, in the order in which they came."""

    __slots__ = ("rows", "stream")

    def __init__(self, stream: StreamLike, rows: Iterable[Row]) -> None:
        self.stream = stream
        self.rows = rows


@dataclass(slots=True)
class Reject:
    """A record that could not be read while its neighbours could."""

    position: int
    """Place in the request, from 0."""
    reason: str
    """One of mapping/reasons.py."""
    where: str
    """Field path, without any content."""
    count: int = 1
    """This record and so many less one after it."""


@dataclass(slots=True)
class Tallies:
    """What is known of a request when all of its rows have been read; every stage adds to it."""

    received: int = 0
    """Records (spans) in the request, the rejected ones too."""
    rejects: list[Reject] = field(default_factory=list)
    replaced: int = 0
    """Characters replaced where it is not known in which record they stand."""
    redactions: dict[str, int] = field(default_factory=dict)
    """Rule to count over the whole request, resources and scopes included."""


@dataclass(slots=True)
class Export:
    """One decoded request. Exactly one of `logs` and `spans` is used."""

    tallies: Tallies
    logs: Iterable[Group[RawStream | Stream, RawLog]] = ()
    spans: Iterable[Group[RawStream | Stream, RawSpan]] = ()


@dataclass(slots=True)
class RedactedExport:
    """The same after redaction: nothing in it may not be written down."""

    tallies: Tallies
    logs: Iterable[Group[Stream, LogRow]]
    spans: Iterable[Group[Stream, SpanRow]]
