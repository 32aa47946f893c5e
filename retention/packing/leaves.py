"""Removes the leaves of packed segments, and what the packs have instead.

Everything here can be interrupted, and is finished by any later run.
"""

import logging
from collections.abc import Sequence

from retention.safety.locks import held
from storage import failpoints
from storage.database.connection import Connection
from storage.database.locks import PACK_SPACE
from storage.database.statements import statement
from storage.segments.dropping import detach, drop, finish_all
from storage.segments.leaves import leaf_statement

_log = logging.getLogger(__name__)
PARTS_STAY_S = 3600.0
"""Live tails and retries read the parts of a packed segment for this long."""


async def drop_leaves(connection: Connection, *, deadline_s: float) -> int:
    """Detach and drop the leaves of packed segments; how many went. Raises TablesBusy."""
    await finish_all(connection, deadline_s=deadline_s)
    gone = 0
    for row in await connection.fetch(statement("leaves_to_drop")):
        gone += await drop_leaf(connection, row["segment"], deadline_s=deadline_s)
    return gone


async def drop_leaf(connection: Connection, segment: int, *, deadline_s: float) -> bool:
    """The same for one segment; False if another process is at it. Raises TablesBusy."""
    async with held(connection, PACK_SPACE, segment) as is_ours:
        if not is_ours:
            return False
        return await drop_leaf_held(connection, segment, deadline_s=deadline_s)


async def drop_leaf_held(connection: Connection, segment: int, *, deadline_s: float) -> bool:
    """The same for who holds the segment's lock. Raises TablesBusy."""
    rows: Sequence[object] = await connection.fetch(statement("leaf_to_drop"), segment)
    if not rows:
        return False
    await detach(connection, segment, deadline_s=deadline_s)
    failpoints.reach("pack.after_detach")

    async def record_change() -> None:
        await connection.execute(statement("mark_leaf_dropped"), [segment])

    await drop(connection, [segment], record_change, deadline_s=deadline_s)
    failpoints.reach("pack.after_drop")
    return True


async def drop_abandoned(connection: Connection) -> int:
    """Drop leaves that an interrupted unpacking has left, with copies of rows; how many went."""
    gone = 0
    for row in await connection.fetch(statement("abandoned_leaves")):
        segment = row["segment"]
        async with held(connection, PACK_SPACE, segment) as is_ours:
            found = await connection.fetch(statement("abandoned_leaves")) if is_ours else ()
            if segment in {each["segment"] for each in found}:  # and not unpacked meanwhile
                _log.warning("the leaf of segment %d is left by an interrupted unpacking", segment)
                await connection.execute(leaf_statement("drop_unread_leaf", segment))
                gone += 1
    return gone


async def forget_parts(connection: Connection, after_s: float = PARTS_STAY_S) -> int:
    """Delete the parts of segments that were packed long enough ago; of how many."""
    rows = await connection.fetch(statement("forget_packed_parts"), after_s)
    return len(rows)
