"""Searches texts of a decoded column in its buffer: one pass for all rows, or only chosen rows."""

from collections.abc import Callable

import numpy as np

from storage.packs.parquet.decode import Column
from storage.packs.parquet.encode import Array

_MANY = 200
"""Hits after which a value is searched by NumPy."""
_FEW = 8
"""A pass over the buffer is cheaper than this fraction of its rows, one by one."""


def spread(column: Column, there: Array) -> Array:
    """A mask of the values that are not NULL as one of rows."""
    if column.valid is None:
        return there
    found = np.zeros(column.rows, np.bool_)
    found[column.valid] = there
    return found


def places(column: Column, among: Array | None) -> Array:
    """The places, among values that are not NULL, of chosen rows (None: all)."""
    if among is None:
        return np.arange(column.rows if column.valid is None else np.count_nonzero(column.valid))
    return np.flatnonzero(among if column.valid is None else among[column.valid])


def each(column: Column, test: Callable[[bytes], bool], among: Array | None) -> Array:
    """Rows whose value passes; only chosen rows are tested, each value of a dictionary once."""
    if column.codes is not None:
        passed = np.fromiter(map(test, column.dictionary), np.bool_, len(column.dictionary))
        return spread(column, passed[column.codes])
    chosen = places(column, among)
    if column.numbers is not None:
        values = column.numbers[chosen].tolist()
    else:
        assert column.ends is not None
        buffer = column.buffer
        starts, ends = column.ends[chosen].tolist(), column.ends[chosen + 1].tolist()
        values = [buffer[a:b] for a, b in zip(starts, ends, strict=True)]
    return _marked(column, chosen, np.fromiter(map(test, values), np.bool_, len(values)))


def matching_lines(
    column: Column, search: Callable[[bytes], list[int]], among: Array | None
) -> Array | None:
    """Chosen rows of a column of texts in which `search` finds something; None: some have lines."""
    assert column.ends is not None
    chosen = places(column, among)
    if not len(chosen):
        return np.zeros(column.rows, np.bool_)
    buffer = column.buffer
    starts, ends = column.ends[chosen], column.ends[chosen + 1]
    lines = b"\n".join([buffer[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)])
    if lines.count(b"\n") >= len(chosen):
        return None
    begins = np.zeros(len(chosen), np.int64)
    np.cumsum(ends[:-1] - starts[:-1] + 1, out=begins[1:])
    row = np.searchsorted(begins, np.array(search(lines), np.int64), side="right") - 1
    return _marked(column, chosen[row], np.ones(len(row), np.bool_))


def _marked(column: Column, chosen: Array, passed: Array) -> Array:
    size = column.rows if column.valid is None else int(np.count_nonzero(column.valid))
    there = np.zeros(size, np.bool_)
    there[chosen] = passed
    return spread(column, there)


def containing(column: Column, value: bytes, among: Array | None) -> Array:
    """Rows of a column of texts that contain this value."""
    if among is not None and np.count_nonzero(among) * _FEW < column.rows:
        return each(column, lambda text: value in text, among)
    return _containing(column, column.buffer, value)


def containing_caseless(column: Column, value: bytes, among: Array | None) -> Array:
    """The same for a value of lower-case ASCII letters, in ASCII's lower case of the texts."""
    if among is not None and np.count_nonzero(among) * _FEW < column.rows:
        return each(column, lambda text: value in text.lower(), among)
    return _containing(column, column.buffer.lower(), value)


def _containing(column: Column, buffer: bytes, value: bytes) -> Array:
    assert column.ends is not None
    if not value:
        return spread(column, np.ones(len(column.ends) - 1, np.bool_))
    find = buffer.find
    hits: list[int] = []
    at = find(value)
    while at >= 0 and len(hits) < _MANY:
        hits.append(at)
        at = find(value, at + 1)
    starts = np.array(hits, np.int64)
    if at >= 0:
        starts = np.concatenate([starts, at + _occurrences(buffer, at, value)])
    row = np.searchsorted(column.ends, starts, side="right") - 1
    # A hit across the end of a text is none.
    row = row[starts + len(value) <= column.ends[row + 1]]
    return _marked(column, row, np.ones(len(row), np.bool_))


def _occurrences(buffer: bytes, begin: int, value: bytes) -> Array:
    """Where a value is in a buffer, from a place on; the cost does not depend on how often."""
    letters = np.frombuffer(buffer, np.uint8, offset=begin)
    last = len(letters) - len(value) + 1
    found = np.flatnonzero(letters[:last] == value[0])
    for place in range(len(value) - 1, 0, -1):
        found = found[letters[found + place] == value[place]]
    return found
