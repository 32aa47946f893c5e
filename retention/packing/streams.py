"""Resources and scopes of a pack's rows, read when the thread that writes it needs them."""

import asyncio
from collections.abc import Mapping

from storage.database.connection import Connection
from storage.database.statements import statement
from storage.packs.writer import Streams

_NAMES = ("resource", "scope", "resource_schema_url", "scope_schema_url")


def streams_of(connection: Connection) -> Streams:
    """What a PackWriter calls; create it in the event loop, which must be free meanwhile."""
    loop = asyncio.get_running_loop()

    async def read(ids: list[int]) -> dict[int, Mapping[str, str]]:
        rows = await connection.fetch(statement("streams_of_pack"), ids)
        return {row["stream_id"]: {name: row[name] for name in _NAMES} for row in rows}

    def fetch(ids: list[int]) -> Mapping[int, Mapping[str, str]]:
        return asyncio.run_coroutine_threadsafe(read(ids), loop).result()

    return fetch
