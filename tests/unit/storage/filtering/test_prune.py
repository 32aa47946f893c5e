"""How the catalogue's row of a segment narrows a filter."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from config.levels import Level
from storage.filtering import prune
from storage.filtering.filters import (
    EVERYTHING,
    NOTHING,
    And,
    Comparison,
    FieldCompare,
    FieldEquals,
    FieldIn,
    Not,
    Or,
    TimeRange,
    all_of,
)
from storage.filtering.prune import FOREVER_US, narrow, narrower
from storage.record.fields import ACTOR_ID, KIND, LEVEL, Kind
from storage.record.times import microseconds_of
from storage.segments.catalogue import Segment
from storage.segments.zone_maps import leaf_of

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOON_NS = microseconds_of(NOON) * 1000
HOUR_NS = 3600 * 10**9

CLOSED = Segment(
    number=7,
    class_name="error",
    state="closed",
    rows=10,
    rows_estimate=10,
    bytes_estimate=1000,
    min_created_at=NOON,
    max_created_at=NOON + timedelta(hours=1),
    odd_times=0,
    min_received_at=NOON,
    max_received_at=NOON + timedelta(hours=1),
    opened_at=NOON,
    closed_at=NOON + timedelta(hours=1),
)
OPEN = replace(
    CLOSED,
    state="open",
    rows=None,
    min_created_at=None,
    max_created_at=None,
    min_received_at=None,
    max_received_at=None,
)
ACTOR = FieldEquals(ACTOR_ID, "u")
ERROR = FieldEquals(LEVEL, Level.ERROR)
WARN = FieldEquals(LEVEL, Level.WARN)

LEVELS = [
    (ERROR, EVERYTHING),
    (WARN, NOTHING),
    (Not(ERROR), NOTHING),
    (Not(WARN), EVERYTHING),
    (FieldIn(LEVEL, (Level.WARN, Level.ERROR)), EVERYTHING),
    (FieldCompare(LEVEL, Comparison.GREATER_OR_EQUAL, Level.WARN), EVERYTHING),
    (FieldCompare(LEVEL, Comparison.GREATER, Level.ERROR), NOTHING),
    (FieldCompare(LEVEL, Comparison.LESS, Level.ERROR), NOTHING),
    (FieldCompare(LEVEL, Comparison.LESS_OR_EQUAL, Level.ERROR), EVERYTHING),
    (And((ERROR, ACTOR)), ACTOR),
    (And((WARN, ACTOR)), NOTHING),
    (Or((ERROR, ACTOR)), EVERYTHING),
    (Or((WARN, ACTOR)), ACTOR),
    (Not(And((ERROR, ACTOR))), Not(ACTOR)),
    (EVERYTHING, EVERYTHING),
    (NOTHING, NOTHING),
    (FieldIn(KIND, (Kind.LOG, Kind.SPAN)), EVERYTHING),
    (FieldEquals(KIND, Kind.AUDIT), NOTHING),
    (FieldEquals(KIND, Kind.LOG), FieldEquals(KIND, Kind.LOG)),
]


@pytest.mark.parametrize(("condition", "left"), LEVELS)
def test_the_class_decides_level_and_kind(condition, left):
    assert narrow(condition, leaf_of(CLOSED)) == left


def test_the_audit_class_holds_audit_records_only():
    leaf = leaf_of(replace(CLOSED, class_name="audit"))

    assert narrow(FieldEquals(KIND, Kind.AUDIT), leaf) == EVERYTHING
    assert narrow(FieldIn(KIND, (Kind.LOG, Kind.SPAN)), leaf) == NOTHING
    assert narrow(ERROR, leaf) == ERROR


def test_a_custom_class_decides_nothing():
    leaf = leaf_of(replace(CLOSED, class_name="payments"))

    for condition in (ERROR, WARN, FieldEquals(KIND, Kind.AUDIT)):
        assert narrow(condition, leaf) == condition


TIMES = [
    (TimeRange(None, None), EVERYTHING),
    (TimeRange(NOON_NS, NOON_NS + HOUR_NS + 1000), EVERYTHING),
    (TimeRange(NOON_NS, None), EVERYTHING),
    (TimeRange(None, NOON_NS), NOTHING),
    (TimeRange(NOON_NS + HOUR_NS + 1000, None), NOTHING),
    # within the last microsecond only the nanoseconds can tell
    (TimeRange(NOON_NS, NOON_NS + HOUR_NS + 1), None),
    (TimeRange(NOON_NS + 1, None), None),
    (TimeRange(NOON_NS + HOUR_NS + 999, None), None),
    (TimeRange(None, NOON_NS + 1), None),
]


@pytest.mark.parametrize(("span", "left"), TIMES)
def test_the_zone_map_decides_times_to_the_microsecond(span, left):
    assert narrow(span, leaf_of(CLOSED)) == (span if left is None else left)


@pytest.mark.parametrize(
    "segment", [OPEN, replace(OPEN, state="ready"), replace(CLOSED, rows=None)]
)
def test_a_segment_that_may_grow_can_hold_any_time(segment):
    leaf = leaf_of(segment)

    assert (leaf.earliest_us, leaf.latest_us) == (-FOREVER_US, FOREVER_US)
    for span, _ in TIMES[1:]:
        assert narrow(span, leaf) == span


def test_an_empty_closed_segment_is_never_queried():
    empty = replace(CLOSED, rows=0, min_created_at=None, max_created_at=None)

    assert narrow(TimeRange(None, NOON_NS), leaf_of(empty)) == NOTHING


def test_odd_times_lie_outside_of_what_was_plausible_at_arrival():
    leaf = leaf_of(replace(CLOSED, odd_times=3))
    year = timedelta(days=365)

    def left(start, end):
        span = TimeRange(microseconds_of(start) * 1000, microseconds_of(end) * 1000)
        return narrow(span, leaf) != NOTHING

    assert left(NOON - 2 * year, NOON - 1.9 * year)
    assert left(NOON + timedelta(days=2), NOON + timedelta(days=3))
    assert not left(NOON - year, NOON)
    assert not left(NOON + timedelta(hours=2), NOON + timedelta(hours=23))
    assert narrow(TimeRange(NOON_NS, None), leaf) != EVERYTHING


def test_only_odd_times_leave_the_plausible_range_empty():
    leaf = leaf_of(replace(CLOSED, odd_times=10, min_created_at=None, max_created_at=None))

    assert narrow(TimeRange(NOON_NS, NOON_NS + HOUR_NS), leaf) == NOTHING
    assert leaf.latest_us == FOREVER_US


def conjuncts(condition):
    return set(condition.of) if isinstance(condition, And) else {condition}


DAY = TimeRange(NOON_NS - 12 * HOUR_NS, NOON_NS + 12 * HOUR_NS)
HALF = TimeRange(NOON_NS + HOUR_NS // 2, None)
LATER = TimeRange(NOON_NS + 5 * HOUR_NS, None)


@pytest.mark.parametrize("leaf", [leaf_of(CLOSED), leaf_of(OPEN)])
@pytest.mark.parametrize(
    "condition",
    [
        EVERYTHING,
        NOTHING,
        ACTOR,
        DAY,
        HALF,
        LATER,
        WARN,
        all_of(DAY, ACTOR),
        all_of(HALF, ACTOR, ERROR),
        all_of(HALF, LATER, ACTOR),
        all_of(LATER, ACTOR),
        all_of(HALF, WARN),
        Or((HALF, WARN)),
        all_of(DAY, Or((LATER, ACTOR))),
        Not(LATER),
        FieldCompare(LEVEL, Comparison.GREATER_OR_EQUAL, Level.WARN),
    ],
)
def test_narrowing_for_many_segments_gives_the_same_result(condition, leaf):
    narrowed = narrower(condition)

    for _ in range(2):
        assert conjuncts(narrowed(leaf)) == conjuncts(narrow(condition, leaf))


def test_a_thousand_segments_of_a_class_are_narrowed_once_except_for_time(monkeypatch):
    calls = 0
    whole = prune.narrow

    def counted(condition, leaf):
        nonlocal calls
        calls += 1
        return whole(condition, leaf)

    monkeypatch.setattr(prune, "narrow", counted)
    narrowed = narrower(all_of(DAY, FieldCompare(LEVEL, Comparison.GREATER, Level.WARN), ACTOR))

    for number in range(1000):
        narrowed(leaf_of(replace(CLOSED, number=number)))

    assert calls == 2
