"""Models of the answers about retention: plan, runs, status, segments, holds, purges."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from query.api.models import Model

ClassName = Annotated[str, Field(alias="class")]
"""A word of Python, hence not a name in it."""


class PlannedStep(Model):
    """A segment and when it goes."""

    segment: int
    class_name: ClassName
    rule: str
    goes_at: datetime
    """May lie in the past: it goes with the next run."""
    action: Literal["drop", "carry", "keep"]
    """carry: its held records go to a segment of their own; keep: all of it is held."""
    rows: int
    bytes: int
    """As copied; on disk with indexes it is about twice that."""
    held_rows: int
    is_due: bool


class RetentionPlan(Model):
    """What goes next, soonest first."""

    data: list[PlannedStep]
    next_cursor: None
    rows: int
    """Records that go with the next run."""
    bytes: int
    segments: int


class RunStep(Model):
    """What a run did to one segment."""

    segment: int
    class_name: ClassName
    action: Literal["retire", "merge", "purge"]
    rule: str
    rows: int
    bytes: int
    root: str | None
    """Merkle root over the segment as it was, in hex."""
    to_segment: int | None
    kept_rows: int
    at: datetime


class Run(Model):
    """One run of a job."""

    id: int
    kind: Literal["expire", "limit", "merge", "purge"]
    asked_by: str
    started_at: datetime
    ended_at: datetime | None
    outcome: Literal["running", "done", "stopped"]
    note: str
    segments: int
    rows: int
    bytes: int
    steps: list[RunStep]


class Runs(Model):
    """Runs, newest first."""

    data: list[Run]
    next_cursor: str | None


class ClassState(Model):
    """A retention class against its rule."""

    class_name: ClassName
    rule: str | None
    """null: no rule speaks of it, so nothing of it goes."""
    keep: str | None
    floor: str | None
    segments: int
    held_segments: int
    rows: int
    bytes: int
    disk_bytes: int | None
    """Of its sealed segments, with indexes."""
    oldest: datetime | None
    """Arrival of its oldest record, held ones apart."""
    due_at: datetime | None
    """When its oldest segment goes."""
    overdue: str | None
    """How much later it is than it may be."""


class Backlog(Model):
    """What waits to be sealed."""

    segments: int
    rows: int
    seconds: float


class RetentionState(Model):
    """How it stands."""

    data: list[ClassState]
    next_cursor: None
    backlog: Backlog
    last_run: datetime | None
    problems: list[str]


class SegmentRow(Model):
    """A segment."""

    number: int
    class_name: ClassName
    state: Literal["open", "closed", "sealed", "cold"]
    rows: int
    bytes: int
    disk_bytes: int | None
    is_hold: bool
    """It has only records that were due and that holds keep."""
    oldest_arrival: datetime | None
    newest_arrival: datetime | None
    min_created_at: datetime | None
    max_created_at: datetime | None


class SegmentRows(Model):
    """Segments, newest first."""

    data: list[SegmentRow]
    next_cursor: None


class HoldRow(Model):
    """A legal hold, in force or past."""

    id: int
    name: str
    q: str
    """What it holds, as it was asked for."""
    reason: str
    created_by: str
    created_at: datetime
    until: datetime | None
    released_at: datetime | None
    released_by: str | None
    release_reason: str | None
    is_active: bool


class HoldRows(Model):
    """Holds, newest first."""

    data: list[HoldRow]
    next_cursor: None


class PurgeAnswer(Model):
    """First step: what would go, and the token. Second step: what went."""

    id: int
    token: str | None
    """For the second step; null when this was it."""
    expires_at: datetime | None
    rows: int
    bytes: int
    segments: int
    held_rows: int
    protected_rows: int
    """Younger than the floor of their class."""
    is_done: bool
    """false in the second step: it goes on by itself; ask `retention/runs`."""
