"""Evaluates filters over the rows of a block, with the results of filtering/conditions.py in SQL.

NULL is treated as false throughout: And and Or preserve that, and Not is `IS NOT TRUE`.
"""

from collections.abc import Callable
from decimal import Decimal
from ipaddress import ip_interface
from typing import Any

import numpy as np

from config.levels import LEVEL_NAMES, Level
from storage.filtering.filters import (
    And,
    AttrCompare,
    AttrEquals,
    AttrPrefix,
    AttrPresent,
    AttrRegex,
    Comparison,
    FieldCompare,
    FieldEquals,
    FieldIn,
    FieldPrefix,
    FieldPresent,
    Filter,
    IpIn,
    Not,
    Or,
    Regex,
    Text,
    TimeRange,
)
from storage.packs.blocks import Block
from storage.packs.errors import UnsupportedCondition
from storage.packs.parquet.encode import Array
from storage.packs.rows import block as rows_block
from storage.packs.rows.addresses import raw_of
from storage.packs.schema import Plan
from storage.packs.search.attributes import (
    Json,
    attribute_values,
    elements,
    json_text,
    rows_with,
)
from storage.packs.search.patterns import compiled
from storage.packs.search.stopping import check_stopped
from storage.packs.search.texts import HIGHEST, LOWEST, NUMBER, double, lowered
from storage.record.fields import Field, FieldValue, Kind, ValueType

COMPARE: dict[Comparison, Callable[[Any, Any], bool]] = {
    Comparison.LESS: lambda one, other: one < other,
    Comparison.LESS_OR_EQUAL: lambda one, other: one <= other,
    Comparison.GREATER: lambda one, other: one > other,
    Comparison.GREATER_OR_EQUAL: lambda one, other: one >= other,
}
_RANK = {name.encode(): rank for rank, name in enumerate(LEVEL_NAMES)}


def stored(value: FieldValue) -> Any:
    """A filter's value as stored in columns."""
    if isinstance(value, Level):
        return value.name.encode()
    if isinstance(value, Kind):
        return value.value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes | int):
        return value
    return value.bytes


class Matcher:
    """Evaluates filters over one block."""

    def __init__(self, block: Block, plan: Plan) -> None:
        self._block = block
        self._plan = plan
        self._attributes: dict[str, list[Json | None]] = {}

    def of(self, condition: Filter) -> Array:
        """The matching rows. Raises UnsupportedCondition."""
        check_stopped()
        method = _METHODS.get(type(condition))
        if method is None:
            raise UnsupportedCondition(f"{type(condition).__name__} must be resolved first")
        return method(self, condition)

    def _all(self, condition: And) -> Array:
        found = np.ones(self._block.rows, np.bool_)
        for item in condition.of:
            found &= self.of(item)
            if not found.any():
                break
        return found

    def _any(self, condition: Or) -> Array:
        found = np.zeros(self._block.rows, np.bool_)
        for item in condition.of:
            found |= self.of(item)
        return found

    def _not(self, condition: Not) -> Array:
        return ~self.of(condition.of)

    def _each(self, name: str, test: Callable[[Any], bool]) -> Array:
        """Rows whose value passes; each value of a dictionary is tested once."""
        if name == "id":
            numbers = [self._block.get(n).array() for n in ("created_at", "created_ns", "position")]
            values = rows_block.ids(self._block.get, *numbers)
            return np.fromiter(map(test, values), np.bool_, len(values))
        column = self._block.get(name)
        if column.codes is not None:
            passed = np.array([test(value) for value in column.dictionary], np.bool_)
            there = passed[column.codes]
        else:
            values = column.present()
            there = np.fromiter(map(test, values), np.bool_, len(values))
        if column.valid is None:
            return there
        found = np.zeros(self._block.rows, np.bool_)
        found[column.valid] = there
        return found

    def _equals(self, condition: FieldEquals) -> Array:
        value, name = stored(condition.value), condition.field.column
        if name == "id":
            return rows_block.has_id(self._block.get, value)
        return self._block.get(name).equal(value)

    def _in(self, condition: FieldIn) -> Array:
        values, name = {stored(value) for value in condition.values}, condition.field.column
        if name != "id":
            return self._block.get(name).among(values)
        found = np.zeros(self._block.rows, np.bool_)
        for value in values:
            found |= rows_block.has_id(self._block.get, value)
        return found

    def _compare(self, condition: FieldCompare) -> Array:
        value, compare = stored(condition.value), COMPARE[condition.comparison]
        if condition.field.type is ValueType.LEVEL:
            rank = _RANK[value]
            return self._each("level", lambda other: compare(_RANK[other], rank))
        return self._each(condition.field.column, lambda other: compare(other, value))

    def _prefix(self, condition: FieldPrefix) -> Array:
        prefix = condition.prefix.encode()
        return self._each(condition.field.column, lambda other: bool(other.startswith(prefix)))

    def _present(self, condition: FieldPresent) -> Array:
        return self._presence(condition.field)

    def _presence(self, field: Field) -> Array:
        if not field.is_nullable:
            return np.ones(self._block.rows, np.bool_)
        valid = self._block.get(field.column).valid
        return np.ones(self._block.rows, np.bool_) if valid is None else valid.copy()

    def _text(self, condition: Text) -> Array:
        if not condition.ignores_case:
            raw = condition.text.encode()
            return self._each("message", lambda value: raw in value)
        text = lowered(condition.text)
        raw = text.encode()
        if raw.isascii() and "k" not in text and "i" not in text:
            # Of ASCII letters only k and i are the lower case of non-ASCII letters.
            return self._each("message", lambda value: raw in value.lower())
        return self._each("message", lambda value: text in lowered(value.decode()))

    def _regex(self, condition: Regex) -> Array:
        search = compiled(condition.pattern, condition.ignores_case).search
        return self._each(condition.field.column, lambda value: search(value.decode()) is not None)

    def _ip(self, condition: IpIn) -> Array:
        network = condition.network
        if network.num_addresses == 1:
            address = str(network.network_address).encode()
            wanted = raw_of(address)
            return self._each("ip_address", lambda text: raw_of(text) == wanted)

        def inside(text: bytes) -> bool:
            other = ip_interface(text.decode()).network
            return other.version == network.version and other.subnet_of(network)  # type: ignore[arg-type]

        return self._each("ip_address", inside)

    def _time(self, condition: TimeRange) -> Array:
        created = self._block.get("created_at").array()
        rest = self._block.get("created_ns").array()
        found = np.ones(self._block.rows, np.bool_)
        for bound, is_start in ((condition.start_ns, True), (condition.end_ns, False)):
            if bound is None:
                continue
            micros, ns = divmod(bound, 1000)
            micros = min(max(micros, LOWEST), HIGHEST)
            late = (created > micros) | ((created == micros) & (rest >= ns))
            found &= late if is_start else ~late
        return found

    def _values(self, name: str) -> list[Json | None]:
        values = self._attributes.get(name)
        if values is None:
            values = self._attributes[name] = attribute_values(self._block, self._plan, name)
        return values

    def _attribute(self, name: str, test: Callable[[Json], bool]) -> Array:
        passed: dict[Json, bool] = {}
        found = np.zeros(self._block.rows, np.bool_)
        for row, value in enumerate(self._values(name)):
            if value is not None:
                known = passed.get(value)
                if known is None:
                    known = passed[value] = test(value)
                found[row] = known
        return found

    def _attribute_equals(self, condition: AttrEquals) -> Array:
        value = condition.value
        number = Decimal(value) if NUMBER.fullmatch(value) else None
        truth = value.encode() if value in {"true", "false"} else None

        def test(raw: Json) -> bool:
            if raw[:1] == b'"':
                return json_text(raw) == value
            if truth is not None and raw == truth:
                return True
            return number is not None and is_number(raw) and Decimal(raw.decode()) == number

        found = rows_with(self._block, self._plan, condition.name, value, test)
        return self._attribute(condition.name, test) if found is None else found

    def _attribute_compare(self, condition: AttrCompare) -> Array:
        number, compare = Decimal(condition.number), COMPARE[condition.comparison]

        def test(raw: Json) -> bool:
            values = numbers_of(raw)
            return values is not None and any(compare(value, number) for value in values)

        return self._attribute(condition.name, test)

    def _attribute_text(self, name: str, test: Callable[[str], bool]) -> Array:
        def of_json(raw: Json) -> bool:
            text = json_text(raw)
            return text is not None and test(text)

        return self._attribute(name, of_json)

    def _attribute_prefix(self, condition: AttrPrefix) -> Array:
        return self._attribute_text(condition.name, lambda text: text.startswith(condition.prefix))

    def _attribute_regex(self, condition: AttrRegex) -> Array:
        search = compiled(condition.pattern, condition.ignores_case).search
        return self._attribute_text(condition.name, lambda text: search(text) is not None)

    def _attribute_present(self, condition: AttrPresent) -> Array:
        return self._attribute(condition.name, lambda _: True)


def is_number(raw: Json) -> bool:
    """Whether this JSON is a number."""
    return raw[:1] in b"-0123456789" and raw[:1] != b""


def numbers_of(raw: Json) -> list[Decimal] | None:
    """Convert a value, or each element of a list, as jsonpath's double(); None for an error."""
    values = []
    for item in elements(raw):
        text = json_text(item) if item[:1] == b'"' or is_number(item) else None
        value = None if text is None else double(text)
        if value is None:
            return None
        values.append(value)
    return values


_METHODS: dict[type[Any], Callable[[Matcher, Any], Array]] = {
    And: Matcher._all,  # noqa: SLF001 - this table is the class's own
    Or: Matcher._any,  # noqa: SLF001
    Not: Matcher._not,  # noqa: SLF001
    FieldEquals: Matcher._equals,  # noqa: SLF001
    FieldIn: Matcher._in,  # noqa: SLF001
    FieldCompare: Matcher._compare,  # noqa: SLF001
    FieldPrefix: Matcher._prefix,  # noqa: SLF001
    FieldPresent: Matcher._present,  # noqa: SLF001
    Text: Matcher._text,  # noqa: SLF001
    Regex: Matcher._regex,  # noqa: SLF001
    IpIn: Matcher._ip,  # noqa: SLF001
    TimeRange: Matcher._time,  # noqa: SLF001
    AttrEquals: Matcher._attribute_equals,  # noqa: SLF001
    AttrCompare: Matcher._attribute_compare,  # noqa: SLF001
    AttrPrefix: Matcher._attribute_prefix,  # noqa: SLF001
    AttrRegex: Matcher._attribute_regex,  # noqa: SLF001
    AttrPresent: Matcher._attribute_present,  # noqa: SLF001
}
