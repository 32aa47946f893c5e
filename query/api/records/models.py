"""Models of records, shared by the groups of routes that return them.

Responses are written by query/render, which does not parse the metadata; a test validates them
against these models.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, JsonValue

from query.api.http.models import Model


class Scope(BaseModel):
    """The instrumentation scope; further members as OpenTelemetry has them."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = ""
    version: str = ""


class Metadata(BaseModel):
    """Whatever has no field of its own; further members are present only when not empty."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    attributes: dict[str, JsonValue]
    resource: dict[str, JsonValue]
    scope: Scope
    body: JsonValue
    """The body, unless it was a plain string."""
    span: JsonValue
    exception: JsonValue
    otel: dict[str, JsonValue]
    """As sent: severity number and text, flags, times."""
    redaction: list[JsonValue]
    """Which rule redacted what; never the value."""


class LogRecord(Model):
    """One log record, span or audit record. All members are always present."""

    id: UUID
    kind: Literal["log", "span", "audit"]
    level: Literal["DEBUG", "INFO", "WARN", "ERROR", "CRITICAL"]
    source_module: str
    action: str
    resource_id: str | None
    resource_type: str | None
    actor_id: str | None
    ip_address: str | None
    correlation_id: str | None
    trace_id: str | None
    span_id: str | None
    parent_span_id: str | None
    message: str
    created_at: datetime
    """RFC 3339 with nanoseconds."""
    received_at: datetime
    duration_ns: int | None
    metadata: Metadata


class Partial(Model):
    """What a query did not search."""

    detail: str
    segments: int
    rows: int
    """Approximate number of records not searched."""


class ExplainedSegments(Model):
    """Segments, each a table of PostgreSQL or a pack."""

    considered: int
    """Segments of the catalogue."""
    skipped: dict[str, int]
    """By reason."""
    leaves_read: int
    """Tables of PostgreSQL."""
    packs_read: int


class ExplainedBlocks(Model):
    """Blocks of the packs that were opened."""

    considered: int
    skipped: dict[str, int]
    """By reason."""
    read: int


class ExplainedRows(Model):
    """Rows of the blocks that were read; rows of the response."""

    scanned: int
    found: int


class Explanation(Model):
    """What a query read and what it skipped, with `explain=true`."""

    segments: ExplainedSegments
    blocks: ExplainedBlocks
    rows: ExplainedRows
    stages_ms: dict[str, float]
    """Milliseconds by stage of the search; stages in several threads add up."""
    request_ms: dict[str, float]
    """Milliseconds of the request, as in Server-Timing."""


class NoticeModel(Model):
    """What to know about a result: a default, a name that no record has, records left out."""

    detail: str
    change: dict[str, str] | None
    """Parameters that may be what was meant, to send instead; null: none."""


class LogPage(Model):
    """A page of records."""

    data: list[LogRecord]
    next_cursor: str | None
    """Send it as `cursor`, with the same parameters, for the next page; null on the last page."""
    notice: str = ""
    """The details of `notices` as one text; only present when there are some."""
    notices: tuple[NoticeModel, ...] = ()
    """What to know about the result; only present when there is something."""
    partial: Partial | None = None
    """What was not searched; only present for incomplete results."""
    explain: Explanation | None = None
    """Only present with `explain=true`."""
