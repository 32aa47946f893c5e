"""A filter tree over leaves of system_logs, as one SQL statement. Pure; values only as arguments.

Names in the text come from columns of query/fields.py and from the catalogue's integers: that is
why ruff's S608 is answered here, and only here. One sub-select per leaf with its own ORDER BY and
LIMIT, glued by UNION ALL, so that each leaf is planned for itself: a limit over leaves of unequal
content makes PostgreSQL walk the wrong index for seconds.
"""

import json
import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any
from uuid import UUID

from config.levels import Level
from query.fields import FieldValue, Kind, ValueType
from query.filters import (
    And,
    AttrEquals,
    FieldCompare,
    FieldEquals,
    FieldIn,
    FieldPrefix,
    Filter,
    IpIn,
    Not,
    Or,
    Regex,
    ResourceEquals,
    Text,
    TimeRange,
)
from query.prune import Leaf
from query.times import datetime_of
from storage.read import Statement


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
_LEAF_COLUMNS = ", ".join(RECORD_COLUMNS)
_OUTER_COLUMNS = ", ".join(
    f"{_SHOWN[name]} AS {name}" if name in _SHOWN else f"q.{name}" for name in RECORD_COLUMNS
)
# Read in the snapshot of the rows: tells whether the catalogue's copy knew all segments.
_NEWEST_SEGMENT = "(SELECT max(s.segment) FROM segments AS s WHERE s.state <> 'dropped')"
NEWEST_SEGMENT = Statement(f"SELECT {_NEWEST_SEGMENT} AS newest_segment")


class Arguments:
    """Collects the values of a statement; the same value of the same type is sent once."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, object], int] = {}

    def add(self, value: Hashable, sql_type: str) -> str:
        """The placeholder of the value, with its type in SQL."""
        place = self._places.setdefault((sql_type, value), len(self._places) + 1)
        return f"${place}::{sql_type}"

    def values(self) -> tuple[object, ...]:
        """All of them in order of their numbers."""
        return tuple(value for _, value in self._places)


@dataclass(frozen=True, slots=True)
class LeafFilter:
    """One leaf and what is to be found in it."""

    leaf: Leaf
    condition: Filter
    """Narrowed to the leaf (prune.py)."""
    is_walked: bool = False
    """Known to select many rows, so that walking in order of time beats every other index."""


def compile_wave(
    parts: Sequence[LeafFilter], *, order: Order, limit: int, after: Key | None = None
) -> Statement:
    """The first `limit` records of these leaves in order, those after the key `after` only."""
    arguments = Arguments()
    direction = "DESC" if order is Order.NEWEST else "ASC"
    ordering = ", ".join(f"{column} {direction}" for column in KEY_COLUMNS)
    rows = arguments.add(limit, "bigint")
    leaves = "\nUNION ALL\n".join(
        f"({_select(part, arguments, order, after)} ORDER BY {ordering} LIMIT {rows})"
        for part in parts
    )
    text = (
        f"SELECT {_OUTER_COLUMNS}, {_NEWEST_SEGMENT} AS newest_segment\n"  # noqa: S608
        f"FROM (SELECT * FROM (\n{leaves}\n) AS u ORDER BY {ordering} LIMIT {rows}) AS q"
    )
    return Statement(text, arguments.values())


def _select(part: LeafFilter, arguments: Arguments, order: Order, after: Key | None) -> str:
    conditions = [condition_of(part.condition, arguments)]
    if after is not None:
        conditions.append(_beyond(after, arguments, order))
    source = leaf_table(part.leaf.segment)
    select = f"SELECT {_LEAF_COLUMNS} FROM {source} WHERE {' AND '.join(conditions)}"  # noqa: S608
    if part.leaf.is_sealed and not part.is_walked and is_needle(part.condition):
        # Some values make the planner walk created_at for minutes instead of using the GIN index;
        # OFFSET 0 keeps it from seeing the ORDER BY while it plans the filter.
        return f"SELECT * FROM ({select} OFFSET 0) AS fenced"  # noqa: S608
    return select


def leaf_table(segment: int) -> str:
    """The table of a segment; only an integer of the catalogue gets into its name."""
    return f"system_logs_s{int(segment)}"


def is_needle(condition: Filter) -> bool:
    """Whether the condition is likely to leave few rows and needs an index without order.

    Attributes and identifiers inside the message are; words are frequent, and walking in order
    of time finds the newest of them sooner.
    """
    match condition:
        case AttrEquals():
            return True
        case Text(text):
            return " " not in text and any(letter.isdigit() for letter in text)
        case And(of):
            return any(is_needle(item) for item in of)
        case Or(of):
            return bool(of) and all(is_needle(item) for item in of)
        case _:
            return False


def condition_of(condition: Filter, arguments: Arguments) -> str:
    """The SQL condition of a filter; true for the records that it selects, else false or NULL."""
    return _WRITERS[type(condition)](condition, arguments)


def _joined(of: Sequence[Filter], word: str, empty: str, arguments: Arguments) -> str:
    if not of:
        return empty
    return "(" + word.join(condition_of(item, arguments) for item in of) + ")"


def _not(condition: Not, arguments: Arguments) -> str:
    # NULL is "no": the records without a value are among those that do not match.
    return f"({condition_of(condition.of, arguments)}) IS NOT TRUE"


def _equals(condition: FieldEquals, arguments: Arguments) -> str:
    field = condition.field
    return f"{field.column} = {_typed(condition.value, field.type, arguments)}"


def _in(condition: FieldIn, arguments: Arguments) -> str:
    sent = tuple(_sent(value) for value in condition.values)
    return f"{condition.field.column} = ANY({arguments.add(sent, condition.field.type.value)})"


def _compare(condition: FieldCompare, arguments: Arguments) -> str:
    field = condition.field
    value = _typed(condition.value, field.type, arguments)
    return f"{field.column} {condition.comparison.value} {value}"


def _prefix(condition: FieldPrefix, arguments: Arguments) -> str:
    pattern = arguments.add(f"{_like(condition.prefix)}%", "text")
    return f"{condition.field.column} LIKE {pattern}"


def _text(condition: Text, arguments: Arguments) -> str:
    operator = "ILIKE" if condition.ignores_case else "LIKE"
    return f"message {operator} {arguments.add(f'%{_like(condition.text)}%', 'text')}"


def _regex(condition: Regex, arguments: Arguments) -> str:
    operator = "~*" if condition.ignores_case else "~"
    return f"message {operator} {arguments.add(condition.pattern, 'text')}"


def _typed(value: FieldValue, kind: ValueType, arguments: Arguments) -> str:
    return arguments.add(_sent(value), kind.value.removesuffix("[]"))


def _sent(value: FieldValue) -> Hashable:
    """A value as asyncpg takes it."""
    if isinstance(value, Level):
        return value.name
    if isinstance(value, Kind):
        return value.value
    return value


def _like(text: str) -> str:
    """Text in a LIKE pattern, taken letter by letter."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def _in_network(condition: IpIn, arguments: Arguments) -> str:
    network = condition.network
    if network.num_addresses == 1:
        return f"ip_address = {arguments.add(network.network_address, 'inet')}"
    return f"ip_address <<= {arguments.add(network, 'inet')}"


# Long digits would be slow to convert and huge exponents are out of numeric's range.
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,63})(\.\d{1,64})?([eE][+-]?\d{1,2})?", re.ASCII)


def _attribute(condition: AttrEquals, arguments: Arguments) -> str:
    documents = [
        f'{{"attributes": {member}}}' for member in _members(condition.name, condition.value)
    ]
    return _contains("metadata", documents, arguments)


def compile_streams(condition: ResourceEquals, *, most: int) -> Statement:
    """The ids of up to `most` streams whose resource has this attribute."""
    arguments = Arguments()
    found = _contains("resource", _members(condition.name, condition.value), arguments)
    limit = arguments.add(most, "bigint")
    text = f"SELECT stream_id FROM log_streams WHERE {found} LIMIT {limit}"  # noqa: S608
    return Statement(text, arguments.values())


def _members(name: str, value: str) -> list[str]:
    """JSON objects with this member: as text, and as the number or truth value it spells."""
    spellings = [json.dumps(value, ensure_ascii=False)]
    if _NUMBER.fullmatch(value) or value in {"true", "false"}:
        spellings.append(value)
    key = json.dumps(name, ensure_ascii=False)
    return [f"{{{key}: {spelling}}}" for spelling in spellings]


def _contains(column: str, documents: Sequence[str], arguments: Arguments) -> str:
    found = [f"{column} @> {arguments.add(document, 'jsonb')}" for document in documents]
    return found[0] if len(found) == 1 else f"({' OR '.join(found)})"


def _in_time(condition: TimeRange, arguments: Arguments) -> str:
    conditions = []
    for bound_ns, operator in ((condition.start_ns, ">="), (condition.end_ns, "<")):
        if bound_ns is None:
            continue
        micros, rest = divmod(bound_ns, 1000)
        at = arguments.add(datetime_of(micros), "timestamptz")
        if rest == 0:
            conditions.append(f"created_at {operator} {at}")
        else:
            # A row comparison, whose first column still uses the index on created_at.
            nanoseconds = arguments.add(rest, "smallint")
            conditions.append(f"(created_at, created_ns) {operator} ({at}, {nanoseconds})")
    return f"({' AND '.join(conditions)})" if conditions else "TRUE"


_WRITERS: dict[type[Filter], Callable[[Any, Arguments], str]] = {
    And: lambda node, arguments: _joined(node.of, " AND ", "TRUE", arguments),
    Or: lambda node, arguments: _joined(node.of, " OR ", "FALSE", arguments),
    Not: _not,
    FieldEquals: _equals,
    FieldIn: _in,
    FieldCompare: _compare,
    FieldPrefix: _prefix,
    Text: _text,
    Regex: _regex,
    AttrEquals: _attribute,
    IpIn: _in_network,
    TimeRange: _in_time,
}
"""All nodes but ResourceEquals, which resolve.py replaces by its streams."""


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
