"""How rows are hashed, and the nonces of rows that have to carry them.

Rows of encoding version 2 have no nonce: it is derived from the secret of their batch, or from the
key of their class in it (storage/record/nonces.py). Secrets and keys stay in this process.
"""

import asyncio
from collections.abc import Sequence

from storage.database.connection import Connection
from storage.ledger.encodings import encodings_of_batches, encodings_of_segments
from storage.packs.pack import Pack
from storage.packs.proof import Leaf
from storage.record.columns import SELF_CONTAINED
from storage.record.nonces import Completer


async def nonces_of(connection: Connection, packs: Sequence[Pack]) -> Completer:
    """What the rows of these packs of one class need; as the owner."""
    batches = sorted({int(batch) for pack in packs for batch in pack.parts["batch_id"].tolist()})
    return (await encodings_of_batches(connection, batches, packs[0].class_name)).rows


async def encodings_of_closed(connection: Connection, segment: int) -> tuple[Completer, list[int]]:
    """What the rows of a closed segment need, and its batches of version 2; as the owner."""
    found = await encodings_of_segments(connection, [segment])
    version_2 = [batch for batch, version in found.versions.items() if version != SELF_CONTAINED]
    return found.rows, version_2


def leaf_on_demand(connection: Connection, class_name: str) -> Leaf:
    """The same for a thread that learns its batches row by row; the loop must be free meanwhile."""
    loop = asyncio.get_running_loop()
    rows = Completer({})
    known: set[int] = set()

    async def keys_of(batch_id: int) -> dict[int, bytes]:
        return (await encodings_of_batches(connection, [batch_id], class_name)).rows.keys

    def leaf(name: str, batch_id: int, position: int, row: bytes, nonce: bytes | None) -> bytes:
        if batch_id not in known:
            known.add(batch_id)
            rows.keys |= asyncio.run_coroutine_threadsafe(keys_of(batch_id), loop).result()
        return rows.leaf(name, batch_id, position, row, nonce)

    return leaf
