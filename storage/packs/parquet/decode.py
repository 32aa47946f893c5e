"""Decodes pages to columns, as arrays over the page where possible, without pyarrow or thrift.

Reads exactly what encode.py writes. Any other layout raises UnknownLayout, and is read by pyarrow
(fallback.py).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from storage.packs.parquet.encode import DELTA, DELTA_LENGTH, DICTIONARY, PLAIN, Array
from storage.packs.schema import ColumnSpec, Kind

_FEW = 4
"""Values that are compared one by one."""


class UnknownLayout(ValueError):
    """A page that encode.py does not write."""


@dataclass(slots=True)
class Column:
    """A column of a block: codes into a dictionary, numbers, or texts in a buffer."""

    rows: int
    valid: Array | None = None
    """Which rows have a value; None: all."""
    codes: Array | None = None
    dictionary: tuple[Any, ...] = ()
    numbers: Array | None = None
    buffer: bytes = b""
    ends: Array | None = None
    """Offsets of texts in the buffer, and the end of the last."""
    _listed: list[Any] | None = field(default=None, repr=False)

    def present(self) -> list[Any]:
        """The values that are not NULL, in order."""
        if self.codes is not None:
            if len(self.dictionary) == 1:
                return [self.dictionary[0]] * len(self.codes)
            return [self.dictionary[code] for code in self.codes.tolist()]
        if self.numbers is not None:
            return list(self.numbers.tolist())
        assert self.ends is not None
        ends, buffer = self.ends.tolist(), self.buffer
        return [buffer[a:b] for a, b in pairwise(ends)]

    def values(self) -> list[Any]:
        """One value per row, None for NULL."""
        if self._listed is None:
            self._listed = self.spread(self.present())
        return self._listed

    def spread(self, present: list[Any]) -> list[Any]:
        """One value per row, None for NULL, from the values of the rows that have one."""
        if self.valid is None:
            return present
        if not present:
            return [None] * self.rows
        each = iter(present)
        return [next(each) if there else None for there in self.valid.tolist()]

    def any_value(self) -> bool:
        """Whether a row has a value."""
        return self.rows > 0 if self.valid is None else bool(self.valid.any())

    def array(self) -> Array:
        """Numbers of all rows, 0 for NULL."""
        if self.codes is not None:
            there = np.asarray(self.dictionary)[self.codes]
        else:
            assert self.numbers is not None
            there = self.numbers
        if self.valid is None:
            return there
        spread = np.zeros(self.rows, there.dtype)
        spread[self.valid] = there
        return spread

    def distinct(self) -> set[Any]:
        """The distinct values."""
        return set(self.dictionary) if self.codes is not None else set(self.present())

    def some(self) -> Iterable[Any]:
        """The values without NULL, those of a dictionary once."""
        return self.dictionary if self.codes is not None else self.present()

    def take(self, rows: Array) -> "Column":
        """The column of these rows only, in their order."""
        taken = Column(len(rows))
        places = rows
        if self.valid is not None:
            there = self.valid[rows]
            places = (np.cumsum(self.valid) - 1)[rows[there]]
            taken.valid = None if there.all() else there
        if self.codes is not None:
            taken.codes, taken.dictionary = self.codes[places], self.dictionary
        elif self.numbers is not None:
            taken.numbers = self.numbers[places]
        else:
            assert self.ends is not None
            starts, ends = self.ends[places].tolist(), self.ends[places + 1].tolist()
            buffer = self.buffer
            texts = [buffer[a:b] for a, b in zip(starts, ends, strict=True)]
            taken.buffer = b"".join(texts)
            taken.ends = np.zeros(len(texts) + 1, np.int64)
            np.cumsum(self.ends[places + 1] - self.ends[places], out=taken.ends[1:])
            if taken.valid is None:
                taken._listed = texts
        return taken

    def equal(self, value: Any) -> Array:
        """Which rows have this value: an integer, or bytes."""
        if self.codes is not None:
            there = self.with_codes([code for code, v in enumerate(self.dictionary) if v == value])
        elif self.numbers is not None:
            there = self.numbers == value
        else:
            there = self._texts_equal(value)
        return self._rows_of(there)

    def among(self, values: set[Any]) -> Array:
        """Which rows have one of these values."""
        if self.codes is not None:
            there = self.with_codes([code for code, v in enumerate(self.dictionary) if v in values])
        elif len(values) <= _FEW:
            there = np.zeros(self._present_rows, np.bool_)
            for value in values:
                there |= (
                    self.numbers == value if self.numbers is not None else self._texts_equal(value)
                )
        else:
            there = np.fromiter(map(values.__contains__, self.present()), np.bool_)
        return self._rows_of(there)

    @property
    def _present_rows(self) -> int:
        if self.numbers is not None:
            return len(self.numbers)
        assert self.ends is not None
        return len(self.ends) - 1

    def with_codes(self, wanted: Sequence[int]) -> Array:
        """Which of the values that are not NULL are one of these of the dictionary."""
        codes = self.codes
        assert codes is not None
        if not wanted:
            return np.zeros(len(codes), np.bool_)
        if len(wanted) == 1:
            there: Array = codes == wanted[0]
            return there
        passed = np.zeros(len(self.dictionary), np.bool_)
        passed[wanted] = True
        return passed[codes]

    def _rows_of(self, there: Array) -> Array:
        """Values that are not NULL, as rows."""
        if self.valid is None:
            return there
        found = np.zeros(self.rows, np.bool_)
        found[self.valid] = there
        return found

    def _texts_equal(self, value: bytes) -> Array:
        """By length, then from the last byte on, which differs most often in ids."""
        assert self.ends is not None
        starts = self.ends[:-1]
        size = len(value)
        there: Array = self.ends[1:] - starts == size
        places = np.flatnonzero(there)
        letters = np.frombuffer(self.buffer, np.uint8)
        starts = starts[places]
        at = size
        while at and len(places) > _FEW:
            at -= 1
            same = letters[starts + at] == value[at]
            places, starts = places[same], starts[same]
        there[:] = False
        for place, start in zip(places.tolist(), starts.tolist(), strict=True):
            there[place] = self.buffer.startswith(value, start)
        return there


def decode(spec: ColumnSpec, encoding: int, rows: int, dictionary: bytes, data: bytes) -> Column:
    """The column of a chunk from the decompressed bodies of its pages. Raises UnknownLayout."""
    try:
        return _decode(spec, encoding, rows, dictionary, data)
    except (IndexError, ValueError, OverflowError) as error:
        raise UnknownLayout(str(error)) from error


def _decode(spec: ColumnSpec, encoding: int, rows: int, dictionary: bytes, data: bytes) -> Column:
    column = Column(rows)
    at, present = 0, rows
    if spec.is_optional:
        size = int.from_bytes(data[:4], "little")
        at = 4 + size
        column.valid = _levels(data[4:at], rows)
        if column.valid is not None:
            present = int(column.valid.sum())
    if encoding == DICTIONARY:
        column.dictionary = parsed(spec.kind, dictionary)
        column.codes = _indices(data, at, present, len(column.dictionary))
    elif encoding == DELTA:
        column.numbers, end = _deltas(data, at, present)
        _require(end == len(data))
        if spec.kind in {Kind.INT16, Kind.INT32}:
            column.numbers = column.numbers.astype(np.int32).astype(np.int64)
    elif encoding == DELTA_LENGTH:
        lengths, at = _deltas(data, at, present)
        column.ends = np.zeros(present + 1, np.int64)
        np.cumsum(lengths, out=column.ends[1:])
        _require(
            not present or (int(lengths.min()) >= 0 and int(column.ends[-1]) == len(data) - at)
        )
        column.buffer = data[at:]
    else:
        _require(encoding == PLAIN)
        _plain(spec.kind, column, data, at, present)
    return column


def _plain(kind: Kind, column: Column, data: bytes, at: int, present: int) -> None:
    if kind is Kind.UUID:
        _require(len(data) - at == 16 * present)
        column.buffer = data[at:]
        column.ends = np.arange(0, 16 * present + 1, 16)
    elif kind is Kind.BOOLEAN:
        bits = np.frombuffer(data, np.uint8, (present + 7) // 8, at)
        column.numbers = np.unpackbits(bits, count=present, bitorder="little").astype(np.int64)
    else:
        _require(kind is Kind.DOUBLE and len(data) - at == 8 * present)
        column.numbers = np.frombuffer(data, "<f8", present, at)


@lru_cache(maxsize=512)
def parsed(kind: Kind, body: bytes) -> tuple[Any, ...]:
    """The values of a dictionary page; cached, since most blocks of a pack have the same."""
    if kind.is_number:
        return tuple(np.frombuffer(body, _PLAIN_TYPES.get(kind, "<i8")).tolist())
    values = []
    at = 0
    while at < len(body):
        size = int.from_bytes(body[at : at + 4], "little")
        at += 4 + size
        values.append(body[at - size : at])
    _require(at == len(body))
    return tuple(values)


_PLAIN_TYPES = {Kind.DOUBLE: "<f8", Kind.INT16: "<i4", Kind.INT32: "<i4"}


def _require(condition: bool) -> None:  # noqa: FBT001 - an assertion about data
    if not condition:
        raise UnknownLayout("a layout that encode.py does not write")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        _require(shift < 70)


def _levels(data: bytes, rows: int) -> Array | None:
    head, at = _varint(data, 0)
    if head & 1:
        _require(head >> 1 == (rows + 7) // 8)
        bits = np.frombuffer(data, np.uint8, (rows + 7) // 8, at)
        return np.unpackbits(bits, count=rows, bitorder="little").view(np.bool_)
    _require(head >> 1 == rows)
    return None if data[at] else np.zeros(rows, np.bool_)


def _indices(data: bytes, at: int, count: int, most: int) -> Array:
    width = data[at]
    head, at = _varint(data, at + 1)
    if head & 1:
        _require(head >> 1 == (count + 7) // 8 and 0 < width <= 8)
        codes = unpacked(data, at, count, width).astype(np.uint8)
    else:
        _require(head >> 1 == count)
        codes = np.full(count, data[at], np.uint8)
    _require(not count or int(codes.max()) < most)
    return codes


def unpacked(data: bytes, at: int, count: int, width: int) -> Array:
    """`count` numbers of `width` bits from the byte `at` on."""
    if width in {8, 16, 32, 64}:
        return np.frombuffer(data, f"<u{width // 8}", count, at).astype(np.uint64)
    _require(0 < width <= 56)
    need = (count * width + 7) // 8
    _require(len(data) - at >= need)
    padded = data[at : at + need] + bytes(8)
    words = np.ndarray((need + 1,), "<u8", padded, strides=(1,))
    places, shifts = _places(count, width)
    return (words[places] >> shifts) & np.uint64((1 << width) - 1)


@lru_cache(maxsize=128)
def _places(count: int, width: int) -> tuple[Array, Array]:
    bits = np.arange(count, dtype=np.int64) * width
    return bits >> 3, (bits & 7).astype(np.uint64)


def _deltas(data: bytes, at: int, count: int) -> tuple[Array, int]:
    """The numbers of DELTA_BINARY_PACKED, and where it ends."""
    size, at = _varint(data, at)
    _require(size == max(128, (count - 1 + 127) // 128 * 128) and data[at] == 1)
    total, at = _varint(data, at + 1)
    _require(total == count)
    first, at = _varint(data, at)
    numbers = np.empty(count, np.uint64)
    if not count:
        return numbers.view(np.int64), at
    numbers[0] = _unzigzag(first)
    if count > 1:
        least, at = _varint(data, at)
        width = data[at]
        at += 1
        if width:
            numbers[1:] = unpacked(data, at, count - 1, width)
            at += size * width // 8
        else:
            numbers[1:] = 0
        numbers[1:] += np.uint64(_unzigzag(least))
        np.cumsum(numbers, out=numbers)
    return numbers.view(np.int64), at


def _unzigzag(value: int) -> int:
    signed = value >> 1 if not value & 1 else -(value >> 1) - 1
    return signed & 0xFFFF_FFFF_FFFF_FFFF
