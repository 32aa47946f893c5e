"""Evaluates filters over the rows of a block, with the results of filtering/conditions.py in SQL.

NULL is treated as false throughout: And and Or preserve that, and Not is `IS NOT TRUE`.
"""

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from ipaddress import ip_interface
from typing import Any
from unicodedata import is_normalized, normalize

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
    ValueAt,
)
from storage.packs.blocks import Block
from storage.packs.errors import UnsupportedCondition
from storage.packs.index.templates import Templates
from storage.packs.parquet.decode import Column
from storage.packs.parquet.encode import Array
from storage.packs.rows import block as rows_block
from storage.packs.rows.addresses import raw_of
from storage.packs.scalars import DECIMAL, INTEGER
from storage.packs.schema import Plan
from storage.packs.search.attributes import TOP, Json, elements, json_text, own_rows
from storage.packs.search.coded import (
    Coded,
    attribute_in_rest,
    coded_attribute,
    promoted_rows,
)
from storage.packs.search.paths import value_rows
from storage.packs.search.patterns import clauses, lines_searcher, searcher
from storage.packs.search.phrases import OPEN, YES, verdicts
from storage.packs.search.scanning import (
    containing,
    containing_caseless,
    each,
    matching_lines,
    spread,
)
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

    def __init__(
        self, block: Block, plan: Plan, templates: Callable[[], Templates | None] = lambda: None
    ) -> None:
        self._block = block
        self._plan = plan
        self._templates = templates
        """Those of the pack, if a filter needs them."""
        self._of_rows: Array | None = None
        self._attributes: dict[str, Coded] = {}

    def of(self, condition: Filter, among: Array | None = None) -> Array:
        """The matching rows, at least among these. Raises UnsupportedCondition."""
        check_stopped()
        method = _METHODS.get(type(condition))
        if method is None:
            raise UnsupportedCondition(f"{type(condition).__name__} must be resolved first")
        return method(self, condition, among)

    def _all(self, condition: And, among: Array | None) -> Array:
        found = among
        for item in sorted(condition.of, key=_cost):
            there = self.of(item, found)
            found = there if found is None else found & there
            if not found.any():
                return found
        return np.ones(self._block.rows, np.bool_) if found is None else found

    def _any(self, condition: Or, among: Array | None) -> Array:
        found = np.zeros(self._block.rows, np.bool_)
        for item in sorted(condition.of, key=_cost):
            found |= self.of(item, ~found if among is None else among & ~found)
        return found

    def _not(self, condition: Not, among: Array | None) -> Array:
        return ~self.of(condition.of, among)

    def _each(self, name: str, test: Callable[[Any], bool], among: Array | None) -> Array:
        """Rows whose value passes; each value of a dictionary is tested once."""
        if name == "id":
            numbers = [self._block.get(n).array() for n in ("created_at", "created_ns", "position")]
            values = rows_block.ids(self._block.get, *numbers)
            return np.fromiter(map(test, values), np.bool_, len(values))
        return each(self._block.get(name), test, among)

    def _equals(self, condition: FieldEquals, _: Array | None) -> Array:
        value, name = stored(condition.value), condition.field.column
        if name == "id":
            return rows_block.has_id(self._block.get, self._block.some, value)
        return self._block.get(name).equal(value)

    def _in(self, condition: FieldIn, _: Array | None) -> Array:
        values, name = {stored(value) for value in condition.values}, condition.field.column
        if name != "id":
            return self._block.get(name).among(values)
        found = np.zeros(self._block.rows, np.bool_)
        for value in values:
            found |= rows_block.has_id(self._block.get, self._block.some, value)
        return found

    def _compare(self, condition: FieldCompare, among: Array | None) -> Array:
        value, compare = stored(condition.value), COMPARE[condition.comparison]
        if condition.field.type is ValueType.LEVEL:
            rank = _RANK[value]
            return self._each("level", lambda other: compare(_RANK[other], rank), among)
        column = self._block.get(condition.field.column)
        if column.numbers is not None:
            return spread(column, np.asarray(compare(column.numbers, value)))
        return each(column, lambda other: compare(other, value), among)

    def _prefix(self, condition: FieldPrefix, among: Array | None) -> Array:
        prefix = condition.prefix.encode()
        return self._each(
            condition.field.column, lambda other: bool(other.startswith(prefix)), among
        )

    def _present(self, condition: FieldPresent, _: Array | None) -> Array:
        return self._presence(condition.field)

    def _presence(self, field: Field) -> Array:
        if not field.is_nullable:
            return np.ones(self._block.rows, np.bool_)
        valid = self._block.get(field.column).valid
        return np.ones(self._block.rows, np.bool_) if valid is None else valid.copy()

    def _by_template(
        self,
        condition: Text | Regex,
        search: Callable[[Array | None], Array],
        among: Array | None,
    ) -> Array:
        """Decide by the rows' templates; search the messages of the rows that these do not tell."""
        templates = self._templates()
        known = None if templates is None else verdicts(condition, templates)
        if templates is None or known is None:
            return search(among)
        if (known == OPEN).all():
            return search(among)
        if self._of_rows is None:
            self._of_rows = templates.of_rows(self._block.number, self._block.rows)
        of_rows = known[self._of_rows]
        found: Array = of_rows == YES
        left = of_rows == OPEN
        if among is not None:
            left &= among
        if left.any():
            found |= search(left) & left
        return found

    def _text(self, condition: Text, among: Array | None) -> Array:
        if not condition.text.isascii():
            return self._composed(condition, among)
        return self._by_template(condition, lambda rows: self._containing(condition, rows), among)

    def _containing(self, condition: Text, among: Array | None) -> Array:
        column = self._block.get("message")
        text = lowered(condition.text) if condition.ignores_case else condition.text
        raw = text.encode()
        if column.codes is not None:
            if not condition.ignores_case:
                return each(column, lambda value: raw in value, among)
        elif not condition.ignores_case:
            return containing(column, raw, among)
        elif raw.isascii() and (("k" not in text and "i" not in text) or column.buffer.isascii()):
            # Of ASCII letters only k and i are the lower case of non-ASCII letters.
            return containing_caseless(column, raw, among)
        return each(column, lambda value: text in lowered(value.decode()), among)

    def _composed(self, condition: Text, among: Array | None) -> Array:
        """Rows that contain it as stored or composed, for a text beyond ASCII."""
        fold = lowered if condition.ignores_case else str
        text = fold(condition.text)

        def test(value: bytes) -> bool:
            raw = value.decode()
            return text in fold(raw) or (
                not is_normalized("NFC", raw) and text in fold(normalize("NFC", raw))
            )

        return each(self._block.get("message"), test, among)

    def _regex(self, condition: Regex, among: Array | None) -> Array:
        search = searcher(condition.pattern, condition.ignores_case)
        in_lines = lines_searcher(condition.pattern, condition.ignores_case)

        def searched(rows: Array | None) -> Array:
            column = self._block.get(condition.field.column)
            if column.codes is None and not condition.ignores_case:
                rows = self._with_clause(column, condition.pattern, rows)
            found = None
            if column.ends is not None and in_lines is not None:
                found = matching_lines(column, in_lines, rows)
            return each(column, search, rows) if found is None else found

        return self._by_template(condition, searched, among)

    @staticmethod
    def _with_clause(column: Column, pattern: str, among: Array | None) -> Array | None:
        """The rows of a column of texts that contain the longest text that every match has."""
        clause = max(clauses(pattern), key=lambda texts: min(map(len, texts)), default=())
        if not clause:
            return among
        there = np.zeros(column.rows, np.bool_)
        for text in clause:
            there |= containing(column, text.encode(), among)
        return there if among is None else among & there

    def _ip(self, condition: IpIn, among: Array | None) -> Array:
        network = condition.network
        if network.num_addresses == 1:
            address = str(network.network_address).encode()
            wanted = raw_of(address)
            return self._each("ip_address", lambda text: raw_of(text) == wanted, among)

        def inside(text: bytes) -> bool:
            other = ip_interface(text.decode()).network
            return other.version == network.version and other.subnet_of(network)  # type: ignore[arg-type]

        return self._each("ip_address", inside, among)

    def _time(self, condition: TimeRange, _: Array | None) -> Array:
        created = self._block.get("created_at").array()
        found = np.ones(self._block.rows, np.bool_)
        for bound, is_start in ((condition.start_ns, True), (condition.end_ns, False)):
            if bound is None:
                continue
            micros, ns = divmod(bound, 1000)
            micros = min(max(micros, LOWEST), HIGHEST)
            late = created >= micros
            if ns:
                rest = self._block.get("created_ns").array()
                late &= (created != micros) | (rest >= ns)
            found &= late if is_start else ~late
        return found

    def _attribute(self, name: str, test: Callable[[Json], bool]) -> Array:
        coded = self._attributes.get(name)
        if coded is None:
            coded = self._attributes[name] = coded_attribute(self._block, self._plan, name)
        return _passed(coded, test)

    def _attribute_equals(self, condition: AttrEquals, _: Array | None) -> Array:
        value = condition.value
        number = Decimal(value) if NUMBER.fullmatch(value) else None
        truth = value.encode() if value in {"true", "false"} else None

        def test(raw: Json) -> bool:
            if raw[:1] == b'"':
                return json_text(raw) == value
            if truth is not None and raw == truth:
                return True
            return number is not None and is_number(raw) and Decimal(raw.decode()) == number

        promoted = self._plan.promoted_at(TOP, condition.name)
        own = None if promoted is None else own_rows(self._block, *promoted[::-1], value)
        if own is None:
            return self._attribute(condition.name, test)
        return own | _passed(attribute_in_rest(self._block, condition.name), test)

    def _attribute_compare(self, condition: AttrCompare, _: Array | None) -> Array:
        number, compare = Decimal(condition.number), COMPARE[condition.comparison]

        def test(raw: Json) -> bool:
            values = numbers_of(raw)
            return values is not None and any(compare(value, number) for value in values)

        promoted = self._plan.promoted_at(TOP, condition.name)
        if promoted is not None and promoted[1].kind in {INTEGER, DECIMAL}:
            column = self._block.get(promoted[1].name)
            if column.numbers is not None and _are_exact(column.numbers):
                bound = number.scaleb(promoted[1].scale)
                least = condition.comparison in {Comparison.LESS, Comparison.GREATER_OR_EQUAL}
                whole = int(bound.to_integral_value(ROUND_CEILING if least else ROUND_FLOOR))
                limit = min(max(whole, LOWEST), HIGHEST)
                own = spread(column, np.asarray(compare(column.numbers, limit)))
                return own | _passed(attribute_in_rest(self._block, condition.name), test)
        return self._attribute(condition.name, test)

    def _attribute_text(self, name: str, test: Callable[[str], bool]) -> Array:
        def of_json(raw: Json) -> bool:
            text = json_text(raw)
            return text is not None and test(text)

        return self._attribute(name, of_json)

    def _attribute_prefix(self, condition: AttrPrefix, _: Array | None) -> Array:
        return self._attribute_text(condition.name, lambda text: text.startswith(condition.prefix))

    def _attribute_regex(self, condition: AttrRegex, _: Array | None) -> Array:
        search = searcher(condition.pattern, condition.ignores_case)
        return self._attribute_text(condition.name, lambda text: search(text.encode()))

    def _attribute_present(self, condition: AttrPresent, _: Array | None) -> Array:
        there = attribute_in_rest(self._block, condition.name).codes >= 0
        promoted = self._plan.promoted_at(TOP, condition.name)
        return there if promoted is None else there | promoted_rows(self._block, *promoted)

    def _value_at(self, condition: ValueAt, _: Array | None) -> Array:
        return value_rows(self._block, self._plan, condition)


def _passed(coded: Coded, test: Callable[[Json], bool]) -> Array:
    """The rows with a value that passes; a code of -1 is the last place, which is False."""
    passed = np.zeros(len(coded.values) + 1, np.bool_)
    passed[:-1] = [value is not None and test(value) for value in coded.values]
    return passed[coded.codes]


def _are_exact(numbers: Array) -> bool:
    """Whether double precision has all these numbers with all their digits."""
    return not len(numbers) or max(-int(numbers.min()), int(numbers.max())) < 10**15


def _cost(condition: Filter) -> int:
    """Rank of a condition: what reads least comes first."""
    if isinstance(condition, And | Or):
        return max(map(_cost, condition.of), default=0)
    if isinstance(condition, Not):
        return _cost(condition.of)
    return _COSTS.get(type(condition), len(_COSTS))


_COSTS: dict[type[Any], int] = {
    kind: cost
    for cost, kinds in enumerate(
        (
            (FieldEquals, FieldIn, FieldPresent),
            (FieldCompare, TimeRange),
            (AttrEquals, AttrPresent),
            (Text,),
            (AttrCompare, AttrPrefix, AttrRegex),
            (ValueAt,),
            (Regex, FieldPrefix, IpIn),
        )
    )
    for kind in kinds
}
"""Conditions by what they cost in a block, from microseconds to milliseconds."""


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


_METHODS: dict[type[Any], Callable[[Matcher, Any, Array | None], Array]] = {
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
    ValueAt: Matcher._value_at,  # noqa: SLF001
}
