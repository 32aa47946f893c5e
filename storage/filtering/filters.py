"""The filter tree: what a question, a hold or a purge selects. Pure data.

    parameters (query/planning/search.py), query text  ->  Filter  ->  prune.py  ->  conditions.py

Whoever adds a node teaches it to prune.py (what a segment's catalogue row says about it) and to
conditions.py (its SQL); a test walks all nodes through both.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import Enum, StrEnum
from ipaddress import IPv4Network, IPv6Network
from types import UnionType
from typing import Any, TypeAlias
from uuid import UUID

from config.levels import Level
from storage.record.fields import MESSAGE, Field, FieldValue, Kind


class Comparison(StrEnum):
    """How a field is compared; the value is PostgreSQL's operator."""

    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="


@dataclass(frozen=True, slots=True)
class And:
    """All of them; without any: every record."""

    of: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of them at least; without any: no record."""

    of: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The records that `of` does not select, those without a value included."""

    of: "Filter"


@dataclass(frozen=True, slots=True)
class FieldEquals:
    """The field has exactly this value."""

    field: Field
    value: FieldValue


@dataclass(frozen=True, slots=True)
class FieldIn:
    """The field has one of these values."""

    field: Field
    values: tuple[FieldValue, ...]


@dataclass(frozen=True, slots=True)
class FieldCompare:
    """The field is before or after a value in its type's order (levels: by severity)."""

    field: Field
    comparison: Comparison
    value: FieldValue


@dataclass(frozen=True, slots=True)
class FieldPrefix:
    """A text field begins with this; upper and lower case differ."""

    field: Field
    prefix: str


@dataclass(frozen=True, slots=True)
class FieldPresent:
    """The field has a value."""

    field: Field


@dataclass(frozen=True, slots=True)
class Text:
    """The message contains this, letter by letter: a word, a phrase, a needle."""

    text: str
    ignores_case: bool = False


@dataclass(frozen=True, slots=True)
class Regex:
    """A text field matches this regular expression of PostgreSQL, anywhere."""

    pattern: str
    ignores_case: bool = False
    field: Field = MESSAGE


@dataclass(frozen=True, slots=True)
class AttrEquals:
    """The record's attribute has this value: the text, or the number or truth value it spells."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class AttrCompare:
    """The record's attribute is a number, or the text of one, before or after this number."""

    name: str
    comparison: Comparison
    number: str
    """In digits, as PostgreSQL reads it."""


@dataclass(frozen=True, slots=True)
class AttrPrefix:
    """The record's attribute, as text, begins with this."""

    name: str
    prefix: str


@dataclass(frozen=True, slots=True)
class AttrRegex:
    """The record's attribute, as text, matches this regular expression, anywhere."""

    name: str
    pattern: str
    ignores_case: bool = False


@dataclass(frozen=True, slots=True)
class AttrPresent:
    """The record has this attribute."""

    name: str


@dataclass(frozen=True, slots=True)
class ResourceEquals:
    """The resource's attribute has this value; resolved to streams before it is compiled."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class IpIn:
    """The client's address lies in this network (a single address is its smallest one)."""

    network: IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Happened at or after `start_ns` and before `end_ns` (nanoseconds since 1970; None: open)."""

    start_ns: int | None
    end_ns: int | None


Filter: TypeAlias = (
    And
    | Or
    | Not
    | FieldEquals
    | FieldIn
    | FieldCompare
    | FieldPrefix
    | FieldPresent
    | Text
    | Regex
    | AttrEquals
    | AttrCompare
    | AttrPrefix
    | AttrRegex
    | AttrPresent
    | ResourceEquals
    | IpIn
    | TimeRange
)

EVERYTHING = And(())
NOTHING = Or(())


def all_of(*filters: Filter) -> Filter:
    """Their conjunction, flattened; one alone is itself."""
    flat: list[Filter] = []
    for item in filters:
        flat.extend(item.of if isinstance(item, And) else (item,))
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def plain(value: object) -> object:
    """A filter as lists and strings that JSON can hold: for digests and the access audit.

    >>> plain(Not(Text("x")))
    ['Not', ['Text', 'x', False]]
    """
    for kind, shown in _PLAIN:
        if isinstance(value, kind):
            return shown(value)
    return [type(value).__name__, *[plain(getattr(value, f.name)) for f in fields(value)]]  # type: ignore[arg-type]


_PLAIN: tuple[tuple[type | UnionType, Callable[[Any], object]], ...] = (
    (Field, lambda field: field.name),
    (Kind, lambda kind: kind.word),
    (Level, lambda level: level.name),
    (Enum, lambda word: word.value),
    (bytes, bytes.hex),
    (tuple, lambda items: [plain(item) for item in items]),
    (IPv4Network | IPv6Network | UUID, str),
    (str | int | None, lambda same: same),
)
"""First match wins; a level is a number too."""
