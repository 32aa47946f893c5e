"""Removes the files of packs that are gone, and those that an interrupted rewrite has left."""

import asyncio
import logging
from collections.abc import Sequence

from retention.packing.places import installation_of
from storage import failpoints
from storage.database.connection import Connection
from storage.database.statements import statement
from storage.packs.store import PackStore

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
    older than the folder, and somebody has to decide.
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
        _log.warning("%s is left by an interrupted rewrite; removed", file.path)
        file.path.unlink(missing_ok=True)
    return len(orphans)
