"""A Bloom filter file per class: which packs may contain a trace id or correlation id.

The file has one filter per pack. Every change writes a new file, which replaces the old one.
"""

import hashlib
import mmap
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from zlib import crc32

import numpy as np
import orjson

from storage.packs.errors import PackDamaged
from storage.packs.parquet.encode import Array

MAGIC = b"OPSLOGBF"
BITS = 10
"""Bits per value: about one false positive in a hundred packs."""
HASHES = 7


def _places(values: Iterable[bytes], bits: int) -> Array:
    seeds = np.array([(crc32(value), crc32(value, 0x5BD1E995)) for value in values], np.uint64)
    seeds = seeds.reshape(-1, 2)
    steps = np.arange(HASHES, dtype=np.uint64)[:, None]
    return ((seeds[:, 0] + steps * (seeds[:, 1] | np.uint64(1))) % np.uint64(bits)).ravel()


def filter_of(values: Iterable[bytes]) -> bytes:
    """The filter of a pack's ids (16 bytes of a trace id, UTF-8 of a correlation id)."""
    distinct = set(values)
    bits = -(-max(64, len(distinct) * BITS) // 64) * 64
    table = np.zeros(bits, np.bool_)
    if distinct:
        table[_places(distinct, bits)] = True
    return np.packbits(table, bitorder="little").tobytes()


def write_filters(path: Path, filters: Mapping[int, bytes]) -> None:
    """Write a class's file, synced and renamed."""
    at, table = 0, {}
    for segment, body in sorted(filters.items()):
        table[str(segment)] = [at, len(body), hashlib.sha256(body).hexdigest()]
        at += len(body)
    header = orjson.dumps(table)
    head = MAGIC + len(header).to_bytes(4, "little") + header
    scratch = path.with_suffix(".tmp")
    with scratch.open("wb") as file:
        file.write(head + hashlib.sha256(head).digest())
        for _, body in sorted(filters.items()):
            file.write(body)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


class ClassFilters:
    """A class's file, mapped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise PackDamaged(path, f"cannot be opened: {error}") from error
        end = 12 + int.from_bytes(self._map[8:12], "little")
        is_whole = hashlib.sha256(self._map[:end]).digest() == self._map[end : end + 32]
        if self._map[:8] != MAGIC or not is_whole:
            raise PackDamaged(path, "not a file of filters, or its header is damaged")
        self._table = {int(key): value for key, value in orjson.loads(self._map[12:end]).items()}
        self._start = end + 32
        if any(self._start + at + size > len(self._map) for at, size, _ in self._table.values()):
            raise PackDamaged(path, "truncated")

    @property
    def segments(self) -> set[int]:
        """Packs that have a filter; others must always be searched."""
        return set(self._table)

    def filter(self, segment: int) -> bytes:
        """The filter of a pack. Raises PackDamaged."""
        at, size, digest = self._table[segment]
        body = self._map[self._start + at : self._start + at + size]
        if hashlib.sha256(body).hexdigest() != digest:
            raise PackDamaged(self._path, f"the filter of segment {segment} is damaged")
        return body

    def may_have(self, value: bytes) -> set[int]:
        """Packs that may contain the id."""
        found = set()
        for segment, (at, size, _) in self._table.items():
            start = self._start + at
            if all(
                self._map[start + (place >> 3)] >> (place & 7) & 1
                for place in _places([value], size * 8).tolist()
            ):
                found.add(segment)
        return found


def changed(path: Path, add: Mapping[int, bytes], remove: Iterable[int] = ()) -> None:
    """Add the filters of some packs to the file and remove others."""
    filters: dict[int, bytes] = {}
    if path.exists():
        old = ClassFilters(path)
        filters = {segment: old.filter(segment) for segment in old.segments}
    for segment in remove:
        filters.pop(segment, None)
    write_filters(path, {**filters, **add})
