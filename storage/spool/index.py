"""The index of a finished spool file: detects a file that was deleted from outside.

    0000000001.frames   beside it; for each frame: batch id 8 | rows 8

Written when the next file begins, deleted with the spool file. An index without its file at a
start names frames that must be in the database by now; those that are not are lost. It is best
effort: never synced, and without it a deleted file goes unnoticed.
"""

import struct
from array import array
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SUFFIX = ".frames"
_PAIR = struct.Struct(">qq")


class Index:
    """The frames of one spool file, in order."""

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        self._numbers = array("q")

    def add(self, batch_id: int, rows: int) -> None:
        """Add a frame."""
        self._numbers.extend((batch_id, rows))

    def write(self, spool_file: Path) -> None:
        """Write it beside its file, if that has frames; write errors are ignored."""
        if not self._numbers:
            return
        content = struct.pack(f">{len(self._numbers)}q", *self._numbers)
        with suppress(OSError):
            index_path(spool_file).write_bytes(content)


def index_path(spool_file: Path) -> Path:
    """The path of a spool file's index."""
    return spool_file.with_suffix(SUFFIX)


@dataclass(frozen=True, slots=True)
class Missing:
    """A spool file that is missing although its index still exists."""

    spool_file: Path
    rows_by_batch: dict[int, int]


def missing_files(folder: Path, there: Iterable[Path]) -> list[Missing]:
    """The indexes without a file; a truncated last entry is ignored."""
    known = {index_path(path) for path in there}
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if path in known:
            continue
        content = path.read_bytes()
        whole = content[: len(content) - len(content) % _PAIR.size]
        found.append(Missing(path.with_suffix(".spool"), dict(_PAIR.iter_unpack(whole))))
    return found
