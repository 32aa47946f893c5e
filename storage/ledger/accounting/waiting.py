"""The contents of spools: durable, acknowledged, not yet in the database. Only reads files."""

import asyncio
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from storage.database.connection import Connection
from storage.database.statements import statement
from storage.spool.files import pieces, quarantined_in, spool_files
from storage.spool.frame import FrameHead

_TOGETHER = 10_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """The frames of one spool that are not stored."""

    spool: str
    """Its folder's name."""
    requests: int
    rows: int
    quarantined: int
    """Damaged frames that were set damaged."""
    quarantined_rows: int
    """Rows of those damaged frames whose number of rows is known."""


async def waiting_in(connection: Connection, root: Path) -> list[Waiting]:
    """Each spool below `root`, without frames whose batch is already stored.

    A file is deleted when all its frames are stored, so most of its frames may be stored.
    """
    return [await _of_spool(connection, folder) for folder in _folders(root)]


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.glob("*") if path.is_dir())


async def _of_spool(connection: Connection, folder: Path) -> Waiting:
    frames = await asyncio.to_thread(_frames, folder)
    ids = list(frames)
    for first in range(0, len(ids), _TOGETHER):
        known = await connection.fetch(statement("stored_batches"), ids[first : first + _TOGETHER])
        for row in known:
            frames.pop(row["batch_id"], None)
    damaged = await asyncio.to_thread(quarantined_in, folder)
    lost = sum(each.rows for each in damaged)
    return Waiting(folder.name, len(frames), sum(frames.values()), len(damaged), lost)


def _frames(folder: Path) -> dict[int, int]:
    """Batch id to rows."""
    return {head.batch_id: head.rows for head in _heads(folder)}


def _heads(folder: Path) -> Iterator[FrameHead]:
    for _, path in spool_files(folder):
        try:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
                yield from (piece for _, piece in pieces(view) if isinstance(piece, FrameHead))
        except (FileNotFoundError, ValueError):  # stored and deleted meanwhile, or empty
            continue
