"""How many records a filter selects, by time and by one field: from counts, or from rows.

The store keeps counts per minute and hour by level, kind and source module, in the transaction of
the rows. A filter that names nothing else is answered from them, but for the parts of minutes at
the ends of its range, which are read: exact in both ways. SQL: names come from the closed tables
of storage/record/fields.py and from the catalogue's integers, values are arguments.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from query.planning.compile import LeafFilter, Order
from query.planning.pages import (
    LOOKUP_LEAVES,
    WAVE_LEAVES,
    Missing,
    Pages,
    missing_of,
    plan,
    within_budget,
)
from storage.database.read import QueryTimeout, Row, Session, Statement
from storage.filtering.conditions import Arguments, condition_of, leaf_table
from storage.filtering.filters import (
    And,
    FieldCompare,
    FieldEquals,
    FieldIn,
    FieldPrefix,
    FieldPresent,
    Filter,
    Not,
    Or,
    Regex,
    TimeRange,
    all_of,
)
from storage.record.fields import ACTION, KIND, KIND_OF_LETTER, LEVEL, SOURCE_MODULE, Field
from storage.record.times import datetime_of

BY: dict[str, Field] = {item.name: item for item in (LEVEL, SOURCE_MODULE, ACTION, KIND)}
"""What can be counted apart."""
COUNTED = frozenset({LEVEL, KIND, SOURCE_MODULE})
"""What the store keeps counts by."""

COUNTED_ROWS = 8_000_000
"""Records that are read to be counted for want of an index: as many as the time limit allows."""
_MINUTE_NS = 60 * 10**9
_HOUR_S = 3600
_HOUR_NS = _HOUR_S * 10**9
_WEEK_S = 7 * 86400
_MONDAY_S = 4 * 86400
"""The first Monday after the epoch: weeks begin there."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be counted."""

    where: Filter
    """Without its time range; resources resolved."""
    start_ns: int
    end_ns: int
    by: Field
    step_s: int | None
    """Length of a bucket; None: one bucket for all."""


@dataclass(slots=True)
class Tally:
    """What was counted: (bucket's start in seconds since 1970, or 0; value) -> records."""

    counts: dict[tuple[int, str], int] = field(default_factory=lambda: defaultdict(int))
    missing: Missing | None = None

    def totals(self) -> list[tuple[str, int]]:
        """Records of each value, the most frequent first."""
        sums: dict[str, int] = defaultdict(int)
        for (_, value), count in self.counts.items():
            sums[value] += count
        return sorted(sums.items(), key=lambda item: (-item[1], item[0]))


def is_counted(where: Filter, by: Field, step_s: int | None = None) -> bool:
    """Whether the counts that the store keeps, by minutes, can answer this."""
    in_minutes = step_s is None or step_s % 60 == 0
    return in_minutes and by in COUNTED and _is_of_counts(where)


def _is_of_counts(condition: Filter) -> bool:
    match condition:
        case And(of) | Or(of):
            return all(map(_is_of_counts, of))
        case Not(of):
            return _is_of_counts(of)
        case FieldEquals() | FieldIn() | FieldCompare() | FieldPrefix() | FieldPresent() | Regex():
            return condition.field in COUNTED
        case _:
            return False


def bucket_of(at_s: int, step_s: int) -> int:
    """Start of the bucket that a second lies in."""
    origin = _origin_s(step_s)
    return origin + (at_s - origin) // step_s * step_s


def _origin_s(step_s: int) -> int:
    return _MONDAY_S if step_s % _WEEK_S == 0 else 0


async def tally(session: Session, pages: Pages, wish: Wish) -> Tally:
    """Count. Raises what storage/database/read.py raises when not even a part could be counted."""
    found = Tally()
    rows_between = [(wish.start_ns, wish.end_ns)]
    if is_counted(wish.where, wish.by, wish.step_s):
        parts, rows_between = _parts(wish)
        if parts:
            _add(found, wish, await session.rows(_counts_statement(wish, parts)))
    spans = [TimeRange(begin, end) for begin, end in rows_between if begin < end]
    if spans:
        await _tally_rows(session, pages, wish, spans, found)
    return found


def _parts(wish: Wish) -> tuple[list[tuple[str, int, int]], list[tuple[int, int]]]:
    """The range cut into (table of counts, begin, end), and what is left over for the rows."""
    first, last = (
        -(-wish.start_ns // _MINUTE_NS) * _MINUTE_NS,
        wish.end_ns // _MINUTE_NS * _MINUTE_NS,
    )
    if first >= last:
        return [], [(wish.start_ns, wish.end_ns)]
    left = [(wish.start_ns, first), (last, wish.end_ns)]
    begin, end = -(-first // _HOUR_NS) * _HOUR_NS, last // _HOUR_NS * _HOUR_NS
    if begin >= end or (wish.step_s is not None and wish.step_s % _HOUR_S):
        return [("log_counts", first, last)], left
    parts = [
        ("log_counts", first, begin),
        ("log_counts_hourly", begin, end),
        ("log_counts", end, last),
    ]
    return [part for part in parts if part[1] < part[2]], left


_TIME = {"log_counts": "minute", "log_counts_hourly": "hour"}


def _counts_statement(wish: Wish, parts: Sequence[tuple[str, int, int]]) -> Statement:
    arguments = Arguments()
    selects = [_counts_of(wish, *part, arguments) for part in parts]
    return Statement(" UNION ALL ".join(selects), arguments.values())


def _counts_of(wish: Wish, table: str, begin_ns: int, end_ns: int, arguments: Arguments) -> str:
    at = _TIME[table]
    begin = arguments.add(datetime_of(begin_ns // 1000), "timestamptz")
    end = arguments.add(datetime_of(end_ns // 1000), "timestamptz")
    condition = condition_of(wish.where, arguments)
    bucket = _bucket(wish, at, arguments)
    return (
        f"SELECT {bucket} AS bucket, {wish.by.column}::text AS value, sum(rows)::bigint AS n "  # noqa: S608
        f"FROM {table} WHERE {at} >= {begin} AND {at} < {end} AND {condition} GROUP BY 1, 2"
    )


def _bucket(wish: Wish, column: str, arguments: Arguments) -> str:
    if wish.step_s is None:
        return "NULL::timestamptz"
    seconds = arguments.add(wish.step_s, "integer")
    origin = arguments.add(datetime_of(_origin_s(wish.step_s) * 10**6), "timestamptz")
    return f"date_bin({seconds} * interval '1 second', {column}, {origin})"


async def _tally_rows(
    session: Session, pages: Pages, wish: Wish, spans: Sequence[TimeRange], found: Tally
) -> None:
    leaves = await pages.leaves(session)
    asked, found.missing = within_budget(
        [part for span in spans for part in plan(leaves, all_of(span, wish.where), Order.NEWEST)],
        most_rows=COUNTED_ROWS,
    )
    most = LOOKUP_LEAVES if session.keeps_plans else WAVE_LEAVES
    for begin in range(0, len(asked), most):
        wave = asked[begin : begin + most]
        try:
            rows = await session.rows(_rows_statement(wish, wave))
        except QueryTimeout:
            if not found.counts:
                raise
            found.missing = missing_of(asked[begin:], "the rest took too long")
            return
        _add(found, wish, rows)


def _rows_statement(wish: Wish, wave: Sequence[LeafFilter]) -> Statement:
    arguments = Arguments()
    bucket = _bucket(wish, "created_at", arguments)
    leaves = " UNION ALL ".join(
        f"SELECT {bucket} AS bucket, {wish.by.column}::text AS value, count(*) AS n "  # noqa: S608
        f"FROM {leaf_table(part.leaf.segment)} WHERE {condition_of(part.condition, arguments)} "
        "GROUP BY 1, 2"
        for part in wave
    )
    text = f"SELECT bucket, value, sum(n)::bigint AS n FROM ({leaves}) AS l GROUP BY 1, 2"  # noqa: S608
    return Statement(text, arguments.values())


def _add(found: Tally, wish: Wish, rows: Sequence[Row]) -> None:
    for row in rows:
        value = KIND_OF_LETTER[row["value"].encode()].word if wish.by is KIND else row["value"]
        at: datetime | None = row["bucket"]
        found.counts[0 if at is None else int(at.timestamp()), value] += row["n"]


FIRST_COUNTED = Statement("SELECT min(hour) AS hour FROM log_counts_hourly")
"""The hour of the oldest record."""
