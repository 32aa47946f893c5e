"""A query scans ranges without gaps, nearest records first."""

from itertools import pairwise

import pytest

from query.planning.compile import Key, Order
from query.planning.counter_hints import NearestRecords
from query.planning.scan_ranges import FACTOR, MARGIN, MAX_RANGES, WHOLE, ScanRanges, span_of
from storage.filtering.filters import Text, TimeRange, all_of

S = 10**9
END = 1_790_000_000 * S
DAY = TimeRange(END - 86_400 * S, END)
NEAR = {
    Order.NEWEST: NearestRecords(END - 100 * S, 10 * S),
    Order.OLDEST: NearestRecords(DAY.start_ns + 100 * S, 10 * S),
}


def cut(span, near, order, found=0, wanted=100):
    """All ranges, where each has so many records."""
    ranges = ScanRanges(span, near, order)
    spans = [ranges.first()]
    while not ranges.is_last:
        spans.append(ranges.following(found, wanted))
    return spans


@pytest.mark.parametrize("found", [0, 10, 99])
@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("span", [DAY, TimeRange(None, None)])
def test_ranges_follow_each_other_without_a_gap_and_cover_all(order, span, found):
    spans = cut(span, NEAR[order], order, found)

    assert 1 < len(spans) <= MAX_RANGES
    if order is Order.OLDEST:
        spans = spans[::-1]
    assert spans[0].end_ns is None
    assert spans[-1].start_ns is None
    assert all(later.start_ns == earlier.end_ns for later, earlier in pairwise(spans))


def test_the_first_range_holds_the_nearest_records_and_each_next_one_is_longer():
    first, second, third, *_, last = cut(DAY, NEAR[Order.NEWEST], Order.NEWEST)

    assert first == TimeRange(END - 110 * S, None)
    assert second == TimeRange(END - (110 + 10 * FACTOR) * S, END - 110 * S)
    assert third.start_ns == second.start_ns - 10 * FACTOR**2 * S
    assert last.start_ns is None


def test_a_range_is_as_long_as_the_matches_suggest():
    ranges = ScanRanges(DAY, NEAR[Order.NEWEST], Order.NEWEST)
    ranges.first()

    second = ranges.following(50, 100)
    third = ranges.following(1, 50)

    assert second.end_ns - second.start_ns == 10 * S * MARGIN * 2
    assert third.end_ns - third.start_ns == 10 * S * MARGIN * 2 * FACTOR


def test_a_query_may_start_after_the_nearest_records():
    span = TimeRange(DAY.start_ns, END - 1000 * S)

    first, *_ = cut(span, NEAR[Order.NEWEST], Order.NEWEST)

    assert first.start_ns == END - 1010 * S


@pytest.mark.parametrize("order", list(Order))
def test_a_short_span_is_a_single_range(order):
    assert cut(TimeRange(END - S, END), NearestRecords(END, 10 * S), order) == [WHOLE]


def test_a_span_is_what_all_ranges_leave_and_what_follows_the_page_before():
    where = all_of(DAY, Text("x"), TimeRange(DAY.start_ns + S, None))
    after = Key((END - 60 * S) // 1000, 0, 1, 1, b"")

    assert span_of(where, Order.NEWEST, None) == TimeRange(DAY.start_ns + S, END)
    assert span_of(where, Order.NEWEST, after).end_ns == END - 60 * S + 1000
    assert span_of(where, Order.OLDEST, after).start_ns == END - 60 * S
    assert span_of(Text("x"), Order.NEWEST, None) == WHOLE
