"""The filters of a class: which packs cannot have a trace id or a correlation id.

    <class>/ids.filters     magic, then a record for each pack: head, blocks of a Bloom filter

A pack's record is appended to the file, under a lock, before the pack becomes visible; the others
are not touched. Records of removed packs stay until they are half of the file, which is then
written again. An id sets all its bits in one block, so a lookup touches one block of each pack.

The filters only save work: a pack without a record, of another data file, or with a damaged block
is searched. Lookups never raise.
"""

import fcntl
import logging
import mmap
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

import numpy as np

from storage.packs.errors import PackDamaged
from storage.packs.index.signature import ID_COLUMNS, column_path
from storage.packs.index.tokens import hashes as hashes_of
from storage.packs.index.tokens import seed_of
from storage.packs.parquet.encode import Array

_log = logging.getLogger(__name__)

NAME = "ids.filters"
MAGIC = b"OPSLOGBF\x01\0\0\0\0\0\0\0"
HEAD = np.dtype([
    ("magic", "S4"), ("segment", "<u4"), ("blocks", "<u4"), ("ids", "<u4"),
    ("data_sha256", "V32"), ("unused", "V12"), ("crc", "<u4"),
])  # fmt: skip
"""Head of a record; `crc` is the CRC-32 of all before it."""
BLOCK = 512
"""Bytes of a block: bits, then their CRC-32 (4 bytes, little endian)."""
BLOCK_BITS = (BLOCK - 4) * 8
BITS = 8
"""Bits per id: one false positive in about forty-five packs."""
HASHES = 5
_RECORD = b"IDBF"
_ABOVE = np.uint64(32)


def id_hashes(column: str, values: Iterable[bytes]) -> list[int]:
    """Hashes of ids, as in a block's signature (index/tokens.py)."""
    return hashes_of(seed_of(column_path(column)), values)


def _mixed(hashes: Sequence[int] | Array) -> tuple[Array, Array]:
    """(what selects the block, places of the bits in it: one row an id)."""
    seeds = np.asarray(hashes, np.uint64)
    with np.errstate(over="ignore"):
        mixed = (seeds + np.uint64(1)) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(31)
        step = mixed * np.uint64(0x94D049BB133111EB) | np.uint64(1)
        steps = np.arange(1, HASHES + 1, dtype=np.uint64)
        bits = ((mixed[:, None] + steps * step[:, None]) >> _ABOVE) * np.uint64(BLOCK_BITS)
    return mixed >> _ABOVE, bits >> _ABOVE


def record_of(segment: int, data_sha256: bytes, hashes: Array) -> bytes:
    """The record of a pack with these distinct hashes of ids."""
    blocks = max(1, -(-len(hashes) * BITS // BLOCK_BITS))
    table = np.zeros((blocks, BLOCK * 8), np.bool_)
    chosen, bits = _mixed(hashes)
    table[(chosen * np.uint64(blocks) >> _ABOVE)[:, None], bits] = True
    packed = np.packbits(table, axis=1, bitorder="little")
    sums = [crc32(row) for row in packed[:, :-4]]
    packed[:, -4:] = np.array(sums, "<u4").view(np.uint8).reshape(-1, 4)
    head = np.zeros(1, HEAD)
    head[0] = (_RECORD, segment, blocks, len(hashes), data_sha256, bytes(12), 0)
    head["crc"] = crc32(head.tobytes()[:-4])
    return head.tobytes() + packed.tobytes()


def path_of(folder: Path) -> Path:
    """The file of the class whose packs are in `folder`."""
    return folder / NAME


def add(folder: Path, segment: int, data_sha256: bytes, hashes: Array) -> None:
    """Add a pack's record, synced, in place of an older one of the segment. Raises OSError."""
    record = record_of(segment, data_sha256, hashes)
    path = path_of(folder)
    with _locked(path) as file:
        size = os.fstat(file.fileno()).st_size
        heads, places, end = _heads(file)
        wanted = _wanted(heads, segment, folder)
        live = sum(_size(heads[number]) for number in wanted)
        if end < size or not size or 2 * live < end - len(MAGIC):
            # Readers have mapped the file, so that an incomplete or damaged end is not cut off.
            _rewrite(file, path, [(places[n], _size(heads[n])) for n in wanted], record)
            return
        file.seek(end)
        file.write(record)
        file.flush()
        os.fsync(file.fileno())


def _size(head: Array) -> int:
    return HEAD.itemsize + BLOCK * int(head["blocks"])


def _wanted(heads: Sequence[Array], added: int, folder: Path) -> list[int]:
    """The records that count: the last one of each pack that exists or is being written."""
    last = {int(head["segment"]): number for number, head in enumerate(heads)}
    last.pop(added, None)
    return [
        number
        for segment, number in last.items()
        if any((folder / f"{segment}.parquet{ending}").exists() for ending in ("", ".tmp"))
    ]


def _heads(file: BinaryIO) -> tuple[list[Array], list[int], int]:
    """(heads of all complete records, their places, the end of the last one)."""
    size = os.fstat(file.fileno()).st_size
    heads: list[Array] = []
    places: list[int] = []
    if os.pread(file.fileno(), len(MAGIC), 0) != MAGIC:
        return heads, places, 0
    at = len(MAGIC)
    while at + HEAD.itemsize <= size:
        head = _head(os.pread(file.fileno(), HEAD.itemsize, at))
        if head is None or at + _size(head) > size:
            break
        heads.append(head)
        places.append(at)
        at += _size(head)
    return heads, places, at


def _head(raw: bytes) -> Array | None:
    """A record's head; None if these bytes are not one."""
    head: Array = np.frombuffer(raw, HEAD)[0]
    return head if head["magic"] == _RECORD and head["crc"] == crc32(raw[:-4]) else None


def _rewrite(file: BinaryIO, path: Path, ranges: Sequence[tuple[int, int]], record: bytes) -> None:
    """Write the file again with these ranges of it and a new record."""
    scratch = path.with_name(f"{NAME}.tmp")
    with scratch.open("wb") as fresh:
        fresh.write(MAGIC)
        for at, size in ranges:
            fresh.write(os.pread(file.fileno(), size, at))
        fresh.write(record)
        fresh.flush()
        os.fsync(fresh.fileno())
    scratch.replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The file, locked against other writers; made empty where there is none."""
    while True:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o640), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(path, file):
                yield file
                return
            # Another writer has replaced it while we waited.


def _is_at(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


class ClassFilters:
    """The file of a class, mapped again whenever it has changed. Threads may share it."""

    def __init__(self, folder: Path) -> None:
        self.path = path_of(folder)
        self._lock = threading.Lock()
        self._state: tuple[int, int, int] = (0, 0, 0)
        self._view: Array = np.zeros(0, np.uint8)
        self._records: dict[int, tuple[bytes, int, int]] = {}
        """Segment -> (hash of its data file, place of its first block, number of blocks)."""
        self._reported: set[int] = set()

    def segments(self) -> set[int]:
        """Packs that have a record."""
        return set(self._current()[1])

    def without(self, column: str, value: bytes, packs: Mapping[int, bytes | None]) -> set[int]:
        """Packs that certainly do not have the id, of these (segment -> hash of its data file).

        `column` is one of ID_COLUMNS; `value` is as the column stores it: 16 bytes of a trace id,
        UTF-8 of a correlation id. All other packs must be searched. Never raises.
        """
        assert column in ID_COLUMNS
        view, records = self._current()
        wanted = [
            (segment, found[1], found[2])
            for segment, data_hash in packs.items()
            if (found := records.get(segment)) is not None and found[0] == data_hash
        ]
        if not wanted:
            return set()
        table = np.array(wanted, np.uint64)
        chosen, bits = _mixed(id_hashes(column, [value]))
        blocks = table[:, 1] + (chosen * table[:, 2] >> _ABOVE) * np.uint64(BLOCK)
        masks = np.left_shift(np.uint8(1), (bits[0] & np.uint64(7)).astype(np.uint8))
        there = view[blocks[:, None] + (bits[0] >> np.uint64(3))] & masks
        absent = np.flatnonzero(~there.all(axis=1)).tolist()
        places = blocks.tolist()
        return {wanted[n][0] for n in absent if self._is_intact(view, wanted[n][0], places[n])}

    def _is_intact(self, view: Array, segment: int, at: int) -> bool:
        block = view[at : at + BLOCK].tobytes()
        if crc32(block[:-4]) == int.from_bytes(block[-4:], "little"):
            return True
        if segment not in self._reported:
            self._reported.add(segment)
            _log.error("%s: the filter of segment %d is damaged; reindex it", self.path, segment)
        return False

    def record(self, segment: int, data_sha256: bytes) -> bytes:
        """A pack's record, after comparing its blocks with their checksums. Raises PackDamaged."""
        view, records = self._current()
        found = records.get(segment)
        if found is None or found[0] != data_sha256:
            raise PackDamaged(self.path, f"the filter of segment {segment} is missing")
        _, at, blocks = found
        if not all(self._is_intact(view, segment, at + n * BLOCK) for n in range(blocks)):
            raise PackDamaged(self.path, f"the filter of segment {segment} is damaged")
        return view[at - HEAD.itemsize : at + blocks * BLOCK].tobytes()

    def _current(self) -> tuple[Array, dict[int, tuple[bytes, int, int]]]:
        """(the mapped file, its records)."""
        try:
            stat = self.path.stat()
            state = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        except OSError:
            state = (0, 0, 0)
        with self._lock:
            if state != self._state:
                self._view, self._records = self._read()
                self._state = state
            return self._view, self._records

    def _read(self) -> tuple[Array, dict[int, tuple[bytes, int, int]]]:
        try:
            with self.path.open("rb") as file:
                heads, places, end = _heads(file)
                if not heads:
                    return np.zeros(0, np.uint8), {}
                mapped = mmap.mmap(file.fileno(), end, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            return np.zeros(0, np.uint8), {}
        mapped.madvise(mmap.MADV_RANDOM)
        records = {
            int(head["segment"]): (
                bytes(head["data_sha256"]),
                at + HEAD.itemsize,
                int(head["blocks"]),
            )
            for head, at in zip(heads, places, strict=True)
        }
        return np.frombuffer(mapped, np.uint8), records
