"""What the API answers, as models: for the OpenAPI document, and for tests of the answers.

The answers themselves are written by query/render, which does not parse the metadata; a test
holds both equal.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """What answers have in common: names in the API's spelling, nothing unknown."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, use_attribute_docstrings=True
    )


class Scope(BaseModel):
    """The instrumentation scope; further members as OpenTelemetry has them."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = ""
    version: str = ""


class Metadata(BaseModel):
    """Everything of a record that has no field of its own; further members only with content."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    attributes: dict[str, JsonValue]
    resource: dict[str, JsonValue]
    scope: Scope
    body: JsonValue
    """The body where it was not a plain text."""
    span: JsonValue
    exception: JsonValue
    otel: dict[str, JsonValue]
    """As it was sent: severity number and text, flags, times."""
    redaction: list[JsonValue]
    """What was hidden where; never the value."""


class LogRecord(Model):
    """One log record, span or audit record. All members are always there."""

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
    """What of the store a question did not look at."""

    detail: str
    segments: int
    rows: int
    """About as many records lie there."""


class LogPage(Model):
    """A page of records."""

    data: list[LogRecord]
    next_cursor: str | None
    """Send it as `cursor`, with the same parameters, for the next page; null on the last one."""
    notice: str = ""
    """What was decided for the asker, such as a range; only when there is something to say."""
    partial: Partial | None = None
    """What was not searched; only when something was not."""


class ProblemParameter(Model):
    """The parameter that is at fault."""

    parameter: str
    detail: str
    position: int | None = None
    """Of a fault in `q`: characters from its start, counted from 0."""


class Problem(Model):
    """An error, RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[ProblemParameter] = []
    retryable: bool = False


class Alive(BaseModel):
    """The process answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Literal["ok"]


class AnyObject(BaseModel):
    """Any JSON object."""

    model_config = ConfigDict(extra="allow", frozen=True)


class CheckModel(BaseModel):
    """One check of /readyz."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: Literal["ok", "degraded", "failed"]
    reason: str


class Readiness(BaseModel):
    """Whether this process can do its work."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Literal["ok", "degraded", "failed"]
    checks: dict[str, CheckModel]


class Version(BaseModel):
    """Which opslog this is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["opslog"]
    version: str
