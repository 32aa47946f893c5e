"""What the counters show before any record is read: which segments, and where the nearest are.

Counters are updated in the transaction of the rows, so a segment without a counter of a kind or
module has no such row: a query for spans skips segments with logs only, and a token restricted to
some modules skips the segments of all others.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from query.language.parser import conjuncts
from query.planning.compile import Order
from query.planning.index_use import is_id_lookup
from storage.database.read import Row, Session, Statement
from storage.filtering.conditions import Arguments, condition_of
from storage.filtering.filters import FieldCompare, FieldEquals, FieldIn, Filter, TimeRange, all_of
from storage.record.fields import KIND, LEVEL, SOURCE_MODULE, Kind
from storage.record.times import datetime_of, microseconds_of

_MINUTE_NS = 60 * 10**9
_HOUR_NS = 60 * _MINUTE_NS
_COUNTED = frozenset({LEVEL, KIND, SOURCE_MODULE})
_MAX_COUNTERS = 1_000
"""Counter rows to read: at least those of some minutes."""


async def segments_with(
    session: Session, where: Filter, among: Iterable[int]
) -> frozenset[int] | None:
    """Those of the segments to query; None: all, or an index is faster."""
    counted = [item for item in conjuncts(where) if _is_selective(item)]
    if not counted or is_id_lookup(where):
        return None
    arguments = Arguments()
    segments = arguments.add(tuple(sorted(among)), "integer[]")
    conditions = [f"segment = ANY({segments})", condition_of(all_of(*counted), arguments)]
    conditions += _times(where, "hour", arguments)
    text = f"SELECT DISTINCT segment FROM log_counts_hourly WHERE {' AND '.join(conditions)}"  # noqa: S608
    rows = await session.rows(Statement(text, arguments.values()))
    return frozenset(row["segment"] for row in rows)


@dataclass(frozen=True, slots=True)
class NearestRecords:
    """Where the first records in order are."""

    from_ns: int
    """No record is nearer."""
    length_ns: int
    """Length of the range with about as many records as requested."""


async def nearest_records(
    session: Session, where: Filter, span: TimeRange, order: Order, wanted: int
) -> NearestRecords | None:
    """Where about `wanted` records of these levels and modules are; None: there are none."""
    arguments = Arguments()
    counted = [item for item in conjuncts(where) if _is_counted(item)]
    condition = condition_of(all_of(*counted), arguments) if counted else "TRUE"
    conditions = [condition, *_times(all_of(span), "minute", arguments)]
    direction = "DESC" if order is Order.NEWEST else "ASC"
    most = arguments.add(_MAX_COUNTERS, "bigint")
    text = (
        f"SELECT minute, rows FROM log_counts WHERE {' AND '.join(conditions)} "  # noqa: S608
        f"ORDER BY minute {direction} LIMIT {most}"
    )
    rows = await session.rows(Statement(text, arguments.values()))
    return _nearest(rows, order, wanted)


def _nearest(rows: Iterable[Row], order: Order, wanted: int) -> NearestRecords | None:
    minutes: dict[int, int] = {}
    for row in rows:
        at_ns = microseconds_of(row["minute"]) * 1000
        minutes[at_ns] = minutes.get(at_ns, 0) + row["rows"]
    first_ns, seen, last_ns = None, 0, 0
    for last_ns, count in minutes.items():
        first_ns = last_ns if first_ns is None else first_ns
        if not seen and count > wanted:
            break
        seen += count
        if seen >= wanted:
            break
    if first_ns is None:
        return None
    whole_ns = abs(last_ns - first_ns) + _MINUTE_NS
    share = min(wanted / minutes[first_ns], 1.0)
    length_ns = whole_ns if last_ns != first_ns else max(int(_MINUTE_NS * share), 1)
    return NearestRecords(first_ns + _MINUTE_NS if order is Order.NEWEST else first_ns, length_ns)


def _times(where: Filter, column: str, arguments: Arguments) -> Iterable[str]:
    """Conditions for the time range, widened to whole hours or minutes."""
    step_ns = {"hour": _HOUR_NS, "minute": _MINUTE_NS}[column]
    for span in conjuncts(where):
        if not isinstance(span, TimeRange):
            continue
        if span.start_ns is not None:
            begin = datetime_of(span.start_ns // step_ns * step_ns // 1000)
            yield f"{column} >= {arguments.add(begin, 'timestamptz')}"
        if span.end_ns is not None:
            end = datetime_of(-(-span.end_ns // 1000))
            yield f"{column} < {arguments.add(end, 'timestamptz')}"


def _is_selective(condition: Filter) -> bool:
    """Whether it may exclude whole segments: nearly all of them have logs."""
    match condition:
        case FieldEquals(field, value):
            return field is SOURCE_MODULE or (field is KIND and value is not Kind.LOG)
        case FieldIn(field, values):
            return field is SOURCE_MODULE or (field is KIND and Kind.LOG not in values)
        case _:
            return False


def _is_counted(condition: Filter) -> bool:
    return (
        isinstance(condition, FieldEquals | FieldIn | FieldCompare) and condition.field in _COUNTED
    )
