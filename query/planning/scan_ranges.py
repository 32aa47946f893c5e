"""The time ranges of a query without a suitable index, scanned one after the other.

Words that nearly every record of one level contains may occur in none of another, and scanning a
segment of the latter takes as long as for words that occur nowhere. So the nearest thousands of
records are scanned first, in all segments; then a range as long as the matches so far suggest, at
most four times as long, and so on. Frequent words are found in the first range; what is still
missing after the last is so rare that the text index finds it.
"""

from query.language.parser import conjuncts
from query.planning.compile import Key, Order
from query.planning.counter_hints import NearestRecords, nearest_records
from query.planning.index_use import is_rare, scans_leaves
from storage.database.read import Session
from storage.filtering.filters import Filter, TimeRange

FIRST_ROWS = 5_000
"""Approximate number of records in the first range: some milliseconds of scanning."""
FACTOR = 4
"""Maximum growth of a range over the one before."""
MARGIN = 1.3
"""Factor on the expected length: a range that is too short costs another statement."""
MAX_RANGES = 7
_US_NS = 1000
WHOLE = TimeRange(None, None)


class ScanRanges:
    """The ranges of one query, without gaps, in the order of its records."""

    __slots__ = ("_at_ns", "_edge_ns", "_farther_ns", "_left", "_length_ns", "_order")

    def __init__(self, span: TimeRange, near: NearestRecords | None, order: Order) -> None:
        """`near`: where the nearest records are; None: a single range."""
        sign = _sign(order)
        nearer_ns, self._farther_ns = (span.end_ns, span.start_ns)[::-sign]
        self._order = order
        self._edge_ns: int | None = None
        self._left = 1 if near is None else MAX_RANGES
        self._at_ns, self._length_ns = (0, 0) if near is None else (near.from_ns, near.length_ns)
        if nearer_ns is not None:
            self._at_ns = sign * max(sign * self._at_ns, sign * nearer_ns)

    @property
    def is_last(self) -> bool:
        """Whether the current range is the last one, and open."""
        return not self._left

    def first(self) -> TimeRange:
        """The range of the nearest records."""
        return self._next()

    def following(self, found: int, wanted: int) -> TimeRange:
        """The next range, after one with `found` records, while `wanted` are still missing."""
        expected = MARGIN * wanted / found if found else FACTOR
        self._length_ns = max(int(self._length_ns * min(expected, FACTOR)), 1)
        return self._next()

    def _next(self) -> TimeRange:
        sign, near_ns = _sign(self._order), self._edge_ns
        self._left -= 1
        self._at_ns += sign * self._length_ns
        farther_ns = self._farther_ns
        if farther_ns is not None and sign * self._at_ns >= sign * farther_ns:
            self._left = 0
        self._edge_ns = self._at_ns if self._left else None
        if self._order is Order.NEWEST:
            return TimeRange(self._edge_ns, near_ns)
        return TimeRange(near_ns, self._edge_ns)


async def scan_ranges(
    session: Session, where: Filter, order: Order, after: Key | None
) -> ScanRanges:
    """A single range where an index serves the query, and for rare words."""
    if not scans_leaves(where) or is_rare(where):
        return ScanRanges(WHOLE, None, order)
    span = span_of(where, order, after)
    return ScanRanges(span, await nearest_records(session, where, span, order, FIRST_ROWS), order)


def span_of(where: Filter, order: Order, after: Key | None) -> TimeRange:
    """The time range of the query, starting at the key of the previous page."""
    spans = [item for item in conjuncts(where) if isinstance(item, TimeRange)]
    begins = [span.start_ns for span in spans if span.start_ns is not None]
    ends = [span.end_ns for span in spans if span.end_ns is not None]
    if after is not None and order is Order.NEWEST:
        ends.append((after.created_us + 1) * _US_NS)
    elif after is not None:
        begins.append(after.created_us * _US_NS)
    return TimeRange(max(begins, default=None), min(ends, default=None))


def _sign(order: Order) -> int:
    return -1 if order is Order.NEWEST else 1
