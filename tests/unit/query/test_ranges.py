"""A question is asked in ranges that leave no gap, nearest records first."""

from dataclasses import replace
from itertools import pairwise

import pytest

from query.compile import Key, LeafFilter, Order
from query.ranges import FACTOR, FIRST_ROWS, MOST_RANGES, ranges_of
from storage.fields import ACTOR_ID, SOURCE_MODULE
from storage.filters import (
    AttrCompare,
    AttrEquals,
    Comparison,
    FieldEquals,
    Or,
    Text,
    TimeRange,
    all_of,
)
from storage.prune import FOREVER_US, Leaf

S = 10**9
END = 1_790_000_000 * S
DAY = TimeRange(END - 86_400 * S, END)
WORDS = Text("card refused", ignores_case=True)
LEAF = Leaf(
    1, is_sealed=False, levels=None, kinds=None, spans_us=((-FOREVER_US, FOREVER_US),), rows=864_000
)


def asked(where, order=Order.NEWEST, after=None, leaf=LEAF):
    """The ranges of a question to one leaf."""
    return ranges_of(where, order, after, [LeafFilter(leaf, where)])


def length_s(span):
    return (span.end_ns - span.start_ns) / S


@pytest.mark.parametrize("order", list(Order))
def test_ranges_follow_each_other_without_a_gap_and_cover_all(order):
    spans = asked(all_of(DAY, WORDS), order)

    assert 1 < len(spans) <= MOST_RANGES
    if order is Order.OLDEST:
        spans = spans[::-1]
    assert spans[0].end_ns is None
    assert spans[-1].start_ns is None
    assert all(later.start_ns == earlier.end_ns for later, earlier in pairwise(spans))


def test_the_first_range_holds_some_thousands_and_the_next_ones_more():
    first, second, third = asked(all_of(DAY, WORDS))

    assert (END - first.start_ns) / S * 10 == FIRST_ROWS  # ten a second lie there
    assert length_s(second) == FIRST_ROWS / 10 * FACTOR
    assert third.start_ns is None


@pytest.mark.parametrize(
    "where",
    [
        pytest.param(all_of(DAY, FieldEquals(SOURCE_MODULE, "shop")), id="walked in order anyway"),
        pytest.param(all_of(DAY, FieldEquals(ACTOR_ID, "u"), WORDS), id="an index finds it"),
        pytest.param(all_of(DAY, Text("a1b2c3d4e5")), id="a needle is in none of the first"),
        pytest.param(all_of(DAY, Or((Text("a1b2"), Text("c3d4")))), id="so are two"),
        pytest.param(all_of(TimeRange(DAY.start_ns, None), WORDS), id="no end to begin at"),
    ],
)
def test_where_ranges_do_not_help_there_is_one(where):
    assert asked(where) == [TimeRange(None, None)]


@pytest.mark.parametrize(
    "condition",
    [AttrEquals("a", "b"), AttrCompare("a", Comparison.GREATER, "1"), WORDS],
)
def test_attributes_and_words_are_asked_in_ranges(condition):
    assert len(asked(all_of(DAY, condition))) == 3


def test_without_a_start_the_oldest_known_segment_tells_how_dense_records_lie():
    known = replace(LEAF, spans_us=((DAY.start_ns // 1000, DAY.end_ns // 1000),))
    where = all_of(TimeRange(None, END), WORDS)

    assert asked(where, leaf=known) == asked(all_of(DAY, WORDS))
    assert asked(where) == asked(all_of(DAY, WORDS))  # unknown: as if it were a day
    assert asked(where, Order.OLDEST) == [TimeRange(None, None)]


def test_a_next_page_begins_where_the_last_one_ended():
    after = Key((END - 7200 * S) // 1000, 0, 1, 1, b"")

    first, *_ = asked(all_of(DAY, WORDS), after=after)

    assert first.start_ns is not None
    assert END - 9000 * S < first.start_ns < END - 7200 * S


def test_a_short_range_is_asked_as_a_whole():
    assert asked(all_of(TimeRange(END - S, END), WORDS)) == [TimeRange(None, None)]
