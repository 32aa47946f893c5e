"""The filter tree: the records that a query, a hold or a purge selects. Pure data.

    parameters (query/planning/search.py), query text  ->  Filter  ->  prune.py  ->  conditions.py

A new node must be added to prune.py (how a segment's catalogue row narrows it) and to conditions.py
(its SQL); a test covers all nodes in both.
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
    """All of them match; empty: every record."""

    of: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of them matches; empty: no record."""

    of: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The records that `of` does not match, including those without a value."""

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
    """A text field has this prefix; case-sensitive."""

    field: Field
    prefix: str


@dataclass(frozen=True, slots=True)
class FieldPresent:
    """The field has a value."""

    field: Field


@dataclass(frozen=True, slots=True)
class Text:
    """The message contains this literal text: a word, a phrase, an identifier.

    A text beyond ASCII is also found in the message's NFC.
    """

    text: str
    ignores_case: bool = False


@dataclass(frozen=True, slots=True)
class Regex:
    """A text field matches this PostgreSQL regular expression anywhere."""

    pattern: str
    ignores_case: bool = False
    field: Field = MESSAGE


@dataclass(frozen=True, slots=True)
class AttrEquals:
    """The record's attribute has this value: the text, or the number or boolean it spells."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class AttrCompare:
    """The record's attribute is a number, or the text of one, before or after this number."""

    name: str
    comparison: Comparison
    number: str
    """In PostgreSQL's syntax."""


@dataclass(frozen=True, slots=True)
class AttrPrefix:
    """The record's attribute, as text, has this prefix."""

    name: str
    prefix: str


@dataclass(frozen=True, slots=True)
class AttrRegex:
    """The record's attribute, as text, matches this regular expression anywhere."""

    name: str
    pattern: str
    ignores_case: bool = False


@dataclass(frozen=True, slots=True)
class AttrPresent:
    """The record has this attribute."""

    name: str


class ValueTest(StrEnum):
    """What a value of metadata is tested for."""

    EQUALS = "equals"
    """The text, or the number or boolean that it spells."""
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    """A number, or the text of one; `text` is a number in PostgreSQL's syntax."""
    PREFIX = "prefix"
    REGEX = "regex"
    """A string, number or boolean as text."""
    CONTAINS = "contains"
    """A string that contains the text, ignoring case."""
    PRESENT = "present"


@dataclass(frozen=True, slots=True)
class ValueAt:
    """A value of the record's metadata passes a test, wherever one of the paths leads.

    A path is keys from the whole metadata (`attributes`, `order`, `city`). A key of a list is one
    of each of its elements, and a list at the end of a path is tested by its elements. With
    `is_deep`, everything below the paths is tested; only for CONTAINS.
    """

    paths: tuple[tuple[str, ...], ...]
    test: ValueTest
    text: str = ""
    ignores_case: bool = False
    """Of REGEX."""
    is_deep: bool = False
    is_beyond: bool = False
    """Of paths to an attribute itself, only elements of lists: AttrEquals and the like, beside
    which this is an alternative, test all others faster."""


@dataclass(frozen=True, slots=True)
class ResourceEquals:
    """The resource's attribute has this value; resolved to streams before it is compiled."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class OnResource:
    """The attribute is one of the record's resource; resolved to streams like ResourceEquals.

    Of a ValueAt, the first key of each path is `resource` or `scope`.
    """

    of: "AttrCompare | AttrPrefix | AttrRegex | AttrPresent | ValueAt"


@dataclass(frozen=True, slots=True)
class IpIn:
    """The client's address is in this network (which may be a single address)."""

    network: IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Dated at or after `start_ns` and before `end_ns` (nanoseconds since 1970; None: open)."""

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
    | ValueAt
    | ResourceEquals
    | OnResource
    | IpIn
    | TimeRange
)

EVERYTHING = And(())
NOTHING = Or(())


def all_of(*filters: Filter) -> Filter:
    """Their conjunction, flattened; a single filter is returned as it is."""
    flat: list[Filter] = []
    for item in filters:
        flat.extend(item.of if isinstance(item, And) else (item,))
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def plain(value: object) -> object:
    """A filter as JSON-compatible lists and strings, for digests and the access audit.

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
    (Enum, lambda member: member.value),
    (bytes, bytes.hex),
    (tuple, lambda items: [plain(item) for item in items]),
    (IPv4Network | IPv6Network | UUID, str),
    (str | int | None, lambda value: value),
)
"""First match wins; a level is also a number."""
