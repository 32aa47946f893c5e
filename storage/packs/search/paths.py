"""Values of metadata at paths through maps and lists, as lax jsonpath reaches them.

paths -> promoted columns, and the rest's JSON -> values -> test -> rows
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import orjson

from storage.filtering.filters import Comparison, ValueAt, ValueTest
from storage.packs.blocks import Block
from storage.packs.parquet.encode import Array
from storage.packs.schema import Plan
from storage.packs.search.attributes import TOP, json_text, printed
from storage.packs.search.coded import Coded, promoted_coded
from storage.packs.search.patterns import searcher
from storage.packs.search.scanning import containing
from storage.packs.search.texts import NUMBER, double, lowered

Path = tuple[str, ...]
Test = Callable[[Sequence[Any]], bool]
"""Whether one of these values passes."""
_COMPARE: dict[ValueTest, Callable[[Any, Any], bool]] = {
    ValueTest.LESS: lambda one, other: one < other,
    ValueTest.LESS_OR_EQUAL: lambda one, other: one <= other,
    ValueTest.GREATER: lambda one, other: one > other,
    ValueTest.GREATER_OR_EQUAL: lambda one, other: one >= other,
}


def value_rows(block: Block, plan: Plan, condition: ValueAt) -> Array:
    """The rows with a value that passes."""
    passes = _test_of(condition)
    found = _in_rest(block, condition, passes)
    for slot, item in enumerate(plan.promoted):
        if _reaches(condition, (item.top, item.key)):
            coded = promoted_coded(block, slot, item)
            found = found | _passing(coded, passes)
    return found


def _reaches(condition: ValueAt, own: Path) -> bool:
    """Whether a promoted value is at one of the paths, or below it."""
    is_below = condition.is_deep or condition.test is ValueTest.PRESENT
    return any(
        path == own or (is_below and own[: len(path)] == path)
        for path in condition.paths
        if not _is_beyond(condition, path)  # a promoted value is no list
    )


def _is_beyond(condition: ValueAt, path: Path) -> bool:
    """Whether only elements of lists are tested here."""
    return condition.is_beyond and path[:1] == (TOP,) and len(path) == 2


def _passing(coded: Coded, passes: Test) -> Array:
    passed = np.zeros(len(coded.values) + 1, np.bool_)
    passed[:-1] = [
        value is not None and passes((json.loads(value, parse_float=Decimal),))
        for value in coded.values
    ]
    found: Array = passed[coded.codes]
    return found


def _in_rest(block: Block, condition: ValueAt, passes: Test) -> Array:
    rest = block.get("metadata_rest")

    def test(text: bytes) -> bool:
        document = _document(text)
        return any(passes(list(_reached(document, path, condition))) for path in condition.paths)

    if rest.codes is not None:
        passed = np.fromiter(map(test, rest.dictionary), np.bool_, len(rest.dictionary))
        found: Array = passed[rest.codes]
        return found
    rows = np.flatnonzero(_candidates(block, condition))
    found = np.zeros(block.rows, np.bool_)
    if len(rows):
        assert rest.ends is not None
        buffer = rest.buffer
        starts, ends = rest.ends[rows].tolist(), rest.ends[rows + 1].tolist()
        found[rows] = [test(buffer[a:b]) for a, b in zip(starts, ends, strict=True)]
    return found


def _candidates(block: Block, condition: ValueAt) -> Array:
    """The rows whose rest has all keys of a path, or a backslash, behind which one may be."""
    rest = block.get("metadata_rest")
    found = containing(rest, b"\\", None)
    for path in condition.paths:
        there = np.ones(block.rows, np.bool_)
        for key in path:
            there &= containing(rest, orjson.dumps(key), None)
        found |= there
    return found


def _document(text: bytes) -> Any:
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError:
        return None


def _reached(document: Any, path: Path, condition: ValueAt) -> Iterator[Any]:
    """The values that are tested."""
    found = [document]
    for key in path:
        found = [item[key] for item in _unwrapped(found) if isinstance(item, dict) and key in item]
    if _is_beyond(condition, path):
        found = [item for item in found if isinstance(item, list)]
    if condition.is_deep:
        for value in found:
            yield from _below(value)
    elif condition.test is ValueTest.PRESENT:
        yield from found
    else:
        yield from _unwrapped(found)


def _unwrapped(values: Iterable[Any]) -> Iterator[Any]:
    """The values, and the elements of a list instead of the list."""
    for value in values:
        if isinstance(value, list):
            yield from value
        else:
            yield value


def _below(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _below(item)


def _test_of(condition: ValueAt) -> Test:
    test, text = condition.test, condition.text
    if test is ValueTest.PRESENT:
        return bool
    if test is ValueTest.EQUALS:
        return _equals(text)
    if test in _COMPARE:
        return _compares(Comparison(test.value), Decimal(text))
    if test is ValueTest.CONTAINS:
        part = lowered(text)
        return lambda values: any(isinstance(v, str) and part in lowered(v) for v in values)
    if test is ValueTest.PREFIX:
        return lambda values: any(shown.startswith(text) for shown in _texts(values))
    search = searcher(text, condition.ignores_case)
    return lambda values: any(search(shown.encode()) for shown in _texts(values))


def _equals(text: str) -> Test:
    number = Decimal(text) if NUMBER.fullmatch(text) else None
    truth = {"true": True, "false": False}.get(text)

    def equal(value: Any) -> bool:
        if isinstance(value, str):
            return value == text
        if isinstance(value, bool):
            return value is truth
        return number is not None and isinstance(value, int | Decimal) and value == number

    return lambda values: any(map(equal, values))


def _compares(comparison: Comparison, number: Decimal) -> Test:
    compare = _COMPARE[ValueTest(comparison.value)]

    def passes(values: Sequence[Any]) -> bool:
        numbers = [_number(value) for value in values]
        if any(item is None for item in numbers):
            return False  # as in SQL: double() is an error then
        return any(compare(item, number) for item in numbers)

    return passes


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    return double(value if isinstance(value, str) else printed(value).decode())


def _texts(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str | int | Decimal):  # a boolean is an int
            shown = json_text(printed(value))
            if shown is not None:
                yield shown
