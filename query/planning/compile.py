"""A filter tree over leaves of system_logs, as one SQL statement. Pure; values only as arguments.

Names in the text come from columns of storage/record/fields.py and from the catalogue's integers:
that is why ruff's S608 is silenced here, and only here. One sub-select per leaf with its own ORDER
BY and LIMIT, joined by UNION ALL, so that each leaf is planned for itself: a limit over leaves of
unequal content makes PostgreSQL walk the wrong index for seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from storage.database.read import Statement
from storage.filtering.conditions import (
    Arguments,
    attribute_text,
    condition_of,
    is_needle,
    leaf_table,
)
from storage.filtering.filters import Filter
from storage.filtering.prune import Leaf
from storage.record.times import datetime_of


class Order(Enum):
    """Which records come first."""

    NEWEST = "desc"
    OLDEST = "asc"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """A record's place among all records: time, then arrival, then place in its request."""

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

_EMPTY_METADATA = (
    '{"attributes": {}, "body": null, "span": null, "exception": null, "otel": {}, "redaction": []}'
)
"""What the API shows for the parts of metadata that a record lacks."""

_SHOWN = {
    "ip_address": "host(q.ip_address)",
    "level": "q.level::text",
    "kind": "q.kind::text",
    "metadata": f"('{_EMPTY_METADATA}'::jsonb || q.metadata)::text",
}


@dataclass(frozen=True, slots=True)
class Columns:
    """What is read of each record: columns, and attributes as text, named a0, a1 and so on."""

    names: tuple[str, ...] = RECORD_COLUMNS
    attributes: tuple[str, ...] = ()

    def inner(self, arguments: "Arguments") -> str:
        """The list of a leaf's sub-select."""
        texts = [
            f"{attribute_text(name, arguments)} AS a{number}"
            for number, name in enumerate(self.attributes)
        ]
        return ", ".join([*self.names, *texts])

    def outer(self) -> str:
        """The list of the whole statement, over `q`."""
        shown = [
            f"{_SHOWN[name]} AS {name}" if name in _SHOWN else f"q.{name}" for name in self.names
        ]
        return ", ".join([*shown, *(f"q.a{number}" for number in range(len(self.attributes)))])


RECORD = Columns()


def key_and(*names: str, attributes: Sequence[str] = ()) -> Columns:
    """A record's key and these columns."""
    rest = [name for name in dict.fromkeys(names) if name not in KEY_COLUMNS]
    return Columns((*KEY_COLUMNS, *rest), tuple(attributes))


# Read in the snapshot of the rows: tells whether the catalogue's copy knew all segments.
_NEWEST_SEGMENT = (
    "(SELECT max(s.segment) FROM segments AS s WHERE s.state NOT IN ('retiring', 'dropped'))"
)
NEWEST_SEGMENT = Statement(f"SELECT {_NEWEST_SEGMENT} AS newest_segment")


@dataclass(frozen=True, slots=True)
class LeafFilter:
    """One leaf and what is to be found in it."""

    leaf: Leaf
    condition: Filter
    """Narrowed to the leaf (storage/filtering/prune.py)."""
    is_walked: bool = False
    """Known to select many rows, so that walking in order of time beats every other index."""
    is_fenced: bool = False
    """Known to walk for too long, so that the filter is planned without the order."""
    is_lookup: bool = False
    """An index finds all of it at once, in no order: it must be used, sealed or not."""


def compile_wave(
    parts: Sequence[LeafFilter],
    *,
    order: Order,
    limit: int,
    after: Key | None = None,
    columns: Columns = RECORD,
) -> Statement:
    """The first `limit` records of these leaves in order, those after the key `after` only."""
    arguments = Arguments()
    direction = "DESC" if order is Order.NEWEST else "ASC"
    ordering = ", ".join(f"{column} {direction}" for column in KEY_COLUMNS)
    rows = arguments.add(limit, "bigint")
    leaves = "\nUNION ALL\n".join(
        f"({_select(part, arguments, order, after, columns)} ORDER BY {ordering} LIMIT {rows})"
        for part in parts
    )
    text = (
        f"SELECT {columns.outer()}, {_NEWEST_SEGMENT} AS newest_segment\n"  # noqa: S608
        f"FROM (SELECT * FROM (\n{leaves}\n) AS u ORDER BY {ordering} LIMIT {rows}) AS q"
    )
    return Statement(text, arguments.values())


def _select(
    part: LeafFilter, arguments: Arguments, order: Order, after: Key | None, columns: Columns
) -> str:
    conditions = [condition_of(part.condition, arguments)]
    if after is not None:
        conditions.append(_beyond(after, arguments, order))
    source = leaf_table(part.leaf.segment)
    what = columns.inner(arguments)
    select = f"SELECT {what} FROM {source} WHERE {' AND '.join(conditions)}"  # noqa: S608
    is_fenced = part.is_fenced or (not part.is_walked and is_needle(part.condition))
    if part.is_lookup or (part.leaf.is_sealed and is_fenced):
        # Some values make the planner walk created_at for minutes instead of using the GIN index;
        # OFFSET 0 keeps it from seeing the ORDER BY while it plans the filter.
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
