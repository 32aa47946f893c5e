"""Where this installation's packs are: the folder, and whether it is the right one."""

import asyncio

from config.settings import Settings
from storage.database.connection import Connection
from storage.database.statements import statement
from storage.packs.store import PackStore, PacksUnavailable, store_at

NOT_SET = "storage.packs_dir is not set"


async def store_to_write(connection: Connection, settings: Settings) -> PackStore:
    """The store, made on the very first use. Raises PacksUnavailable.

    The folder is created only once: an empty one later on is a disk that is not mounted.
    """
    store = store_at(settings.packs_dir)
    if store is None:
        raise PacksUnavailable(NOT_SET)
    async with connection.transaction():
        installation: str | None = await connection.fetchval(statement("begin_packs"))
        if installation is not None:
            await asyncio.to_thread(store.prepare, installation)
            return store
    await asyncio.to_thread(store.check, await installation_of(connection))
    return store


async def installation_of(connection: Connection) -> str:
    """The id of this installation; any role."""
    found: str = await connection.fetchval(statement("installation_id"))
    return found


async def problem_with_packs(connection: Connection, settings: Settings) -> str:
    """Why packs cannot be written or read by this process; empty: they can. Any role."""
    store = store_at(settings.packs_dir)
    if store is None:
        return NOT_SET
    row = await connection.fetchrow(statement("packs_made"))
    if row is None or not row["is_made"]:
        return ""  # the first packing will make it
    return await asyncio.to_thread(store.problem, row["installation_id"])
