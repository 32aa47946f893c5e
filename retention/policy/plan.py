"""Policies, segments and holds -> what goes now, what later, and what holds keep. Pure.

Retention counts from arrival: a segment goes when the newest of its records is older than its
class is kept. A segment with held records goes as well, after those were carried over.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from retention.policy.rules import Policy

FINAL_STATES = ("closed", "sealed", "cold")


@dataclass(frozen=True, slots=True)
class Stored:
    """What a decision needs to know of one segment."""

    segment: int
    class_name: str
    state: str
    rows: int
    size: int
    """COPY bytes."""
    disk_bytes: int | None
    """With indexes; known of sealed ones."""
    oldest: datetime | None
    """First arrival."""
    newest: datetime | None
    """Last arrival; None: it never had a record."""
    closed_at: datetime | None
    digest: bytes | None = None
    is_hold: bool = False
    """It has only records that were due, and that holds kept."""


class Action(StrEnum):
    """What becomes of a segment that is due."""

    DROP = "drop"
    CARRY = "carry"
    """Held records go to a segment of their own, then it is dropped."""
    KEEP = "keep"
    """All of its records are held."""


@dataclass(frozen=True, slots=True)
class Step:
    """One segment and its end."""

    stored: Stored
    rule: str
    due_at: datetime
    action: Action = Action.DROP
    held_rows: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run at `now` does, and what comes after it."""

    now: datetime
    steps: tuple[Step, ...]
    """Due, those longest due first."""
    later: tuple[Step, ...]
    """Not due yet, in order of their time."""
    without_policy: tuple[str, ...]
    """Classes with records that no rule speaks of; nothing of them goes."""

    @property
    def going(self) -> tuple[Step, ...]:
        """The steps that take something away."""
        return tuple(step for step in self.steps if step.action is not Action.KEEP)

    @property
    def rows(self) -> int:
        """Records that go."""
        return sum(step.stored.rows - step.held_rows for step in self.going)

    @property
    def size(self) -> int:
        """COPY bytes of the segments that go."""
        return sum(step.stored.size for step in self.going)


def make_plan(
    policies: Mapping[str, Policy],
    segments: Iterable[Stored],
    held: Mapping[int, int],
    now: datetime,
) -> Plan:
    """What is to be done. `held` says how many records of a due segment holds keep."""
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
    assert end is not None, "a closed segment has a time of closing"
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
    """The segments that go at `now` where no hold keeps them: those to ask holds about."""
    return [step.stored for step in make_plan(policies, segments, {}, now).steps]
