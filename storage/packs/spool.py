"""Temporary storage of a writer's tuples until their order is known.

The tuples are in a file; memory holds 48 bytes a row (time, batch, position, offset).
"""

import mmap
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from librt.strings import BytesWriter

from storage.packs.errors import NotPackable
from storage.packs.parquet.encode import Array
from storage.packs.rows.tuples import KEY_BYTES, scan

KEY = np.dtype([
    ("created", "<i8"), ("received", "<i8"), ("batch", "<i8"), ("at", "<i8"), ("size", "<i4"),
    ("position", "<i4"), ("created_ns", "<i2"), ("version", "<i2"), ("unused", "<i4"),
])  # fmt: skip
_COPY_HEADER = b"PGCOPY\n\xff\r\n\x00"
_HEADER_SIZE = 19
_PART = 4 << 20
"""Size of the key buffer at which it is flushed."""


class TupleSpool:
    """Accepts COPY bytes in any chunking and returns the tuples in order."""

    def __init__(self, scratch: Path) -> None:
        self._file: Any = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - closed by close()
        self._keys = BytesWriter()
        self._kept: list[Array] = []
        self._rest = b""
        self._size = 0
        self._is_first = True
        self._mapped: mmap.mmap | None = None

    def feed(self, data: bytes) -> None:
        """Add COPY bytes, with or without COPY's header and trailer. Raises NotPackable."""
        if self._is_first and data:
            data = self._rest + data
            self._rest = b""
            if len(data) < _HEADER_SIZE and _COPY_HEADER.startswith(data[: len(_COPY_HEADER)]):
                self._rest = data
                return
            self._is_first = False
            if data.startswith(_COPY_HEADER):
                data = data[_HEADER_SIZE:]
        data = self._rest + data
        end = self._scan(data)
        self._file.write(data[:end])
        self._size += end
        self._rest = data[end:]

    def start_copy(self) -> None:
        """Start another COPY, which may begin with a header."""
        self._check_rest()
        self._rest, self._is_first = b"", True

    def add(self, rows: Sequence[bytes], have_stored_nonce: Sequence[bool]) -> None:
        """Add complete tuples; a stored nonce of a version-2 row is in the tuple's nonce field."""
        data = b"".join(rows)
        self._flush()
        if self._scan(data) != len(data):
            raise NotPackable("an incomplete tuple")
        self._file.write(data)
        self._size += len(data)
        self._flush()
        self._kept[-1]["version"][np.array(have_stored_nonce, np.bool_)] = 2

    def _scan(self, data: bytes) -> int:
        try:
            end = scan(data, self._size, self._keys)
        except (ValueError, IndexError) as error:
            raise NotPackable(str(error)) from error
        if len(self._keys) > _PART:
            self._flush()
        return end

    def _flush(self) -> None:
        self._kept.append(np.frombuffer(bytearray(self._keys.getvalue()), KEY))
        self._keys.truncate(0)

    def _check_rest(self) -> None:
        if self._rest not in {b"", b"\xff\xff"}:
            raise NotPackable("the last tuple is incomplete")

    def keys(self) -> Array:
        """The key records in the order of search results."""
        self._check_rest()
        self._flush()
        keys = np.concatenate(self._kept)
        self._kept = []
        order = np.lexsort((keys["position"], keys["batch"], keys["created_ns"], keys["created"]))
        return keys[order]

    def rows(self, keys: Array) -> list[bytes]:
        """The tuples of these keys."""
        if self._mapped is None:
            self._file.flush()
            self._mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        data = self._mapped
        return [
            data[at : at + size]
            for at, size in zip(keys["at"].tolist(), keys["size"].tolist(), strict=True)
        ]

    def sample(self, keys: Array) -> list[bytes]:
        """The tuples of rows that are far apart, without mapping the file."""
        self._file.flush()
        handle = self._file.fileno()
        return [os.pread(handle, int(key["size"]), int(key["at"])) for key in keys]

    def release(self) -> None:
        """Release the memory of what was read."""
        if self._mapped is not None:
            self._mapped.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Close the file, which deletes it."""
        if self._mapped is not None:
            self._mapped.close()
        self._file.close()


def fresh_file(path: Path) -> BinaryIO:
    """A new file in the place of whatever is there, to be written.

    Who still writes the old one, because it does not know yet that its session has ended, writes
    into a file without a name.
    """
    path.unlink(missing_ok=True)
    return path.open("xb")


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


assert KEY.itemsize == KEY_BYTES
