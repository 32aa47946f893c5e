"""Retention, its plan, past runs, status and segments: handlers, models, routes.

Package `retention` decides; this module reads what it reports.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from config.access import Permission
from config.retention import period_text
from config.settings import Settings
from query.api.http.call import API, Call, Route
from query.api.http.models import Model
from query.api.http.parameters import parameters, whole_number
from query.api.http.responses import json_response
from query.api.operations.times import time_or_null
from retention.holding.matching import Catalogued
from retention.policy.catalogue import stored_segments
from retention.policy.plan import Step, Stored
from retention.reporting import history
from retention.reporting.forecast import forecast
from retention.reporting.status import ClassStatus, status_of
from storage.database.pool import Pool
from storage.record.times import rfc3339
from storage.segments.catalogue import Segment

MAX_STEPS = 500
PAGE_RUNS = 50

ClassName = Annotated[str, Field(alias="class")]
"""`class` is a Python keyword."""


class PlannedStep(Model):
    """A segment and when it expires."""

    segment: int
    class_name: ClassName
    rule: str
    due_at: datetime
    """May be in the past: the next run removes it."""
    action: Literal["drop", "carry", "keep"]
    """carry: held records are moved to a separate segment; keep: all records are held."""
    rows: int
    bytes: int
    """COPY bytes; about twice as much on disk, with indexes."""
    held_rows: int
    is_due: bool


class RetentionPlan(Model):
    """What expires next, soonest first."""

    data: list[PlannedStep]
    next_cursor: None
    rows: int
    """Records that the next run removes."""
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
    """Merkle root over the segment before the step, in hex."""
    to_segment: int | None
    kept_rows: int
    at: datetime


class Run(Model):
    """One run of a job."""

    id: int
    kind: Literal["expire", "limit", "merge", "purge"]
    trigger: str
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
    """null: no rule applies to it, so nothing expires."""
    keep: str | None
    floor: str | None
    segments: int
    held_segments: int
    rows: int
    bytes: int
    disk_bytes: int | None
    """Size of its packs, with their indexes."""
    oldest: datetime | None
    """Arrival of its oldest record that is not held."""
    due_at: datetime | None
    """When its oldest segment expires."""
    overdue: str | None
    """By how much the oldest segment exceeds its limit."""


class Backlog(Model):
    """Segments waiting to be packed."""

    segments: int
    rows: int
    seconds: float


class RetentionState(Model):
    """Status of retention."""

    data: list[ClassState]
    next_cursor: None
    backlog: Backlog
    last_run: datetime | None
    problems: list[str]


class SegmentRow(Model):
    """A segment."""

    number: int
    class_name: ClassName
    state: Literal["open", "closed", "sealed", "packed"]
    rows: int
    bytes: int
    disk_bytes: int | None
    is_hold: bool
    """It has only expired records that are held."""
    oldest_arrival: datetime | None
    newest_arrival: datetime | None
    min_created_at: datetime | None
    max_created_at: datetime | None


class SegmentRows(Model):
    """Segments, newest first."""

    data: list[SegmentRow]
    next_cursor: None


class RetentionRoutes:
    """The routes that report on retention."""

    def __init__(self, settings: Settings, reader: Pool) -> None:
        self._settings = settings
        self._reader = reader

    def routes(self) -> Iterable[Route]:
        """Plan, runs, status, segments."""
        for path, handler, action, response, summary in (
            ("/retention/plan", self.plan, "retention.plan", RetentionPlan, "What expires next"),
            ("/retention/runs", self.runs, "retention.runs", Runs, "Past runs"),
            (
                *("/retention/status", self.status, "retention.status"),
                *(RetentionState, "Status of each class against its rule"),
            ),
            ("/segments", self.segments, "segments.list", SegmentRows, "Segments"),
        ):
            yield Route(
                method="GET",
                path=f"{API}{path}",
                handler=handler,
                permission=Permission.OPERATIONS_READ,
                action=action,
                tag="retention",
                summary=summary,
                response=response,
            )

    async def plan(self, call: Call) -> web.Response:
        """GET /api/v1/retention/plan."""
        parameters(call)
        async with self._reader.acquire() as connection:
            plan = (await forecast(connection, self._settings, datetime.now(UTC))).plan
        steps = [_step_json(step, is_due=True) for step in plan.steps]
        steps += [_step_json(step, is_due=False) for step in plan.later]
        call.rows = len(steps)
        return json_response(
            {
                "data": steps[:MAX_STEPS],
                "nextCursor": None,
                "rows": plan.rows,
                "bytes": plan.size,
                "segments": len(plan.removals),
            }
        )

    async def runs(self, call: Call) -> web.Response:
        """GET /api/v1/retention/runs."""
        before = _before(call)
        async with self._reader.acquire() as connection:
            found = await history.runs(connection, most=PAGE_RUNS, before=before)
        call.rows = len(found)
        cursor = str(found[-1].run_id) if len(found) == PAGE_RUNS else None
        return json_response({"data": [_run_json(run) for run in found], "nextCursor": cursor})

    async def status(self, call: Call) -> web.Response:
        """GET /api/v1/retention/status."""
        parameters(call)
        async with self._reader.acquire() as connection:
            found = await status_of(connection, self._settings, datetime.now(UTC))
        call.rows = len(found.classes)
        backlog = found.backlog
        return json_response(
            {
                "data": [_class_json(each) for each in found.classes],
                "nextCursor": None,
                "backlog": {
                    "segments": backlog.segments,
                    "rows": backlog.rows,
                    "seconds": round(backlog.seconds, 1),
                },
                "lastRun": time_or_null(found.last_run),
                "problems": found.problems,
            }
        )

    async def segments(self, call: Call) -> web.Response:
        """GET /api/v1/segments."""
        parameters(call)
        async with self._reader.acquire() as connection:
            catalogued = (await Catalogued.read(connection)).by_number
            found = await stored_segments(connection)
        call.rows = len(found)
        rows = [_segment_json(each, catalogued.get(each.segment)) for each in reversed(found)]
        return json_response({"data": rows, "nextCursor": None})


def _before(call: Call) -> int | None:
    cursor = parameters(call, "cursor").get("cursor")
    return None if cursor is None else whole_number(cursor, "cursor")


def _step_json(step: Step, *, is_due: bool) -> dict[str, object]:
    return {
        "segment": step.stored.segment,
        "class": step.stored.class_name,
        "rule": step.rule,
        "dueAt": rfc3339(step.due_at),
        "action": step.action.value,
        "rows": step.stored.rows - step.held_rows,
        "bytes": step.stored.size,
        "heldRows": step.held_rows,
        "isDue": is_due,
    }


def _run_json(run: history.PastRun) -> dict[str, object]:
    return {
        "id": run.run_id,
        "kind": run.kind,
        "trigger": run.trigger,
        "startedAt": rfc3339(run.began_at),
        "endedAt": time_or_null(run.ended_at),
        "outcome": run.outcome,
        "note": run.note,
        "segments": run.segments,
        "rows": run.rows,
        "bytes": run.size,
        "steps": [_past_step_json(step) for step in run.steps],
    }


def _past_step_json(step: history.RunStep) -> dict[str, object]:
    return {
        "segment": step.segment,
        "class": step.class_name,
        "action": step.action,
        "rule": step.rule,
        "rows": step.rows,
        "bytes": step.size,
        "root": step.root.hex() if step.root else None,
        "toSegment": step.to_segment,
        "keptRows": step.kept_rows,
        "at": rfc3339(step.at),
    }


def _class_json(each: ClassStatus) -> dict[str, object]:
    policy = each.policy
    return {
        "class": each.class_name,
        "rule": policy.rule if policy else None,
        "keep": period_text(policy.keep) if policy else None,
        "floor": period_text(policy.floor) if policy else None,
        "segments": each.segments,
        "heldSegments": each.held_segments,
        "rows": each.rows,
        "bytes": each.size,
        "diskBytes": each.disk_bytes,
        "oldest": time_or_null(each.oldest),
        "dueAt": time_or_null(each.due_at),
        "overdue": f"{each.overdue.total_seconds() / 3600:.0f}h" if each.overdue else None,
    }


def _segment_json(stored: Stored, known: Segment | None) -> dict[str, object]:
    """`known`: the segment's row in the catalogue."""
    return {
        "number": stored.segment,
        "class": stored.class_name,
        "state": stored.state,
        "rows": stored.rows,
        "bytes": stored.size,
        "diskBytes": stored.disk_bytes,
        "isHold": stored.is_hold,
        "oldestArrival": time_or_null(stored.oldest),
        "newestArrival": time_or_null(stored.newest),
        "minCreatedAt": time_or_null(known.min_created_at if known else None),
        "maxCreatedAt": time_or_null(known.max_created_at if known else None),
    }
