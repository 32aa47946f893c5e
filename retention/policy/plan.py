"""Policies, segments and holds -> what expires now, what later, and what holds keep. Pure.

Age counts from arrival: a segment is due when its newest record is older than its class's
retention period. Held records of a due segment are carried over before it is dropped.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from retention.policy.rules import Policy

FINAL_STATES = ("closed", "sealed", "packed")


@dataclass(frozen=True, slots=True)
class Stored:
    """The facts about one segment that a decision needs."""

    segment: int
    class_name: str
    state: str
    rows: int
    size: int
    """COPY bytes."""
    disk_bytes: int | None
    """Of its pack with the index; None: it is not packed."""
    oldest: datetime | None
    """First arrival."""
    newest: datetime | None
    """Last arrival; None: no records."""
    closed_at: datetime | None
    digest: bytes | None = None
    is_hold: bool = False
    """It contains only expired records that are under a hold."""


class Action(StrEnum):
    """What happens to a due segment."""

    DROP = "drop"
    CARRY = "carry"
    """Held records are copied to a new segment, then it is dropped."""
    KEEP = "keep"
    """All of its records are held."""


@dataclass(frozen=True, slots=True)
class Step:
    """The action for one segment."""

    stored: Stored
    rule: str
    due_at: datetime
    action: Action = Action.DROP
    held_rows: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run at `now` does, and what becomes due later."""

    now: datetime
    steps: tuple[Step, ...]
    """Due, longest overdue first."""
    later: tuple[Step, ...]
    """Not due yet, by due date."""
    without_policy: tuple[str, ...]
    """Classes with records that no rule covers; they are kept for ever."""

    @property
    def removals(self) -> tuple[Step, ...]:
        """The steps that remove records."""
        return tuple(step for step in self.steps if step.action is not Action.KEEP)

    @property
    def rows(self) -> int:
        """Records to remove."""
        return sum(step.stored.rows - step.held_rows for step in self.removals)

    @property
    def size(self) -> int:
        """COPY bytes of the segments to remove."""
        return sum(step.stored.size for step in self.removals)


def make_plan(
    policies: Mapping[str, Policy],
    segments: Iterable[Stored],
    held: Mapping[int, int],
    now: datetime,
) -> Plan:
    """Make the plan. `held` is the number of held records per due segment."""
    due: list[Step] = []
    later: list[Step] = []
    unknown: set[str] = set()
    for stored in segments:
        if stored.state not in FINAL_STATES:
            continue
        policy = policies.get(stored.class_name)
        if policy is None:
            unknown.add(stored.class_name)
            continue
        step = _step(stored, policy, held.get(stored.segment, 0))
        (due if step.due_at <= now else later).append(step)
    return Plan(now, _in_order(due), _in_order(later), tuple(sorted(unknown)))


def _step(stored: Stored, policy: Policy, held_rows: int) -> Step:
    end = stored.newest or stored.closed_at
    assert end is not None, "a closed segment has a closing time"
    due_at = policy.due_at(end) if stored.newest else end
    if held_rows == 0:
        action = Action.DROP
    elif held_rows >= stored.rows and stored.is_hold:
        action = Action.KEEP
    else:
        action = Action.CARRY
    return Step(stored, policy.rule, due_at, action, held_rows)


def _in_order(steps: Iterable[Step]) -> tuple[Step, ...]:
    return tuple(sorted(steps, key=lambda step: (step.due_at, step.stored.segment)))


def due_segments(
    policies: Mapping[str, Policy], segments: Iterable[Stored], now: datetime
) -> list[Stored]:
    """The segments due at `now`, before holds are considered."""
    return [step.stored for step in make_plan(policies, segments, {}, now).steps]
