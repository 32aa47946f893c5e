"""The time ranges that a question without a fitting index is asked in, one after the other. Pure.

Words that nearly every record of one level has are in no record of another, and reading a segment
of the other for them takes as long as reading for words that are nowhere. So the newest thousands
of records are asked first, in all segments; then twenty times as many, and so on. Frequent words
are found in the first range, and what is still wanted after the third is so rare that its own
index finds it.
"""

from collections.abc import Sequence

from query.compile import Key, LeafFilter, Order
from query.cost import is_reading_unsealed, is_word_needle
from query.language import conjuncts
from storage.filters import Filter, TimeRange
from storage.prune import FOREVER_US

FIRST_ROWS = 5_000
"""Records that lie in the first range, about: some milliseconds of reading."""
FACTOR = 20
"""The other ranges: so many times the one before."""
MOST_RANGES = 4
_LEAST_NS = 10**9
_US_NS = 1000
_DAY_NS = 86400 * 10**9


def ranges_of(
    where: Filter, order: Order, after: Key | None, parts: Sequence[LeafFilter]
) -> list[TimeRange]:
    """Ranges without gaps in the order in which records are wanted; the last one is open.

    `parts` are the leaves that may hold such records. One range where an index answers at once,
    where it is unknown how the records lie, or for words that hardly any record has.
    """
    whole = _whole(where, order, after)
    if whole is None or not is_reading_unsealed(where) or is_word_needle(where):
        return [TimeRange(None, None)]
    begin_ns, end_ns = whole
    first_ns = _oldest_ns(parts, end_ns) if begin_ns is None else begin_ns
    rows = sum(part.leaf.rows for part in parts)
    length_ns = max((end_ns - first_ns) * FIRST_ROWS // max(rows, 1), _LEAST_NS)
    edges = [0]
    while edges[-1] + length_ns < end_ns - first_ns and len(edges) < MOST_RANGES:
        edges.append(edges[-1] + length_ns)
        length_ns *= FACTOR
    if order is Order.NEWEST:
        return _newest([end_ns - edge for edge in edges])
    return _oldest([first_ns + edge for edge in edges])


def _oldest_ns(parts: Sequence[LeafFilter], end_ns: int) -> int:
    """Where the records begin, as far as the catalogue tells."""
    known_ns = [
        part.leaf.earliest_us * _US_NS for part in parts if part.leaf.earliest_us > -FOREVER_US
    ]
    return min(known_ns, default=end_ns - _DAY_NS)


def _newest(edges: Sequence[int]) -> list[TimeRange]:
    """From the first edge backwards."""
    ends = [None, *edges[1:]]
    return [TimeRange(begin, end) for begin, end in zip([*edges[1:], None], ends, strict=True)]


def _oldest(edges: Sequence[int]) -> list[TimeRange]:
    """From the first edge onwards."""
    begins = [None, *edges[1:]]
    return [TimeRange(begin, end) for begin, end in zip(begins, [*edges[1:], None], strict=True)]


def _whole(where: Filter, order: Order, after: Key | None) -> tuple[int | None, int] | None:
    """The range that is asked for; None where its nearer end is open.

    The other end may be open: then it lies where the oldest segment begins.
    """
    spans = [item for item in conjuncts(where) if isinstance(item, TimeRange)]
    begins = [span.start_ns for span in spans if span.start_ns is not None]
    ends = [span.end_ns for span in spans if span.end_ns is not None]
    if after is not None:
        at_ns = after.created_us * _US_NS
        (ends if order is Order.NEWEST else begins).append(
            at_ns + _US_NS if order is Order.NEWEST else at_ns
        )
    begin_ns, end_ns = max(begins, default=None), min(ends, default=None)
    if end_ns is None or (begin_ns is None and order is Order.OLDEST):
        return None
    return begin_ns, end_ns
