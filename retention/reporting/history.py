"""History of retention: runs, newest first, with their steps per segment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from retention.segments.runs import CATCH_UP, RETRY
from storage.database.connection import Connection
from storage.database.statements import statement

_TRIGGERS = {CATCH_UP: "catch-up", RETRY: "retry"}
"""Stored value to the one that is shown."""


@dataclass(frozen=True, slots=True)
class RunStep:
    """What a run did to one segment."""

    segment: int
    class_name: str
    action: str
    """retire, merge or purge."""
    rule: str
    rows: int
    size: int
    root: bytes | None
    """Merkle root over the segment before the step; None: it had no rows or was unreadable."""
    to_segment: int | None
    kept_rows: int
    newest: datetime | None
    at: datetime


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run."""

    run_id: int
    kind: str
    """expire, limit, merge or purge."""
    trigger: str
    """What started it: schedule, catch-up, retry, a rule, or a user."""
    began_at: datetime
    ended_at: datetime | None
    outcome: str
    """running, done or stopped."""
    note: str
    segments: int
    rows: int
    size: int
    steps: tuple[RunStep, ...] = ()


async def runs(
    connection: Connection, *, most: int = 20, before: int | None = None
) -> list[PastRun]:
    """Runs, newest first, those with a number below `before`, with their steps."""
    rows = await connection.fetch(statement("runs"), most, before)
    steps = await _steps(connection, [row["run_id"] for row in rows])
    return [
        PastRun(
            **{**row, "trigger": _TRIGGERS.get(row["trigger"], row["trigger"])},
            steps=tuple(steps.get(row["run_id"], ())),
        )
        for row in rows
    ]


async def _steps(connection: Connection, run_ids: Sequence[int]) -> dict[int, list[RunStep]]:
    found: dict[int, list[RunStep]] = {}
    for row in await connection.fetch(statement("steps"), run_ids):
        values = dict(row)
        found.setdefault(values.pop("run_id"), []).append(RunStep(**values))
    return found
