"""The time ranges that a question without a fitting index is asked in, one after the other.

Words that nearly every record of one level has are in no record of another, and reading a segment
of the other for them takes as long as reading for words that are nowhere. So the nearest thousands
of records are asked first, in all segments; then a range as long as what was found lets expect, at
most four times as long, and so on. Frequent words are found in the first one, and what is still
wanted after the last is so rare that its own index finds it.
"""

from query.language.parser import conjuncts
from query.planning.compile import Key, Order
from query.planning.cost import is_reading_unsealed, is_word_needle
from query.planning.nearest import Nearest, nearest
from storage.database.read import Session
from storage.filtering.filters import Filter, TimeRange

FIRST_ROWS = 5_000
"""Records that lie in the first range, about: some milliseconds of reading."""
FACTOR = 4
"""The other ranges: at most so many times the one before."""
SPARE = 1.3
"""So much longer than expected: a range too short costs another question."""
MOST_RANGES = 7
_US_NS = 1000
WHOLE = TimeRange(None, None)


class Ranges:
    """The ranges of one question, without gaps, in the order in which records are wanted."""

    __slots__ = ("_at_ns", "_edge_ns", "_farther_ns", "_left", "_length_ns", "_order")

    def __init__(self, span: TimeRange, near: Nearest | None, order: Order) -> None:
        """`near`: where the nearest records lie; None: all is asked at once."""
        sign = _sign(order)
        nearer_ns, self._farther_ns = (span.end_ns, span.start_ns)[::-sign]
        self._order = order
        self._edge_ns: int | None = None
        self._left = 1 if near is None else MOST_RANGES
        self._at_ns, self._length_ns = (0, 0) if near is None else (near.from_ns, near.length_ns)
        if nearer_ns is not None:
            self._at_ns = sign * max(sign * self._at_ns, sign * nearer_ns)

    @property
    def is_last(self) -> bool:
        """Whether the range that was given last is open: no other follows."""
        return not self._left

    def first(self) -> TimeRange:
        """Where the nearest records lie."""
        return self._next()

    def following(self, found: int, wanted: int) -> TimeRange:
        """The next one, where the one before had `found` records and `wanted` are still wanted."""
        expected = SPARE * wanted / found if found else FACTOR
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


async def ranges_of(session: Session, where: Filter, order: Order, after: Key | None) -> Ranges:
    """One range where an index answers at once, and for words that hardly any record has."""
    if not is_reading_unsealed(where) or is_word_needle(where):
        return Ranges(WHOLE, None, order)
    span = span_of(where, order, after)
    return Ranges(span, await nearest(session, where, span, order, FIRST_ROWS), order)


def span_of(where: Filter, order: Order, after: Key | None) -> TimeRange:
    """The time that is asked for, from the key of the page before on."""
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
