"""A filter tree over leaves of system_logs, as one SQL statement. Pure; values only as arguments.

Names in the SQL are columns of storage/record/fields.py and segment numbers of the catalogue, so
ruff's S608 is suppressed here. One sub-select per leaf with its own ORDER BY and LIMIT, joined by
UNION ALL, so that each leaf is planned separately: with one LIMIT over different leaves PostgreSQL
may scan the wrong index for seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from storage.database.read import Row, Statement
from storage.filtering.conditions import (
    Arguments,
    attribute_text,
    condition_of,
    leaf_table,
)
from storage.filtering.filters import And, Filter, TimeRange, all_of
from storage.filtering.prune import Leaf
from storage.record.times import datetime_of


class Order(Enum):
    """Which records come first."""

    NEWEST = "desc"
    OLDEST = "asc"

    def rank(self, at_us: int) -> int:
        """A time such that what comes first has the least."""
        return -at_us if self is Order.NEWEST else at_us


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Sort key of a record: time, then arrival, then position in its request."""

    created_us: int
    created_ns: int
    batch_id: int
    position: int
    id: bytes


KEY_COLUMNS = ("created_at", "created_ns", "batch_id", "position", "id")
RECORD_COLUMNS = (
    *KEY_COLUMNS,
    *("received_at", "stream_id", "duration_ns", "level", "kind", "severity_number"),
    *("trace_id", "span_id", "parent_span_id", "ip_address", "source_module", "action"),
    *("resource_type", "resource_id", "actor_id", "correlation_id", "message", "metadata"),
)

EMPTY_METADATA = (
    '{"attributes": {}, "body": null, "span": null, "exception": null, "otel": {}, "redaction": []}'
)
"""Defaults for the parts of the metadata that a record lacks."""

_OUTPUT = {
    "ip_address": "host(q.ip_address)",
    "level": "q.level::text",
    "kind": "q.kind::text",
    "metadata": f"('{EMPTY_METADATA}'::jsonb || q.metadata)::text",
}


@dataclass(frozen=True, slots=True)
class Columns:
    """What to read of each record: columns, and attributes as text named a0, a1 and so on."""

    names: tuple[str, ...] = RECORD_COLUMNS
    attributes: tuple[str, ...] = ()

    def inner(self, arguments: "Arguments") -> str:
        """The select list of a leaf's sub-select."""
        texts = [
            f"{attribute_text(name, arguments)} AS a{number}"
            for number, name in enumerate(self.attributes)
        ]
        return ", ".join([*self.names, *texts])

    def outer(self) -> str:
        """The select list of the whole statement, over `q`."""
        selected = [
            f"{_OUTPUT[name]} AS {name}" if name in _OUTPUT else f"q.{name}" for name in self.names
        ]
        return ", ".join([*selected, *(f"q.a{number}" for number in range(len(self.attributes)))])


RECORD = Columns()


def key_and(*names: str, attributes: Sequence[str] = ()) -> Columns:
    """The sort key and these columns."""
    rest = [name for name in dict.fromkeys(names) if name not in KEY_COLUMNS]
    return Columns((*KEY_COLUMNS, *rest), tuple(attributes))


@dataclass(frozen=True, slots=True)
class Query:
    """What one page contains."""

    where: Filter
    order: Order
    limit: int
    after: Key | None = None
    columns: Columns = RECORD


def catalogue_check(ready: Sequence[int], arguments: Arguments) -> str:
    """Columns that show whether the cached catalogue is behind, in the snapshot of the rows.

    `newest_segment` is a number; `has_opened`: whether one of the `ready` segments is no longer
    only ready, so that it may have rows.
    """
    numbers = arguments.add(tuple(ready), "integer[]")
    return (
        "SELECT (SELECT max(s.segment) FROM segments AS s"  # noqa: S608
        " WHERE s.state NOT IN ('retiring', 'dropped')) AS newest_segment,"
        " EXISTS (SELECT FROM segments AS s"
        f" WHERE s.segment = ANY({numbers}) AND s.state <> 'ready') AS has_opened"
    )


NEWEST_SEGMENT = Statement(
    "SELECT max(s.segment) AS newest_segment FROM segments AS s"
    " WHERE s.state NOT IN ('retiring', 'dropped')"
)


@dataclass(frozen=True, slots=True)
class LeafFilter:
    """One leaf and the filter of its records."""

    leaf: Leaf
    condition: Filter
    """Narrowed to the leaf (storage/filtering/prune.py)."""
    is_lookup: bool = False
    """One index finds all records, unordered: use it."""
    is_scan: bool = False
    """Test times last, and not by their index: of what a scan of the leaf, or a lookup, finds."""


def compile_wave(
    parts: Sequence[LeafFilter],
    *,
    order: Order,
    limit: int,
    after: Key | None = None,
    columns: Columns = RECORD,
    ready: Sequence[int] = (),
) -> Statement:
    """The first `limit` records of these leaves in order, after the key `after`.

    Every row has the columns of `catalogue_check`; without records there is one row with these,
    whose `created_at` is NULL.
    """
    arguments = Arguments()
    direction = "DESC" if order is Order.NEWEST else "ASC"
    ordering = ", ".join(f"{column} {direction}" for column in KEY_COLUMNS)
    rows = arguments.add(limit, "bigint")
    leaves = "\nUNION ALL\n".join(
        f"({_select(part, arguments, order, after, columns)} ORDER BY {ordering} LIMIT {rows})"
        for part in parts
    )
    text = (
        f"SELECT {columns.outer()}, n.newest_segment, n.has_opened\n"  # noqa: S608
        f"FROM ({catalogue_check(ready, arguments)}) AS n LEFT JOIN "
        f"(SELECT * FROM (\n{leaves}\n) AS u ORDER BY {ordering} LIMIT {rows}) AS q ON TRUE"
    )
    return Statement(text, arguments.values())


def records_of(rows: list[Row]) -> list[Row]:
    """The records of a wave."""
    return rows if rows and rows[0]["created_at"] is not None else []


def _select(
    part: LeafFilter, arguments: Arguments, order: Order, after: Key | None, columns: Columns
) -> str:
    of = part.condition.of if isinstance(part.condition, And) else (part.condition,)
    times = [item for item in of if isinstance(item, TimeRange)] if part.is_scan else []
    late = [condition_of(item, arguments) for item in times]
    if after is not None:
        late.append(_beyond(after, arguments, order))
    rest = all_of(*[item for item in of if item not in times])
    source = leaf_table(part.leaf.segment)
    what = columns.inner(arguments)
    select = f"SELECT {what} FROM {source} WHERE {condition_of(rest, arguments)}"  # noqa: S608
    if part.is_scan:
        where = f" WHERE {' AND '.join(late)}" if late else ""
        return f"SELECT * FROM ({select} OFFSET 0) AS fenced{where}"  # noqa: S608
    select = " AND ".join([select, *late])
    if part.is_lookup:
        # A generic plan would rather walk created_at than sort what the index of the id finds;
        # OFFSET 0 is an optimization fence between the filter and the ORDER BY.
        return f"SELECT * FROM ({select} OFFSET 0) AS fenced"  # noqa: S608
    return select


def _beyond(key: Key, arguments: Arguments, order: Order) -> str:
    values = (
        arguments.add(datetime_of(key.created_us), "timestamptz"),
        arguments.add(key.created_ns, "smallint"),
        arguments.add(key.batch_id, "bigint"),
        arguments.add(key.position, "integer"),
        arguments.add(UUID(bytes=key.id), "uuid"),
    )
    operator = "<" if order is Order.NEWEST else ">"
    return f"({', '.join(KEY_COLUMNS)}) {operator} ({', '.join(values)})"
