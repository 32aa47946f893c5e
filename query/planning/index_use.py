"""Which queries the indexes of a leaf serve, and which have to scan its records. Pure."""

from query.language.parser import conjuncts
from storage.filtering.filters import (
    And,
    AttrCompare,
    AttrEquals,
    AttrPrefix,
    AttrPresent,
    AttrRegex,
    FieldEquals,
    FieldIn,
    Filter,
    Not,
    Or,
    Regex,
    Text,
    ValueAt,
    ValueTest,
)
from storage.record.fields import ACTOR_ID, CORRELATION_ID, ID, RESOURCE_ID, TRACE_ID, Field

_INDEXED = frozenset({ID, TRACE_ID, CORRELATION_ID, ACTOR_ID, RESOURCE_ID})
_UNORDERED = frozenset({ID, TRACE_ID, CORRELATION_ID})
_OF_FEW = frozenset({TRACE_ID, CORRELATION_ID})
_WORDS = Text | Regex | AttrRegex | AttrPrefix
_LEAST_ID = 6
"""Letters of an attribute's value that is probably an id, not a status or a port."""
_UNINDEXED = _WORDS | AttrEquals | AttrCompare | AttrPresent | ValueAt

_OF_WORDS = frozenset({ValueTest.CONTAINS, ValueTest.PREFIX, ValueTest.REGEX})


def scans_text(where: Filter) -> bool:
    """Whether records are scanned for text, without an indexed id to find them."""
    return _has(where, _WORDS) and not is_id_lookup(where)


def scans_leaves(where: Filter) -> bool:
    """Whether all records of a leaf are scanned to find a few: it has no index on attributes."""
    return _has(where, _UNINDEXED) and not is_id_lookup(where)


def is_id_lookup(where: Filter) -> bool:
    """Whether one index finds the records, in every leaf."""
    return any(map(_finds, conjuncts(where)))


def is_unordered_lookup(where: Filter) -> bool:
    """Whether the index that finds the records does not return them in order of time."""
    return any(_finds(item, _UNORDERED) for item in conjuncts(where))


def has_index_of_its_own(where: Filter) -> bool:
    """Whether an index finds the few records of a trace or a request, in any time."""
    return any(_finds(item, _OF_FEW) for item in conjuncts(where))


def is_rare(where: Filter) -> bool:
    """Whether it requires a word with a digit, or an attribute like an id, as few records do."""
    return any(map(_is_rare, conjuncts(where)))


def _is_rare(condition: Filter) -> bool:
    match condition:
        case Text(text):
            return " " not in text and any(letter.isdigit() for letter in text)
        case AttrEquals(_, value):
            return len(value) >= _LEAST_ID and any(letter.isdigit() for letter in value)
        case ValueAt(_, test, text) if test is ValueTest.EQUALS:
            return len(text) >= _LEAST_ID and any(letter.isdigit() for letter in text)
        case Or(of):
            return bool(of) and all(map(_is_rare, of))
        case _:
            return False


def _has(condition: Filter, kinds: object) -> bool:
    match condition:
        case And(of) | Or(of):
            return any(_has(item, kinds) for item in of)
        case Not(of):
            return _has(of, kinds)
        case ValueAt(_, test) if test in _OF_WORDS:
            return True
        case _:
            return isinstance(condition, kinds)  # type: ignore[arg-type]


def _finds(condition: Filter, by: frozenset[Field] = _INDEXED) -> bool:
    match condition:
        case FieldEquals(field) | FieldIn(field):
            return field in by
        case Or(of):
            return bool(of) and all(_finds(item, by) for item in of)
        case And(of):
            return any(_finds(item, by) for item in of)
        case _:
            return False
