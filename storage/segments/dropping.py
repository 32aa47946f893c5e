"""Taking a leaf out of system_logs and away, beside readers and writers.

detach      DETACH PARTITION … CONCURRENTLY: waits for those who were there before, and holds
            nobody up; interrupted, it is finished by the next attempt. Before that, some together
            by a plain DETACH, if its lock is free within milliseconds
drop        DROP TABLE of detached leaves, in the transaction that says so
put back    a leaf that is wanted after all
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from storage.database.connection import Connection
from storage.database.statements import statement
from storage.filtering.conditions import leaf_table
from storage.segments.leaves import MOMENT_MS, in_a_moment, in_one_message, leaf_statement

_ATTEMPT_S = 5.0
"""One attempt to detach; the next one finishes what it began."""
_RETRY_S = 0.05
TOGETHER = 8
"""Leaves that are detached in one moment: half a millisecond each, in which readers wait."""
_TRIES = 4


class InTheWay(Exception):
    """Somebody's transaction did not let go of the tables; the message says whose."""


async def detach(connection: Connection, segment: int, *, deadline_s: float) -> None:
    """Detach a leaf, or finish an interrupted detaching. Nothing where it is detached already.

    `deadline_s` is a time.monotonic(). Raises InTheWay.
    """
    while True:
        pending = await connection.fetchval(statement("detaching"), leaf_table(segment))
        if pending is None:
            return
        name = "finish_detaching" if pending else "detach_leaf"
        await connection.execute(f"SET statement_timeout = '{round(_ATTEMPT_S * 1000)}ms'")
        try:
            await connection.execute(leaf_statement(name, segment))
        except (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError):
            await _or_give_up(connection, deadline_s)
        finally:
            if not connection.is_closed():
                await connection.execute("RESET statement_timeout")


async def detach_together(connection: Connection, segments: Sequence[int]) -> None:
    """Detach up to TOGETHER leaves in one moment, where readers and writers leave one.

    One after the other, each would wait for the transactions of the writers. What is still
    attached afterwards is for `detach`, which waits and holds nobody up.
    """
    for attempt in range(_TRIES):
        if attempt:
            await asyncio.sleep(_RETRY_S)
        texts = [leaf_statement("unplug_leaf", n) for n in await attached(connection, segments)]
        if not texts:
            return
        # Not even queueing: who comes after one that waits for such a lock waits behind it.
        if await in_a_moment(connection, in_one_message([statement("parent_for_us"), *texts])):
            return


async def attached(connection: Connection, segments: Sequence[int]) -> list[int]:
    """Those of the segments whose leaf is still in system_logs."""
    rows = await connection.fetch(statement("attached_of"), list(map(leaf_table, segments)))
    return [row["segment"] for row in rows]


async def finish_all(connection: Connection, *, deadline_s: float) -> None:
    """Finish what was interrupted: only one leaf may be on its way out at a time."""
    for row in await connection.fetch(statement("half_detached")):
        await detach(connection, row["segment"], deadline_s=deadline_s)


async def drop(
    connection: Connection,
    segments: Sequence[int],
    saying: Callable[[], Awaitable[None]],
    *,
    deadline_s: float,
) -> None:
    """Drop detached leaves; `saying` writes what is to be true with it, in the same transaction.

    Raises InTheWay when somebody reads it until the deadline.
    """
    while True:
        try:
            async with connection.transaction():
                texts = [leaf_statement("drop_leaf", segment) for segment in segments]
                limit = f"SET LOCAL lock_timeout = '{MOMENT_MS}ms'"
                await connection.execute(in_one_message([limit, *texts]))
                await saying()
        except asyncpg.LockNotAvailableError:
            await _or_give_up(connection, deadline_s)
        else:
            return


async def put_back(connection: Connection, segment: int, *, deadline_s: float) -> None:
    """A marked segment is in system_logs again, and questions go there. Raises InTheWay."""
    while True:
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{MOMENT_MS}ms'")
                if await connection.fetchrow(statement("detaching"), leaf_table(segment)) is None:
                    text = leaf_statement("plug_leaf", segment, SEGMENT=str(segment))
                    await connection.execute(text)
                await connection.execute(statement("unmark_retiring"), segment)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            await _or_give_up(connection, deadline_s)
        else:
            return


async def _or_give_up(connection: Connection, deadline_s: float) -> None:
    if time.monotonic() < deadline_s:
        await asyncio.sleep(_RETRY_S)
        return
    row = await connection.fetchrow(statement("in_the_way"))
    if row is None:
        raise InTheWay("the tables are in use")
    since = "" if row["age_s"] is None else f" since {row['age_s']:.0f} s"
    raise InTheWay(
        f"process {row['pid']} ({row['application_name'] or 'no name'}, {row['usename']}) has "
        f"system_logs in use{since}"
    )
