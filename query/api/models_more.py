"""Models of the answers about many records: statistics, traces, sessions, keys."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from query.api.models import LogPage, LogRecord, Model, Partial


class Context(Model):
    """A record and what its service said around it."""

    before: list[LogRecord]
    """Oldest first."""
    record: LogRecord
    after: list[LogRecord]
    """Oldest first."""


class TraceService(Model):
    """What one service did in a trace."""

    service: str
    spans: int
    self_ns: int
    """Time of its spans in which nothing below them was at work."""
    errors: int


class PathStep(Model):
    """One span of the critical path."""

    span_id: str
    self_ns: int


class TraceNode(Model):
    """A span in its place."""

    span_id: str
    parent_span_id: str | None
    depth: int
    is_orphan: bool
    """Its parent is not there."""
    service: str
    operation: str
    start: datetime
    duration_ns: int
    self_ns: int
    is_error: bool


class TraceSummary(Model):
    """A trace as a whole."""

    trace_id: str
    start: datetime | None
    duration_ns: int
    spans: int
    logs: int
    errors: int
    services: list[TraceService]
    missing_parents: list[str]
    """Spans that others name as their parent, and that are not there."""
    critical_path: list[PathStep]
    tree: list[TraceNode]
    """Depth first."""
    is_cut: bool
    """The trace has more records than a summary looks at."""


class TracePage(LogPage):
    """A page of a trace's records, oldest first; the first page has the summary."""

    trace: TraceSummary | None = None


class FoundTrace(Model):
    """A root span with figures of its trace."""

    trace_id: str
    span_id: str | None
    service: str
    operation: str
    start: datetime
    duration_ns: int
    spans: int
    errors: int
    services: list[str]


class FoundTraces(Model):
    """A page of traces."""

    data: list[FoundTrace]
    next_cursor: str | None
    notice: str = ""
    partial: Partial | None = None


class ValueCount(Model):
    """A value and how many records have it."""

    value: str
    count: int


class Bucket(Model):
    """The records of one interval."""

    start: datetime
    count: int
    values: dict[str, int]
    """By the value that is counted apart."""


class Stats(Model):
    """How many records there are."""

    total: int
    start: datetime
    end: datetime
    interval: int | None
    """Seconds of a bucket; null without a series."""
    totals: list[ValueCount]
    series: list[Bucket]
    notice: str = ""
    partial: Partial | None = None


class Facet(Model):
    """The most frequent values of a field."""

    field: str
    values: list[ValueCount]
    sample: bool
    """The counts are of the newest records only."""


class Facets(Model):
    """Facets of the fields that were asked for."""

    data: list[Facet]
    notice: str = ""
    partial: Partial | None = None


class Pattern(Model):
    """A shape of messages."""

    pattern: str
    count: int
    level: str
    """Of the newest one."""
    sample: LogRecord


class Patterns(Model):
    """Shapes of messages, the most frequent first."""

    data: list[Pattern]
    sampled: bool
    """There are more records than were looked at."""
    records: int
    """How many were looked at."""
    notice: str = ""
    partial: Partial | None = None


class Session(Model):
    """Who asks."""

    subject: str
    role: str
    permissions: list[str]
    source_modules: list[str] | None
    """Source modules whose records may be seen; null: all."""
    expires_at: datetime


class Key(Model):
    """An ingest key as people may see it."""

    id: int
    name: str
    hint: str
    """Its first characters."""
    rights: list[Literal["logs", "traces", "audit"]]
    attributes: dict[str, JsonValue]
    min_level: str | None
    records_per_s: int | None
    bytes_per_s: int | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    """May lie ahead: the end of a rotation's grace."""
    last_used_at: datetime | None
    rotated_from: int | None


class Keys(Model):
    """The ingest keys."""

    data: list[Key]
    next_cursor: None


class NewKeyAnswer(Key):
    """A key just made."""

    key: str
    """The key itself; it is never shown again."""


class Revoked(Model):
    """How many keys have ended."""

    revoked: int


class RuleHits(Model):
    """A rule and how often it hid something."""

    rule: str
    count: int


class TrialResult(BaseModel):
    """The payload as it would be stored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    result: JsonValue
    hits: list[RuleHits]
