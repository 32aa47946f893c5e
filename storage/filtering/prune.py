"""Narrows a filter for one segment by the catalogue alone: to NOTHING, EVERYTHING or the rest.

`narrow` is three-valued logic over a segment's class, level and zone map. A segment whose filter
narrows to NOTHING is not queried; the others are queried only for the remaining conditions. Pure.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from config.levels import Level
from storage.filtering.filters import (
    EVERYTHING,
    NOTHING,
    And,
    Comparison,
    FieldCompare,
    FieldEquals,
    FieldIn,
    Filter,
    Not,
    Or,
    TimeRange,
    all_of,
)
from storage.record.fields import KIND, LEVEL, FieldValue, Kind

FOREVER_US = 2**62
"""Later than any time of a record (microseconds since 1970)."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """What the catalogue has about one segment."""

    segment: int
    levels: frozenset[Level] | None
    """The levels that its rows can have; None where its class does not determine them."""
    kinds: frozenset[Kind] | None
    spans_us: tuple[tuple[int, int], ...]
    """Closed intervals of `created_at` that contain all of its rows."""
    rows: int = 0
    """Approximate number of rows."""
    is_packed: bool = False
    """Whether its rows are in a pack; else they are in a leaf."""
    class_name: str = ""
    data_hash: bytes | None = None
    """Of the pack's data file."""
    is_ready: bool = False
    """Whether it waits to be opened, without rows."""
    opened_us: int | None = None
    """When rows were first stored in it; None: not known."""

    @property
    def latest_us(self) -> int:
        """Upper bound of its times."""
        if len(self.spans_us) == 1:
            return self.spans_us[0][1]
        return max((high for _, high in self.spans_us), default=-FOREVER_US)

    @property
    def earliest_us(self) -> int:
        """Lower bound of its times."""
        if len(self.spans_us) == 1:
            return self.spans_us[0][0]
        return min((low for low, _ in self.spans_us), default=FOREVER_US)


def narrow(condition: Filter, leaf: Leaf) -> Filter:  # noqa: PLR0911 - one case per node
    """What remains of the filter in this segment; EVERYTHING or NOTHING where that is decided."""
    match condition:
        case And(of):
            return _narrow_and(of, leaf)
        case Or(of):
            return _narrow_or(of, leaf)
        case Not(inner):
            return _opposite(narrow(inner, leaf))
        case FieldEquals(field, value):
            return _narrow_values(condition, field.name, (value,), leaf)
        case FieldIn(field, values):
            return _narrow_values(condition, field.name, values, leaf)
        case FieldCompare(field, comparison, value) if field is LEVEL:
            matching = tuple(level for level in Level if _holds(level, comparison, value))
            return _narrow_values(condition, field.name, matching, leaf)
        case TimeRange():
            return _narrow_time(condition, leaf)
        case _:
            return condition


def narrower(condition: Filter) -> Callable[[Leaf], Filter]:
    """`narrow` for many segments: except for time, a filter is narrowed once per class.

    Of a thousand segments all but a few are pruned, which adds to the time of every query.
    """
    of = condition.of if isinstance(condition, And) else (condition,)
    spans = [item for item in of if isinstance(item, TimeRange)]
    rest = [item for item in of if not isinstance(item, TimeRange)]
    if any(map(_has_time, rest)):
        return lambda leaf: narrow(condition, leaf)
    known: dict[tuple[frozenset[Level] | None, frozenset[Kind] | None], Filter] = {}
    combined: dict[tuple[int, ...], Filter] = {}

    def narrowed(leaf: Leaf) -> Filter:
        kind = leaf.levels, leaf.kinds
        left = known.get(kind)
        if left is None:
            left = _narrow_and(rest, leaf)
            left = known[kind] = NOTHING if left == NOTHING else left
        if left is NOTHING or not spans:
            return left
        times: list[Filter] = []
        for span in spans:
            time = _narrow_time(span, leaf)
            if time is NOTHING:
                return NOTHING
            if time is not EVERYTHING:
                times.append(time)
        if not times:
            return left
        # Both are the same objects for all segments of a class.
        key = (id(left), *map(id, times))
        if key not in combined:
            combined[key] = all_of(*times, left)
        return combined[key]

    return narrowed


def _has_time(condition: Filter) -> bool:
    match condition:
        case And(of) | Or(of):
            return any(map(_has_time, of))
        case Not(inner):
            return _has_time(inner)
        case _:
            return isinstance(condition, TimeRange)


def _narrow_and(of: Iterable[Filter], leaf: Leaf) -> Filter:
    left: list[Filter] = []
    for item in of:
        narrowed = narrow(item, leaf)
        if narrowed == NOTHING:
            return NOTHING
        if narrowed != EVERYTHING:
            left.append(narrowed)
    return left[0] if len(left) == 1 else And(tuple(left))


def _narrow_or(of: Iterable[Filter], leaf: Leaf) -> Filter:
    left: list[Filter] = []
    for item in of:
        narrowed = narrow(item, leaf)
        if narrowed == EVERYTHING:
            return EVERYTHING
        if narrowed != NOTHING:
            left.append(narrowed)
    return left[0] if len(left) == 1 else Or(tuple(left))


def _opposite(narrowed: Filter) -> Filter:
    if narrowed == EVERYTHING:
        return NOTHING
    return EVERYTHING if narrowed == NOTHING else Not(narrowed)


def _narrow_values(
    condition: Filter, field: str, values: tuple[FieldValue, ...], leaf: Leaf
) -> Filter:
    possible: frozenset[Level] | frozenset[Kind] | None
    possible = {LEVEL.name: leaf.levels, KIND.name: leaf.kinds}.get(field)
    if possible is None:
        return condition
    wanted = frozenset(values)
    if possible <= wanted:
        return EVERYTHING
    return condition if possible & wanted else NOTHING


def _holds(level: Level, comparison: Comparison, value: FieldValue) -> bool:
    if not isinstance(value, Level):
        return False
    return {
        Comparison.LESS: level < value,
        Comparison.LESS_OR_EQUAL: level <= value,
        Comparison.GREATER: level > value,
        Comparison.GREATER_OR_EQUAL: level >= value,
    }[comparison]


def _narrow_time(span: TimeRange, leaf: Leaf) -> Filter:
    # The range is exact to the nanosecond, the zone map is rounded down to the microsecond.
    start_us = -FOREVER_US if span.start_ns is None else span.start_ns // 1000
    last_us = FOREVER_US if span.end_ns is None else (span.end_ns - 1) // 1000
    inside = [low for low, high in leaf.spans_us if low <= last_us and high >= start_us]
    if not inside:
        return NOTHING
    whole_from_us = start_us if span.start_ns is None else -(-span.start_ns // 1000)
    whole_until_us = last_us if span.end_ns is None else span.end_ns // 1000 - 1
    if leaf.earliest_us >= whole_from_us and leaf.latest_us <= whole_until_us:
        return EVERYTHING
    return span
