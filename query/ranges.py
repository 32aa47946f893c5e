"""The time ranges that a question without a fitting index is asked in, one after the other.

Words that nearly every record of one level has are in no record of another, and reading a segment
of the other for them takes as long as reading for words that are nowhere. So the nearest thousands
of records are asked first, in all segments; then a range that is four times as long, and so on.
Frequent words are found in the first one, and what is still wanted after the last is so rare that
its own index finds it.
"""

from collections.abc import Sequence

from query.compile import Key, Order
from query.cost import is_reading_unsealed, is_word_needle
from query.counted import Nearest, nearest
from query.language import conjuncts
from storage.filters import Filter, TimeRange
from storage.read import Session

FIRST_ROWS = 5_000
"""Records that lie in the first range, about: some milliseconds of reading."""
FACTOR = 4
"""The other ranges: so many times the one before."""
MOST_RANGES = 7
_US_NS = 1000
WHOLE = TimeRange(None, None)


async def ranges_of(
    session: Session, where: Filter, order: Order, after: Key | None
) -> list[TimeRange]:
    """Ranges without gaps in the order in which records are wanted; the last one is open.

    One range where an index answers at once, and for words that hardly any record has.
    """
    if not is_reading_unsealed(where) or is_word_needle(where):
        return [WHOLE]
    span = span_of(where, order, after)
    near = await nearest(session, where, span, order, FIRST_ROWS)
    return [WHOLE] if near is None else cut(span, near, order)


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


def cut(span: TimeRange, near: Nearest, order: Order) -> list[TimeRange]:
    """The span in ranges, beginning where the nearest records lie."""
    sign = -1 if order is Order.NEWEST else 1
    nearer, farther = (span.end_ns, span.start_ns)[::-sign]
    at_ns = near.from_ns
    if nearer is not None:
        at_ns = sign * max(sign * at_ns, sign * nearer)
    edges: list[int] = []
    length_ns = near.length_ns
    while len(edges) < MOST_RANGES - 1:
        at_ns += sign * length_ns
        if farther is not None and sign * at_ns >= sign * farther:
            break
        edges.append(at_ns)
        length_ns *= FACTOR
    return _between(edges, order)


def _between(edges: Sequence[int], order: Order) -> list[TimeRange]:
    """What lies before, between and behind the edges."""
    near, far = [None, *edges], [*edges, None]
    starts, ends = (far, near) if order is Order.NEWEST else (near, far)
    return [TimeRange(start, end) for start, end in zip(starts, ends, strict=True)]
