"""Restores segments that were marked for removal when a new hold matches them.

A run marks segments under the holds active at that moment. Before a leaf is dropped (moments later,
or days, if an open transaction blocks it) a new hold may match its records.
"""

import logging

import asyncpg

from retention.holding.holds import Holds
from retention.holding.matching import count_on_leaf, count_on_pack, resolved
from storage.database.connection import Connection
from storage.database.locks import HOLD_SPACE
from storage.database.statements import statement
from storage.filtering.filters import Filter
from storage.packs.errors import PackDamaged
from storage.packs.store import PackStore, PacksUnavailable
from storage.segments.dropping import TablesBusy, detach, put_back

_log = logging.getLogger(__name__)


class HoldCreated(TablesBusy):
    """A hold was created after the decision; the transaction was rolled back."""

    def __init__(self) -> None:
        super().__init__("a hold was created meanwhile; segments are checked again")


async def newest_hold(connection: Connection) -> int:
    """Number of the newest hold; 0: none. Later holds have higher numbers."""
    number: int = await connection.fetchval(statement("newest_hold"))
    return number


async def refuse_newer(connection: Connection, known: int) -> None:
    """Block new holds until the transaction ends. Raises HoldCreated if there is a newer one."""
    await connection.execute("SELECT pg_advisory_xact_lock($1, 0)", HOLD_SPACE)
    if await newest_hold(connection) > known:
        raise HoldCreated


async def spare_held(connection: Connection, store: PackStore | None, *, deadline_s: float) -> int:
    """Restore marked segments with held records; returns the newest hold that was checked.

    Raises TablesBusy.
    """
    known = await newest_hold(connection)
    holds = await Holds.active(connection)
    marked = [
        row
        for row in await connection.fetch(statement("retiring_segments"))
        if row["replaced_by"] is None
    ]
    if not holds.ids or not marked:
        return known
    condition = await resolved(connection, holds.condition)
    for row in marked:
        segment = row["segment"]
        if row["is_packed"]:
            if not await _has_in_pack(store, row, condition):
                continue
            await connection.execute(statement("unmark_retiring"), segment)
        else:
            if not await count_on_leaf(connection, segment, condition):
                continue
            if await connection.fetchval(statement("detaching"), f"system_logs_s{segment}"):
                await detach(connection, segment, deadline_s=deadline_s)
            await put_back(connection, segment, deadline_s=deadline_s)
        _log.warning("segment %d is kept: a new hold matches its records", segment)
    return known


async def _has_in_pack(store: PackStore | None, row: "asyncpg.Record", condition: Filter) -> bool:
    """Also True where the pack cannot be read: nothing that may be held is removed."""
    try:
        return (
            await count_on_pack(
                store, row["class_name"], row["segment"], row["data_hash"], condition
            )
            > 0
        )
    except (PackDamaged, PacksUnavailable) as error:
        _log.error("segment %d counts as held: %s", row["segment"], error)
        return True
