"""Which frames a finished spool file holds: a file that somebody takes away is missed.

    0000000001.frames   beside it; for each frame: batch id 8 | rows 8

Written when the next file begins, deleted with the spool file. One that is left alone at a start
names the frames that must be in the database by now; which of them are not is lost. It is no more
than a witness: never synced, and its absence costs nothing but that knowledge.
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
        """One more frame."""
        self._numbers.extend((batch_id, rows))

    def write(self, spool_file: Path) -> None:
        """Beside its file, if that has frames. A disk that refuses costs the knowledge only."""
        if not self._numbers:
            return
        content = struct.pack(f">{len(self._numbers)}q", *self._numbers)
        with suppress(OSError):
            index_path(spool_file).write_bytes(content)


def index_path(spool_file: Path) -> Path:
    """Where the index of a spool file lies."""
    return spool_file.with_suffix(SUFFIX)


@dataclass(frozen=True, slots=True)
class Missing:
    """A spool file that is not there any more, though nobody of us has deleted its index."""

    spool_file: Path
    rows_by_batch: dict[int, int]


def missing_files(folder: Path, there: Iterable[Path]) -> list[Missing]:
    """The indexes without a file; what is cut off at an index's end is left out."""
    known = {index_path(path) for path in there}
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if path in known:
            continue
        content = path.read_bytes()
        whole = content[: len(content) - len(content) % _PAIR.size]
        found.append(Missing(path.with_suffix(".spool"), dict(_PAIR.iter_unpack(whole))))
    return found
