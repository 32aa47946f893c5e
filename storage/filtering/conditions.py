"""Compiles a filter tree into an SQL condition. Pure; values are always passed as arguments.

Identifiers come only from the columns of fields.py and from the catalogue's integers: that is why
ruff's S608 is suppressed here and in query/planning/compile.py, and nowhere else.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from config.levels import Level
from storage.database.read import Statement
from storage.filtering.filters import (
    And,
    AttrCompare,
    AttrEquals,
    AttrPrefix,
    AttrPresent,
    AttrRegex,
    FieldCompare,
    FieldEquals,
    FieldIn,
    FieldPrefix,
    FieldPresent,
    Filter,
    IpIn,
    Not,
    OnResource,
    Or,
    Regex,
    ResourceEquals,
    Text,
    TimeRange,
    ValueAt,
    ValueTest,
)
from storage.record.fields import FieldValue, Kind, ValueType
from storage.record.times import datetime_of


class Arguments:
    """Collects the arguments of a statement; a repeated value of the same type is sent once."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, object], int] = {}

    def add(self, value: Hashable, sql_type: str) -> str:
        """Add a value; returns its placeholder with its SQL type."""
        place = self._places.setdefault((sql_type, value), len(self._places) + 1)
        return f"${place}::{sql_type}"

    def values(self) -> tuple[object, ...]:
        """All values in order of their numbers."""
        return tuple(value for _, value in self._places)


def leaf_table(segment: int) -> str:
    """The table of a segment, whose name is built only from the catalogue's integer."""
    return f"system_logs_s{int(segment)}"


def condition_of(condition: Filter, arguments: Arguments) -> str:
    """The SQL condition of a filter; true for matching records, else false or NULL."""
    return _WRITERS[type(condition)](condition, arguments)


def _joined(of: Sequence[Filter], operator: str, empty: str, arguments: Arguments) -> str:
    if not of:
        return empty
    return "(" + operator.join(condition_of(item, arguments) for item in of) + ")"


def _not(condition: Not, arguments: Arguments) -> str:
    # NULL counts as false: records without a value are among those that do not match.
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
    found = _in_message(condition, "message", arguments)
    if condition.text.isascii():
        return found
    composed = _in_message(condition, "normalize(message, NFC)", arguments)
    # ASCII is the commonest and fastest to recognise; few other messages are not composed.
    return (
        f"({found} OR CASE WHEN octet_length(message) = char_length(message) THEN FALSE"
        f" WHEN message IS NFC NORMALIZED THEN FALSE ELSE {composed} END)"
    )


def _in_message(condition: Text, message: str, arguments: Arguments) -> str:
    if not condition.ignores_case:
        return _with_text(message, condition.text, arguments)
    pattern = arguments.add(f"%{_like(condition.text)}%", "text")
    part = max(_CASELESS.findall(condition.text), key=len, default="")
    if len(part) < _MIN_CASELESS_LETTERS:
        return f"{message} ILIKE {pattern}"
    # strpos costs a third of ILIKE; CASE, because the planner would test ILIKE first.
    first = _with_text(message, part, arguments)
    return f"CASE WHEN {first} THEN {message} ILIKE {pattern} ELSE FALSE END"


def _with_text(message: str, text: str, arguments: Arguments) -> str:
    """Cheaper than LIKE, which finds the same."""
    return f"strpos({message}, {arguments.add(text, 'text')}) > 0"


_CASELESS = re.compile(r"[\x20-@\[-`{-~]+")
_MIN_CASELESS_LETTERS = 3
"""Minimum length of a caseless part that is matched first: every message has a space."""


def _present(condition: FieldPresent, _: Arguments) -> str:
    field = condition.field
    return f"{field.column} IS NOT NULL" if field.is_nullable else "TRUE"


def _regex(condition: Regex, arguments: Arguments) -> str:
    operator = "~*" if condition.ignores_case else "~"
    return f"{condition.field.column} {operator} {arguments.add(condition.pattern, 'text')}"


def _typed(value: FieldValue, kind: ValueType, arguments: Arguments) -> str:
    return arguments.add(_sent(value), kind.value.removesuffix("[]"))


def _sent(value: FieldValue) -> Hashable:
    """The value as an argument for asyncpg."""
    if isinstance(value, Level):
        return value.name
    if isinstance(value, Kind):
        return value.value
    return value


def _like(text: str) -> str:
    """Escape text for a LIKE pattern."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def _in_network(condition: IpIn, arguments: Arguments) -> str:
    network = condition.network
    if network.num_addresses == 1:
        return f"ip_address = {arguments.add(network.network_address, 'inet')}"
    return f"ip_address <<= {arguments.add(network, 'inet')}"


# Many digits are slow to convert, and huge exponents exceed the range of numeric.
NUMBER = re.compile(r"-?(0|[1-9]\d{0,63})(\.\d{1,64})?([eE][+-]?\d{1,2})?", re.ASCII)


def _attribute(condition: AttrEquals, arguments: Arguments) -> str:
    documents = [
        f'{{"attributes": {member}}}' for member in _members(condition.name, condition.value)
    ]
    return _contains("metadata", documents, arguments)


def attribute_text(name: str, arguments: Arguments) -> str:
    """The SQL of an attribute's value as text; NULL where a record lacks it."""
    return _text_in(_RECORD, name, arguments)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where attributes are: the SQL of their object, its column, and its path in the column."""

    object: str
    column: str
    path: str


_RECORD = _Place("metadata -> 'attributes'", "metadata", "$.attributes")
_RESOURCE = _Place("resource", "resource", "$")


def _text_in(place: _Place, name: str, arguments: Arguments) -> str:
    return f"({place.object} ->> {arguments.add(name, 'text')})"


def _attribute_compare(
    condition: AttrCompare, arguments: Arguments, place: _Place = _RECORD
) -> str:
    # A jsonpath, so that non-numeric text is not an error: @@ is then NULL.
    path = f"{place.path}.{json.dumps(condition.name)}.double()"
    value = f"{path} {condition.comparison.value} {condition.number}"
    return f"{place.column} @@ {arguments.add(value, 'jsonpath')}"


def _attribute_prefix(condition: AttrPrefix, arguments: Arguments, place: _Place = _RECORD) -> str:
    value = _text_in(place, condition.name, arguments)
    return f"{value} LIKE {arguments.add(f'{_like(condition.prefix)}%', 'text')}"


def _attribute_regex(condition: AttrRegex, arguments: Arguments, place: _Place = _RECORD) -> str:
    operator = "~*" if condition.ignores_case else "~"
    value = _text_in(place, condition.name, arguments)
    return f"{value} {operator} {arguments.add(condition.pattern, 'text')}"


def _attribute_present(
    condition: AttrPresent, arguments: Arguments, place: _Place = _RECORD
) -> str:
    name = arguments.add(condition.name, "text")
    return f"jsonb_exists({place.object}, {name})"


_METADATA = {"": "metadata"}
_STREAM = {"resource": "resource", "scope": "scope"}
"""Columns by the first key of a path, which is not in the column; "" is any other key."""


def _value_at(
    condition: ValueAt, arguments: Arguments, columns: Mapping[str, str] = _METADATA
) -> str:
    if condition.is_beyond:
        return _beyond(condition, arguments)
    of_columns: dict[str, list[str]] = defaultdict(list)
    for path in condition.paths:
        first = path[0] if path and path[0] in columns else ""
        keys = path[1:] if first else path
        steps = "".join(f".{json.dumps(key)}" for key in keys)
        of_columns[columns[first]].append(f"${steps}")
    found = [_value_in(condition, column, paths, arguments) for column, paths in of_columns.items()]
    return found[0] if len(found) == 1 else f"({' OR '.join(found)})"


def _beyond(condition: ValueAt, arguments: Arguments) -> str:
    """Attributes first by what few rows have: a list of this name, or a map of a shorter one."""
    attributes = "metadata -> 'attributes'"
    plain = [path for path in condition.paths if path[:1] == ("attributes",) and len(path) == 2]
    inside = [path for path in condition.paths if path[:1] == ("attributes",) and len(path) > 2]
    others = [path for path in condition.paths if path not in {*plain, *inside}]
    guarded: list[tuple[str, list[tuple[str, ...]]]] = [
        (f"jsonb_typeof({attributes} -> {arguments.add(path[1], 'text')}) = 'array'", [path])
        for path in plain
    ]
    if inside:
        firsts = arguments.add(tuple(dict.fromkeys(path[1] for path in inside)), "text[]")
        guarded.append((f"jsonb_exists_any({attributes}, {firsts})", inside))
    if others:
        guarded.append(("TRUE", others))
    found = []
    for guard, paths in guarded:
        test = _value_at(replace(condition, paths=tuple(paths), is_beyond=False), arguments)
        found.append(f"CASE WHEN {guard} THEN {test} ELSE FALSE END")
    return found[0] if len(found) == 1 else f"({' OR '.join(found)})"


def _value_in(condition: ValueAt, column: str, paths: Sequence[str], arguments: Arguments) -> str:
    """A test of values below one column; jsonpath is lax, so that it steps into lists."""
    test, text = condition.test, condition.text
    if test is ValueTest.EQUALS:
        spelled = _spellings(text)
        return _matches(column, [f"{p} == {value}" for p in paths for value in spelled], arguments)
    if test is ValueTest.PRESENT:
        return _matches(column, [f"exists({path})" for path in paths], arguments)
    if test in _COMPARED:
        tests = [f"{path}.double() {test.value} {text}" for path in paths]
        return _matches(column, tests, arguments)
    operator, pattern = {
        ValueTest.PREFIX: ("LIKE", f"{_like(text)}%"),
        ValueTest.CONTAINS: ("ILIKE", f"%{_like(text)}%"),
        ValueTest.REGEX: ("~*" if condition.ignores_case else "~", text),
    }[test]
    value = f"{operator} {arguments.add(pattern, 'text')}"
    types = ("string",) if test is ValueTest.CONTAINS else ("string", "number", "boolean")
    of_type = " || ".join(f'@.type() == "{name}"' for name in types)
    below = ".**" if condition.is_deep else ""
    values = [arguments.add(f"{path}{below} ? ({of_type})", "jsonpath") for path in paths]
    found = " OR ".join(
        f"EXISTS (SELECT FROM jsonb_path_query({column}, {path}) AS v (item)"
        f" WHERE v.item #>> '{{}}' {value})"
        for path in values
    )
    run = max(_UNESCAPED.findall(text), key=len, default="")
    if test is ValueTest.CONTAINS and run:
        # The whole column first: most rows do not have the text at all.
        whole = arguments.add(f"%{_like(run)}%", "text")
        return f"CASE WHEN {column}::text ILIKE {whole} THEN {found} ELSE FALSE END"
    return f"({found})"


def _matches(column: str, tests: Sequence[str], arguments: Arguments) -> str:
    return f"{column} @@ {arguments.add(' || '.join(f'({t})' for t in tests), 'jsonpath')}"


_COMPARED = frozenset(
    {ValueTest.LESS, ValueTest.LESS_OR_EQUAL, ValueTest.GREATER, ValueTest.GREATER_OR_EQUAL}
)
_UNESCAPED = re.compile(r'[^"\\\x00-\x1f\x7f]+')
"""Letters that JSON does not escape."""


def compile_streams(condition: ResourceEquals | OnResource, *, most: int) -> Statement:
    """The ids of up to `most` streams whose resource has this attribute."""
    arguments = Arguments()
    if isinstance(condition, ResourceEquals):
        found = _contains("resource", _members(condition.name, condition.value), arguments)
    elif isinstance(condition.of, ValueAt):
        found = _value_at(replace(condition.of, is_beyond=False), arguments, _STREAM)
    else:
        found = _ON_RESOURCE[type(condition.of)](condition.of, arguments, _RESOURCE)
    limit = arguments.add(most, "bigint")
    text = f"SELECT stream_id FROM log_streams WHERE {found} LIMIT {limit}"  # noqa: S608
    return Statement(text, arguments.values())


_ON_RESOURCE: dict[type[Filter], Callable[[Any, Arguments, _Place], str]] = {
    AttrCompare: _attribute_compare,
    AttrPrefix: _attribute_prefix,
    AttrRegex: _attribute_regex,
    AttrPresent: _attribute_present,
}


def _members(name: str, value: str) -> list[str]:
    """JSON objects with this member: as text, and as the number or boolean that it spells."""
    key = json.dumps(name, ensure_ascii=False)
    return [f"{{{key}: {spelling}}}" for spelling in _spellings(value)]


def _spellings(value: str) -> list[str]:
    """JSON of a text, and of the number or boolean that it spells."""
    spellings = [json.dumps(value, ensure_ascii=False)]
    if NUMBER.fullmatch(value) or value in {"true", "false"}:
        spellings.append(value)
    return spellings


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
            # A row comparison, whose first column can still use the index on created_at.
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
    FieldPresent: _present,
    Text: _text,
    Regex: _regex,
    AttrEquals: _attribute,
    AttrCompare: _attribute_compare,
    AttrPrefix: _attribute_prefix,
    AttrRegex: _attribute_regex,
    AttrPresent: _attribute_present,
    ValueAt: _value_at,
    IpIn: _in_network,
    TimeRange: _in_time,
}
"""All nodes except ResourceEquals and OnResource, which resolve.py replaces by streams."""
