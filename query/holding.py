"""Which segments have records of the kind or source module that is asked for, by their counts.

Counts are kept in the transaction of the rows, so a segment without a count has no such row. It
spares a question for spans the reading of a store that has logs only, and a token that is limited
to some modules the segments of all others.
"""

from query.cost import is_found_by_id
from query.language import conjuncts
from storage.conditions import Arguments, condition_of
from storage.fields import KIND, SOURCE_MODULE, Kind
from storage.filters import FieldEquals, FieldIn, Filter, TimeRange, all_of
from storage.read import Session, Statement
from storage.times import datetime_of

_HOUR_NS = 3600 * 10**9


async def holding(session: Session, where: Filter) -> frozenset[int] | None:
    """Numbers of the segments to ask; None: the counts do not tell, or an index tells sooner."""
    statement = None if is_found_by_id(where) else counts_statement(where)
    if statement is None:
        return None
    return frozenset(row["segment"] for row in await session.rows(statement))


def counts_statement(where: Filter) -> Statement | None:
    """Asks the hourly counts; None where nothing that is asked for is counted."""
    counted = [item for item in conjuncts(where) if _is_telling(item)]
    if not counted:
        return None
    arguments = Arguments()
    conditions = [condition_of(all_of(*counted), arguments)]
    for span in conjuncts(where):
        if isinstance(span, TimeRange) and span.start_ns is not None:
            hour = datetime_of(span.start_ns // _HOUR_NS * _HOUR_NS // 1000)
            conditions.append(f"hour >= {arguments.add(hour, 'timestamptz')}")
        if isinstance(span, TimeRange) and span.end_ns is not None:
            conditions.append(
                f"hour < {arguments.add(datetime_of(-(-span.end_ns // 1000)), 'timestamptz')}"
            )
    text = f"SELECT DISTINCT segment FROM log_counts_hourly WHERE {' AND '.join(conditions)}"  # noqa: S608
    return Statement(text, arguments.values())


def _is_telling(condition: Filter) -> bool:
    """Whether it may leave out whole segments: logs are in nearly all of them."""
    match condition:
        case FieldEquals(field, value):
            return field is SOURCE_MODULE or (field is KIND and value is not Kind.LOG)
        case FieldIn(field, values):
            return field is SOURCE_MODULE or (field is KIND and Kind.LOG not in values)
        case _:
            return False
