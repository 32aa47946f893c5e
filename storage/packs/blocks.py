"""Reads the data file by block and column, at the offsets that the index gives."""

import mmap
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import zstandard

from storage.packs.errors import PackDamaged, unreadable
from storage.packs.parquet.decode import Column, UnknownLayout, decode
from storage.packs.parquet.encode import Array
from storage.packs.parquet.fallback import read_column
from storage.packs.parquet.places import ZSTD_FLAG
from storage.packs.rows.block import tuples_of
from storage.packs.schema import ColumnSpec, Plan

MAGIC = b"PAR1"
_local = threading.local()


def _inflate(data: memoryview) -> bytes:
    """Decompress with this thread's decompressor: they are not thread-safe."""
    inflate: Callable[[memoryview], bytes] | None = getattr(_local, "inflate", None)
    if inflate is None:
        inflate = _local.inflate = zstandard.ZstdDecompressor().decompress
    return inflate(data)


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

    def column(self, name: str, block: int, at: int, rows: int, pages: Array) -> Column:
        """A column of the block that begins at `at`; `pages` are its chunks. Raises PackDamaged."""
        number = self._places[name]
        spec = self.columns[number]
        place, first, second, crc, gap, coding, _ = pages[number].tolist()
        start = at + place
        body = self._view[start : start + first + gap + second]
        if len(body) != first + gap + second or crc32(body) != crc:
            raise PackDamaged(self.path, f"column {name} does not match its checksum", block=block)
        unpack = _inflate if coding & ZSTD_FLAG else bytes
        try:
            dictionary = unpack(body[:first]) if first else b""
            data = unpack(body[first + gap :])
            return decode(spec, coding & 15, rows, dictionary, data)
        except UnknownLayout:
            return read_column(self.path, spec, block)
        except zstandard.ZstdError as error:
            raise PackDamaged(self.path, f"column {name}: {error}", block=block) from error


class Block:
    """One block of a data file; each column is decoded once."""

    def __init__(self, data: DataFile, number: int, at: int, rows: int, pages: Array) -> None:
        self.number = number
        self.rows = rows
        self._data = data
        self._at = at
        self._pages = pages
        self._columns: dict[str, Column] = {}

    def get(self, name: str) -> Column:
        """A column of the file."""
        column = self._columns.get(name)
        if column is None:
            column = self._data.column(name, self.number, self._at, self.rows, self._pages)
            self._columns[name] = column
        return column

    def tuples(self) -> tuple[list[bytes], list[bytes | None]]:
        """(the COPY tuples, the stored nonces of rows of encoding version 2)."""
        try:
            return tuples_of(self.get, self.rows, self._data.plan)
        except (ValueError, IndexError, TypeError, OverflowError) as error:
            raise PackDamaged(self._data.path, str(error), block=self.number) from error


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

    def distinct(self) -> set[Any]:
        """The distinct values."""
        if isinstance(self._data, list):
            return set(self._data)
        numbers = self._data[0] if self.valid is None else self._data[0][self.valid]
        return set(numbers.tolist())
