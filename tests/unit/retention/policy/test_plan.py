"""Plans for frozen and for shifted clocks."""

from datetime import UTC, datetime, timedelta

import pytest

from config.retention import RetentionRule
from config.settings import RetentionSettings
from retention.policy.plan import Action, Stored, due_segments, make_plan
from retention.policy.rules import Policy, policies, with_former
from retention.reporting.status import class_status

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
POLICIES = policies(RetentionSettings())


def stored(segment: int, class_name: str = "debug", *, age: timedelta = 8 * DAY, **more) -> Stored:
    """A packed segment whose newest record is that old."""
    values = {
        "segment": segment, "class_name": class_name, "state": "packed", "rows": 10, "size": 1000,
        "disk_bytes": 2000, "oldest": NOON - age - DAY, "newest": NOON - age,
        "closed_at": NOON - age,
    }  # fmt: skip
    return Stored(**(values | more))


def test_the_defaults_are_those_of_the_levels() -> None:
    days = {name: policy.keep.days for name, policy in POLICIES.items()}

    assert days == {
        "debug": 7, "info": 30, "warn": 90, "error": 180, "critical": 365, "audit": 365,
    }  # fmt: skip
    assert POLICIES["audit"].floor == 365 * DAY


def test_the_first_rule_that_names_a_class_governs_it() -> None:
    rules = [
        RetentionRule(name="long-errors", keep="2y", floor="1y", level=["ERROR", "CRITICAL"]),
        RetentionRule(name="errors", keep="1d", level=["WARN", "ERROR"]),
        RetentionRule(name="audit-7y", keep="7y", kind="audit"),
        RetentionRule(name="payments", keep="3y", source_module="payments"),
    ]

    found = policies(RetentionSettings(rules=rules))

    assert (found["error"].rule, found["error"].floor) == ("long-errors", 365 * DAY)
    assert (found["warn"].rule, found["warn"].keep) == ("errors", DAY)
    assert (found["audit"].keep, found["audit"].floor) == (7 * 365 * DAY, 365 * DAY)
    assert found["payments"].keep == 3 * 365 * DAY


def test_due_segments_expire_oldest_first_and_the_rest_later() -> None:
    segments = [
        stored(1, age=7 * DAY),
        stored(2, age=9 * DAY),
        stored(3, age=7 * DAY - timedelta(seconds=1)),
        stored(4, "info", age=8 * DAY),
    ]

    plan = make_plan(POLICIES, segments, {}, NOON)

    assert [step.stored.segment for step in plan.steps] == [2, 1]
    assert [step.stored.segment for step in plan.later] == [3, 4]
    assert (plan.rows, plan.size) == (20, 2000)


@pytest.mark.parametrize("state", ["ready", "open", "retiring", "dropped"])
def test_only_finished_segments_are_planned(state: str) -> None:
    plan = make_plan(POLICIES, [stored(1, state=state)], {}, NOON)

    assert plan.steps == plan.later == ()


def test_a_segment_without_records_expires_immediately() -> None:
    empty = stored(1, rows=0, size=0, oldest=None, newest=None, closed_at=NOON)

    assert due_segments(POLICIES, [empty], NOON) == [empty]


@pytest.mark.parametrize(
    ("held", "is_hold", "action"),
    [
        (0, False, Action.DROP),
        (3, False, Action.CARRY),
        (10, False, Action.CARRY),
        (10, True, Action.KEEP),
        (3, True, Action.CARRY),
        (0, True, Action.DROP),
    ],
)
def test_held_records_are_carried_over(held: int, *, is_hold: bool, action: Action) -> None:
    plan = make_plan(POLICIES, [stored(1, is_hold=is_hold)], {1: held}, NOON)

    assert plan.steps[0].action is action
    assert plan.rows == (0 if action is Action.KEEP else 10 - held)


def test_a_class_without_policy_is_named_and_stays() -> None:
    plan = make_plan(POLICIES, [stored(1, "mystery", age=9999 * DAY)], {}, NOON)

    assert plan.without_policy == ("mystery",)
    assert plan.steps == ()


def test_a_removed_rule_is_remembered_for_its_class_only() -> None:
    was = [Policy("payments", "payments", 3 * DAY), Policy("debug", "old", DAY)]

    found = with_former(POLICIES, was, ["payments", "debug", "mystery"])

    assert found["payments"].is_former
    assert found["debug"] == POLICIES["debug"]
    assert "mystery" not in found


def test_a_class_is_overdue_only_after_a_segments_age_and_one_run() -> None:
    late = 2 * DAY
    just = stored(1, oldest=NOON - 9 * DAY, newest=NOON - 8 * DAY)
    over = stored(2, "info", oldest=NOON - 33 * DAY, newest=NOON - 33 * DAY)
    on_hold = stored(3, "warn", age=400 * DAY, is_hold=True)

    found = {
        each.class_name: each for each in class_status(POLICIES, [just, over, on_hold], NOON, late)
    }

    assert found["debug"].overdue == timedelta(0)
    assert found["info"].overdue == DAY
    assert (found["warn"].overdue, found["warn"].held_segments) == (timedelta(0), 1)
    assert found["debug"].due_at == NOON - DAY
    assert found["error"].due_at is None
