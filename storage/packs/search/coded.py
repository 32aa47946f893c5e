"""Columns and attributes of a block as codes into distinct values: each value is looked at once."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import orjson

from storage.packs.blocks import Picked
from storage.packs.parquet.decode import Column
from storage.packs.parquet.encode import Array
from storage.packs.rows.block import json_of, number_json
from storage.packs.scalars import DELAY, LINK, STRING
from storage.packs.schema import Plan, Promoted
from storage.packs.search.attributes import TOP, Json, in_rest
from storage.packs.search.scanning import containing

_CACHED = 256
"""Dictionaries, of at most 256 values each, whose values are remembered."""


@dataclass(frozen=True, slots=True)
class Coded:
    """One value per row."""

    codes: Array
    """Places in `values`; -1: none."""
    values: Sequence[Any]

    def each(self) -> list[Any]:
        """The value of each row; None where there is none."""
        values = self.values
        return [None if code < 0 else values[code] for code in self.codes.tolist()]


class Rows(Protocol):
    """A block, or some of its rows."""

    rows: int

    def get(self, name: str) -> Any:
        """A column of these rows."""
        ...


def coded_column(column: Any, convert: Callable[[Sequence[Any]], Sequence[Any]]) -> Coded:
    """A column (Column or Picked); `convert` gets its distinct values, or some more."""
    values: Sequence[Any]
    valid = column.valid
    if column.codes is not None:
        codes, values = column.codes.astype(np.int64), column.dictionary
    elif isinstance(column, Column) and column.numbers is not None:
        distinct, codes = np.unique(column.numbers, return_inverse=True)
        values = distinct.tolist()
    else:
        codes, values = _numbered(column.present())
    if valid is not None:
        of_rows = np.full(len(valid), -1, np.int64)
        of_rows[valid] = codes
        codes = of_rows
    return Coded(codes, convert(values))


def _numbered(values: Iterable[Any]) -> tuple[Array, list[Any]]:
    known: dict[Any, int] = {}
    codes = [known.setdefault(value, len(known)) for value in values]
    return np.array(codes, np.int64), list(known)


def promoted_rows(block: Rows, slot: int, item: Promoted) -> Array:
    """The rows whose value is in a column."""
    valid = block.get(item.column).valid
    there = np.ones(block.rows, np.bool_) if valid is None else valid
    if item.kind == LINK:
        there = there & (block.get("exceptions").array() & (2 << slot) == 0)
    return there


def coded_attribute(block: Rows, plan: Plan, name: str) -> Coded:
    """An attribute as JSON (JSON's null is b"null")."""
    rest = attribute_in_rest(block, name)
    found = plan.promoted_at(TOP, name)
    if found is None:
        return rest
    own = promoted_coded(block, *found)
    if not len(rest.values):
        return own
    if not len(own.values):
        return rest
    there = own.codes >= 0
    behind = np.where(rest.codes >= 0, rest.codes + len(own.values), -1)
    return Coded(np.where(there, own.codes, behind), [*own.values, *rest.values])


def attribute_in_rest(block: Rows, name: str) -> Coded:
    """The values that are not in a column."""
    rest = block.get("metadata_rest")
    if rest.codes is not None:
        found = _in_dictionary(rest.dictionary, name)
        return Coded(found.codes[rest.codes], found.values)
    if isinstance(rest, Picked):
        return _of_texts(rest.values(), name)
    key = orjson.dumps(name)
    codes: Array = np.full(block.rows, -1, np.int64)
    if key not in rest.buffer and b"\\" not in rest.buffer:
        return Coded(codes, ())
    rows = np.flatnonzero(containing(rest, key, None) | containing(rest, b"\\", None))
    assert rest.ends is not None
    starts, ends = rest.ends[rows].tolist(), rest.ends[rows + 1].tolist()
    buffer = rest.buffer
    texts = [buffer[a:b] for a, b in zip(starts, ends, strict=True)]
    found = _of_texts(texts, name)
    codes[rows] = found.codes
    return Coded(codes, found.values)


@lru_cache(maxsize=_CACHED)
def _in_dictionary(texts: tuple[bytes, ...], name: str) -> Coded:
    """The attribute in the texts of a dictionary: most blocks of a pack have the same."""
    return _of_texts(texts, name)


def _of_texts(texts: Sequence[bytes], name: str) -> Coded:
    """The attribute in each of these rests."""
    key = orjson.dumps(name)
    codes, values = _numbered([in_rest(text, name, key) for text in texts])
    if None in values:
        codes = np.where(codes == values.index(None), -1, codes)
    return Coded(codes, values if any(value is not None for value in values) else ())


def promoted_coded(block: Rows, slot: int, item: Promoted) -> Coded:
    """The values of a promoted key as JSON."""
    if item.kind == LINK:
        coded = coded_column(block.get(item.link), _as_json)
        broken = block.get("exceptions").array() & (2 << slot) != 0
        return Coded(np.where(broken, -1, coded.codes), coded.values) if broken.any() else coded
    column = block.get(item.name)
    if item.kind == DELAY:
        moments = block.get("created_at").array() * 1000 + block.get("created_ns").array()
        delayed = Column(block.rows, column.valid)
        delayed.numbers = (moments + column.array())[
            slice(None) if column.valid is None else column.valid
        ]
        return coded_column(delayed, _as_json)
    if item.kind == STRING:
        return coded_column(column, _as_json)
    return coded_column(column, lambda values: [number_json(item, value) for value in values])


def _as_json(values: Sequence[Any]) -> Sequence[Json | None]:
    return _dictionary_as_json(values) if isinstance(values, tuple) else _texts_as_json(values)


@lru_cache(maxsize=_CACHED)
def _dictionary_as_json(values: tuple[Any, ...]) -> Sequence[Json | None]:
    return _texts_as_json(values)


def _texts_as_json(values: Sequence[Any]) -> Sequence[Json | None]:
    if values and not isinstance(values[0], bytes):
        return [b"%d" % value for value in values]
    return json_of(list(values))
