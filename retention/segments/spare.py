"""What is on its way out and is wanted by a hold after all is put back.

A run marks what goes by the holds of that moment. Until a leaf is dropped (a moment later, or days,
when somebody's transaction is in the way) a hold may be made that wants its records.
"""

import logging

from retention.holding.holds import Holds
from retention.holding.matching import resolved, selection
from storage.database.connection import Connection
from storage.database.locks import HOLD_SPACE
from storage.database.statements import statement
from storage.filtering.filters import Filter
from storage.segments.dropping import TablesBusy, detach, put_back
from storage.segments.leaves import LONG_S, leaf_statement

_log = logging.getLogger(__name__)


class HoldCreated(TablesBusy):
    """A hold was made after it was decided what goes; nothing of this transaction was done."""

    def __init__(self) -> None:
        super().__init__("a hold was made meanwhile; what it wants is looked for anew")


async def newest_hold(connection: Connection) -> int:
    """Its number; 0 when none was ever made. Later ones have higher numbers."""
    number: int = await connection.fetchval(statement("newest_hold"))
    return number


async def refuse_newer(connection: Connection, known: int) -> None:
    """Keep holds from being made until the transaction ends. Raises HoldCreated: one was made."""
    await connection.execute("SELECT pg_advisory_xact_lock($1, 0)", HOLD_SPACE)
    if await newest_hold(connection) > known:
        raise HoldCreated


async def spare_held(connection: Connection, *, deadline_s: float) -> int:
    """Put marked segments with held records back; the newest hold that was looked at.

    Raises TablesBusy.
    """
    known = await newest_hold(connection)
    holds = await Holds.active(connection)
    marked = [
        row["segment"]
        for row in await connection.fetch(statement("retiring_segments"))
        if row["replaced_by"] is None
    ]
    if not holds.ids or not marked:
        return known
    condition = await resolved(connection, holds.condition)
    for segment in marked:
        if not await _has(connection, segment, condition):
            continue
        if await connection.fetchval(statement("detaching"), f"system_logs_s{segment}"):
            await detach(connection, segment, deadline_s=deadline_s)
        await put_back(connection, segment, deadline_s=deadline_s)
        _log.warning("segment %d was to go and stays: a hold was made that wants it", segment)
    return known


async def _has(connection: Connection, segment: int, condition: Filter) -> bool:
    chosen = selection(condition)
    text = leaf_statement("count_matching", segment, CONDITION=chosen.condition)
    return bool(await connection.fetchval(text, *chosen.arguments, timeout=LONG_S))
