"""Removes the files of packs that are gone, and those that an interrupted rewrite has left."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from retention.packing.places import installation_of
from retention.safety.locks import held
from storage import failpoints
from storage.database.connection import Connection
from storage.database.locks import PACK_SPACE
from storage.database.statements import statement
from storage.packs.store import Found, PackStore

_log = logging.getLogger(__name__)


async def unlink_dropped(connection: Connection, store: PackStore) -> int:
    """Unlink the files of dropped packs, after the transaction that dropped them; how many went.

    Whoever reads one of them reads on: its mapping stays valid. Where the folder is missing, the
    files are left for a later run.
    """
    rows = await connection.fetch(statement("files_to_drop"))
    if not rows:
        return 0
    problem = await asyncio.to_thread(store.problem, await installation_of(connection))
    if problem:
        _log.error("files of %d removed packs stay for now: %s", len(rows), problem)
        return 0
    failpoints.reach("pack.before_unlink")
    await asyncio.to_thread(_unlink, store, [(row["class"], row["segment"]) for row in rows])
    await connection.execute(statement("mark_files_dropped"), [row["segment"] for row in rows])
    return len(rows)


def _unlink(store: PackStore, packs: Sequence[tuple[str, int]]) -> None:
    for class_name, segment in packs:
        store.unlink(class_name, segment)


async def unlink_orphans(connection: Connection, store: PackStore) -> int:
    """Unlink files that no segment has: a rewrite was interrupted. Returns how many.

    The caller holds RETENTION_SPACE. Numbers that are not given out yet are left: the database is
    older than the folder, and somebody has to decide. Also what an interrupted reindexing or
    unpacking has left.
    """
    found = await asyncio.to_thread(lambda: list(store.files()))
    known = {
        row["segment"]
        for row in await connection.fetch(
            statement("known_segments"), sorted({file.segment for file in found})
        )
    }
    orphans = [file for file in found if file.segment not in known]
    for file in orphans:
        _remove(file.path)
    return len(orphans) + await _unlink_leftovers(connection, found)


async def _unlink_leftovers(connection: Connection, found: Sequence[Found]) -> int:
    gone = 0
    for row in await connection.fetch(
        statement("settled_segments"), sorted({file.segment for file in found})
    ):
        segment = row["segment"]
        files = [file.path for file in found if file.segment == segment]
        if row["is_packed"]:
            files = [path for path in files if path.suffix == ".tmp"]
        if not files:
            continue
        async with held(connection, PACK_SPACE, segment) as is_ours:
            now = await connection.fetch(statement("settled_segments"), [segment])
            for path in files if is_ours and now == [row] else ():
                _remove(path)
                gone += 1
    return gone


def _remove(path: Path) -> None:
    _log.warning("%s is left by an interrupted job; removed", path)
    path.unlink(missing_ok=True)
