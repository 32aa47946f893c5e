"""Reads the data file by block and column, at the offsets that the index gives."""

import mmap
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import zstandard

from storage.packs.errors import PackDamaged, unreadable
from storage.packs.parquet.decode import Column, UnknownLayout, decode, parsed
from storage.packs.parquet.encode import (
    DELTA,
    DELTA_LENGTH,
    DICTIONARY,
    PLAIN,
    Array,
    few_texts,
    joined,
)
from storage.packs.parquet.fallback import read_column
from storage.packs.parquet.pick import IS_COMPILED, Unusual, pick
from storage.packs.parquet.places import ZSTD_FLAG
from storage.packs.rows.block import hashed_of, tuples_of
from storage.packs.schema import ColumnSpec, Kind, Plan

MAGIC = b"PAR1"
_PICKED = frozenset({DICTIONARY, DELTA, DELTA_LENGTH})
_local = threading.local()
_UNFIT = (ValueError, IndexError, TypeError, OverflowError, AssertionError)
"""What columns raise that do not fit together."""


def _inflate(data: memoryview) -> bytes:
    """Decompress with this thread's decompressor: they are not thread-safe."""
    inflate: Callable[[memoryview], bytes] | None = getattr(_local, "inflate", None)
    if inflate is None:
        inflate = _local.inflate = zstandard.ZstdDecompressor().decompress
    return inflate(data)


class Chunks(NamedTuple):
    """Where a block is."""

    block: int
    at: int
    rows: int
    pages: Array
    """Its records of the index's section `pages`."""


class DataFile:
    """A pack's Parquet file, mapped."""

    def __init__(self, path: Path, plan: Plan) -> None:
        self.path = path
        self.plan = plan
        self.columns: Sequence[ColumnSpec] = plan.columns
        self._places = {spec.name: number for number, spec in enumerate(self.columns)}
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise unreadable(path, error) from error
        # Each page fault reads what is needed; what is needed next is fetched ahead (fetch).
        self._map.madvise(mmap.MADV_RANDOM)
        self._view = memoryview(self._map)
        if len(self._map) < 12 or self._map[:4] != MAGIC or self._map[-4:] != MAGIC:
            raise PackDamaged(path, "not a complete Parquet file")

    @property
    def size(self) -> int:
        """Size in bytes."""
        return len(self._map)

    @property
    def is_whole(self) -> bool:
        """Whether the file is as long as when it was mapped."""
        return self._map.size() >= len(self._map)

    def tail(self, size: int) -> bytes:
        """The last `size` bytes of the file."""
        return self._map[-size:]

    def release(self) -> None:
        """Release the memory of the pages read so far, for callers that read a whole pack."""
        self._map.madvise(mmap.MADV_DONTNEED)

    def fetch(self, blocks: Sequence[tuple[int, Array]], names: Collection[str] | None) -> None:
        """Start to read columns of blocks, each by its offset and pages, from disk."""
        for at, pages in blocks:
            if names is None:
                self._will_need(at + int(pages[0]["at"]), at + _end(pages[-1]))
                continue
            for name in names:
                page = pages[self._places[name]]
                self._will_need(at + int(page["at"]), at + _end(page))

    def _will_need(self, start: int, end: int) -> None:
        start = start // mmap.PAGESIZE * mmap.PAGESIZE
        end = min(end, len(self._map))
        if start < end:
            self._map.madvise(mmap.MADV_WILLNEED, start, end - start)

    def column(self, name: str, of: Chunks) -> Column:
        """A column of a block. Raises PackDamaged."""
        spec, encoding, dictionary, data = self._page(name, of)
        try:
            return decode(spec, encoding, of.rows, dictionary, data)
        except UnknownLayout:
            return read_column(self.path, spec, of.block)

    def picked(self, name: str, of: Chunks, wanted: list[int]) -> list[Any] | None:
        """The values of some rows, ascending; None if `column` has to decode it."""
        spec, encoding, dictionary, data = self._page(name, of)
        kind = spec.kind
        if encoding not in _PICKED and (encoding != PLAIN or kind is not Kind.UUID):
            return None
        try:
            values = parsed(kind, dictionary) if encoding == DICTIONARY else ()
            is_short = kind is Kind.INT16 or kind is Kind.INT32
            return pick(encoding, spec.is_optional, is_short, values, data, of.rows, wanted)
        except (Unusual, UnknownLayout):
            return None

    def _page(self, name: str, of: Chunks) -> tuple[ColumnSpec, int, bytes, bytes]:
        """(the column, encoding, dictionary, data) of a chunk, decompressed."""
        number = self._places[name]
        spec = self.columns[number]
        place, first, second, crc, gap, coding, _ = of.pages[number].tolist()
        start = of.at + place
        body = self._view[start : start + first + gap + second]
        if len(body) != first + gap + second or crc32(body) != crc:
            raise PackDamaged(
                self.path, f"column {name} does not match its checksum", block=of.block
            )
        unpack = _inflate if coding & ZSTD_FLAG else bytes
        try:
            dictionary = unpack(body[:first]) if first else b""
            data = unpack(body[first + gap :])
        except zstandard.ZstdError as error:
            raise PackDamaged(self.path, f"column {name}: {error}", block=of.block) from error
        return spec, coding & 15, dictionary, data


def _end(page: Any) -> int:
    """Where a chunk ends, from the block's place."""
    return (
        int(page["at"]) + int(page["dictionary_size"]) + int(page["gap"]) + int(page["data_size"])
    )


class Block:
    """One block of a data file; each column is decoded once."""

    def __init__(self, data: DataFile, number: int, at: int, rows: int, pages: Array) -> None:
        self.number = number
        self.rows = rows
        self._data = data
        self._chunks = Chunks(number, at, rows, pages)
        self._columns: dict[str, Column] = {}

    def get(self, name: str) -> Column:
        """A column of the file."""
        column = self._columns.get(name)
        if column is None:
            column = self._data.column(name, self._chunks)
            self._columns[name] = column
        return column

    def some(self, name: str, rows: list[int]) -> "Column | Picked":
        """A column of these rows only, which are ascending."""
        column = self._columns.get(name)
        if column is None and IS_COMPILED:
            values = self._data.picked(name, self._chunks, rows)
            if values is not None:
                return Picked(values)
        return (column or self.get(name)).take(np.array(rows, np.int64))

    def tuples(self) -> tuple[list[bytes], list[bytes | None]]:
        """(the COPY tuples, the stored nonces of rows of encoding version 2)."""
        try:
            return tuples_of(self.get, self.rows, self._data.plan)
        except _UNFIT as error:
            raise PackDamaged(self._data.path, str(error), block=self.number) from error

    def hashed(self, derived: list[bytes | None]) -> list[bytes]:
        """What the leaf hashes of the rows cover; `derived`: nonces of rows that store none."""
        try:
            return hashed_of(self.get, self.rows, self._data.plan, derived)
        except _UNFIT as error:
            raise PackDamaged(self._data.path, str(error), block=self.number) from error


class Picked:
    """Values of some rows, with the interface of a decoded column."""

    __slots__ = ("_values",)
    codes: Array | None = None

    def __init__(self, values: list[Any]) -> None:
        self._values = values

    def present(self) -> list[Any]:
        """The values that are not NULL, in order."""
        return [value for value in self._values if value is not None]

    def values(self) -> list[Any]:
        """One value per row, None for NULL."""
        return self._values

    @property
    def valid(self) -> Array | None:
        """Which rows have a value; None: all."""
        if None not in self._values:
            return None
        return np.array([value is not None for value in self._values], np.bool_)

    def array(self) -> Array:
        """Numbers of all rows, 0 for NULL."""
        return np.array([value or 0 for value in self._values])


class BufferedColumn:
    """A column of a block that is being written, with the interface of a decoded column."""

    def __init__(self, data: Any) -> None:
        self._data = data
        self.valid: Array | None = None if isinstance(data, list) else data[1]

    def values(self) -> list[Any]:
        """One value per row."""
        return list(self._data)

    def array(self) -> Array:
        """Numbers of all rows, 0 for NULL."""
        numbers: Array = self._data[0]
        return numbers if self.valid is None else np.where(self.valid, numbers, 0)

    @cached_property
    def few(self) -> dict[bytes | None, None] | None:
        """The distinct texts, if they are few (parquet/encode.py)."""
        return few_texts(self._data) if isinstance(self._data, list) else None

    def some(self) -> Iterable[Any]:
        """The values without NULL, most repetitions left out."""
        if isinstance(self._data, list):
            texts = self._data if self.few is None else self.few
            has_nulls = joined(self._data) is None if self.few is None else None in self.few
            return [text for text in texts if text is not None] if has_nulls else texts
        numbers = self._data[0] if self.valid is None else self._data[0][self.valid]
        return set(numbers.tolist())
