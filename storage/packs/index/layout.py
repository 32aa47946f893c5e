"""The index file: a header with the table of sections, then the sections, each with a hash.

    magic "OPSLOGIX", format version u32, header size u32, header (JSON), SHA-256 of all before,
    sections at multiples of 8

Integers are little endian; docs/reference/packs.md describes every field.
"""

import hashlib
import mmap
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import orjson

from storage.packs.errors import PackDamaged, unreadable
from storage.packs.parquet.encode import Array

MAGIC = b"OPSLOGIX"
VERSION = 2
"""An index of another version is built again from the data (opslog packs reindex)."""
MARK = 2
"""Bytes of a row's mark: the first of its leaf hash. Digests tell whether a row differs, marks
which one; ingest_parts has twice as many bytes."""
BLOCK = np.dtype([
    ("first_row", "<u4"), ("rows", "<u4"), ("at", "<u8"),
    ("min_created", "<i8"), ("max_created", "<i8"),
    ("min_received", "<i8"), ("max_received", "<i8"),
    ("min_batch", "<i8"), ("max_batch", "<i8"),
    ("min_duration", "<i8"), ("max_duration", "<i8"),
])  # fmt: skip
"""Zone map of a block; min_duration above max_duration: no row has a duration."""
PART = np.dtype([("batch_id", "<i8"), ("rows", "<u4"), ("first", "<u4"), ("digest", "V32")])
"""Rows of one batch; `first`: index of their first mark."""
STRIPE = 64
"""Rows of the signature that have a checksum together."""
TAIL = 4096
"""Bytes at the end of the data file that bind the index to it."""


def tail_hash(data: bytes) -> str:
    """The hash of the data file's end."""
    return hashlib.sha256(data[-TAIL:]).hexdigest()


def write(path: Path, header: dict[str, Any], sections: Mapping[str, bytes]) -> str:
    """Write an index file, synced; returns its SHA-256."""
    # Offsets depend on the header's size, which depends on the digits of the offsets: it is padded.
    table: dict[str, list[Any]] = {
        name: [0, len(body), hashlib.sha256(body).hexdigest()] for name, body in sections.items()
    }
    header = {**header, "sections": table}
    padded = len(orjson.dumps(header)) + 16 * len(table)
    at = _aligned(16 + padded + 32)
    for name, body in sections.items():
        table[name][0] = at
        at = _aligned(at + len(body))
    text = orjson.dumps(header).ljust(padded)
    head = MAGIC + VERSION.to_bytes(4, "little") + padded.to_bytes(4, "little") + text
    digest = hashlib.sha256()
    pieces = [(0, head + hashlib.sha256(head).digest())]
    pieces += [(table[name][0], body) for name, body in sections.items()]
    path.unlink(missing_ok=True)
    with path.open(
        "xb"
    ) as file:  # a file of its own: who still writes the old one cannot change it
        for start, piece in pieces:
            gap = bytes(start - file.tell())
            file.write(gap)
            file.write(piece)
            digest.update(gap)
            digest.update(piece)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _aligned(at: int) -> int:
    return -(-at // 8) * 8


class IndexFile:
    """An index file, mapped. Sections are views, verified on first access."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise unreadable(path, error) from error
        self.header = self._header()
        self._sections: dict[str, list[Any]] = self.header["sections"]
        for name, (at, size, _) in self._sections.items():
            if at + size > len(self._map):
                raise PackDamaged(path, f"index is truncated in section {name}")
        self._checked: set[str] = set()

    def _header(self) -> dict[str, Any]:
        head = self._map[:16]
        if head[:8] != MAGIC:
            raise PackDamaged(self.path, "not an index file")
        version = int.from_bytes(head[8:12], "little")
        if version != VERSION:
            raise PackDamaged(
                self.path, f"index of format {version}, known is {VERSION}; `opslog packs reindex`"
            )
        end = 16 + int.from_bytes(head[12:16], "little")
        if hashlib.sha256(self._map[:end]).digest() != self._map[end : end + 32]:
            raise PackDamaged(self.path, "the index's header does not match its hash")
        header: dict[str, Any] = orjson.loads(self._map[16:end])
        return header

    @property
    def is_whole(self) -> bool:
        """Whether the file is as long as when it was mapped."""
        return self._map.size() >= len(self._map)

    def bytes_of(self, name: str) -> bytes:
        """A copy of a section, verified on first access. Raises PackDamaged."""
        at, size = self._verified(name)
        return self._map[at : at + size]

    def array(self, name: str, dtype: Any) -> Array:
        """A section as an array over the map, verified on first access. Raises PackDamaged."""
        self._verified(name)
        return self.unchecked(name, dtype)

    def unchecked(self, name: str, dtype: Any) -> Array:
        """A section as an array over the map, not verified."""
        at, size, _ = self._sections[name]
        kind = np.dtype(dtype)
        return np.frombuffer(self._map, kind, size // kind.itemsize, at)

    def _verified(self, name: str) -> tuple[int, int]:
        """(offset, size) of a section whose hash has been compared."""
        if name not in self._checked:
            self.check(name)
            self._checked.add(name)
        at, size, _ = self._sections[name]
        return at, size

    @cached_property
    def signature(self) -> "Matrix":
        """The rows of the signature. Raises PackDamaged."""
        return Matrix(self, self.header["signature"]["stride"])

    def check(self, name: str) -> None:
        """Compare a section with its hash. Raises PackDamaged."""
        at, size, expected = self._sections[name]
        with memoryview(self._map)[at : at + size] as view:
            found = hashlib.sha256(view).hexdigest()
        if found != expected:
            raise PackDamaged(self.path, f"section {name} of the index does not match its hash")

    def check_all(self) -> None:
        """Compare all sections with their hashes. Raises PackDamaged."""
        for name in self._sections:
            self.check(name)


def stripe_sums(matrix: bytes, stride: int) -> bytes:
    """The section `signature_sums`: CRC-32 of each STRIPE rows of the signature."""
    size = STRIPE * stride
    sums = [crc32(matrix[at : at + size]) for at in range(0, len(matrix), size)]
    return np.array(sums, "<u4").tobytes()


class Matrix:
    """Rows of the signature; a lookup needs few of them, so each stripe is verified alone."""

    def __init__(self, index: IndexFile, stride: int) -> None:
        self._index = index
        self._bytes = index.unchecked("signature", np.uint8)
        self._size = STRIPE * stride
        self._rows = self._bytes.reshape(-1, stride)
        self._sums = index.array("signature_sums", "<u4")
        self._checked = np.zeros(len(self._sums), np.bool_)

    def __getitem__(self, numbers: Array | int) -> Array:
        """Rows by their numbers, verified on first access. Raises PackDamaged."""
        stripes = np.atleast_1d(np.asarray(numbers) // STRIPE).astype(np.int64)
        for stripe in set(stripes[~self._checked[stripes]].tolist()):
            start = stripe * self._size
            if crc32(self._bytes[start : start + self._size].tobytes()) != self._sums[stripe]:
                raise PackDamaged(
                    self._index.path, "section signature of the index does not match its checksums"
                )
            self._checked[stripe] = True
        return self._rows[numbers]
