"""Detaching and dropping leaves of system_logs, concurrently with readers and writers.

detach      DETACH PARTITION … CONCURRENTLY: waits for running transactions without blocking new
            ones; an interrupted one is finished by the next attempt. Before that, several together
            by a plain DETACH, if its lock is free within milliseconds
drop        DROP TABLE of detached leaves, in the transaction of their ledger entry
put back    reattach a leaf that must be kept
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
"""Duration of one attempt to detach; the next attempt finishes it."""
_RETRY_S = 0.05
TOGETHER = 8
"""Leaves detached in one transaction: readers wait half a millisecond for each."""
_TRIES = 4


class TablesBusy(Exception):
    """Another transaction did not release the tables in time; the message identifies it."""


async def detach(connection: Connection, segment: int, *, deadline_s: float) -> None:
    """Detach a leaf, or finish an interrupted detach. Does nothing if it is detached already.

    `deadline_s` is a time.monotonic(). Raises TablesBusy.
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
    """Detach up to TOGETHER leaves in one short transaction, if the lock is free.

    One by one, each would wait for the writers' transactions. Leaves that are still attached
    afterwards are left to `detach`, which waits without blocking others.
    """
    for attempt in range(_TRIES):
        if attempt:
            await asyncio.sleep(_RETRY_S)
        texts = [leaf_statement("unplug_leaf", n) for n in await attached(connection, segments)]
        if not texts:
            return
        # NOWAIT: all later statements would queue behind one that waits for this lock.
        if await in_a_moment(connection, in_one_message([statement("lock_parent"), *texts])):
            return


async def attached(connection: Connection, segments: Sequence[int]) -> list[int]:
    """Those of the segments whose leaf is still in system_logs."""
    rows = await connection.fetch(statement("attached_of"), list(map(leaf_table, segments)))
    return [row["segment"] for row in rows]


async def finish_all(connection: Connection, *, deadline_s: float) -> None:
    """Finish interrupted detaches: only one leaf may be pending at a time."""
    for row in await connection.fetch(statement("half_detached")):
        await detach(connection, row["segment"], deadline_s=deadline_s)


async def drop(
    connection: Connection,
    segments: Sequence[int],
    record_change: Callable[[], Awaitable[None]],
    *,
    deadline_s: float,
) -> None:
    """Drop detached leaves; `record_change` runs in the same transaction.

    Raises TablesBusy when they are read until the deadline.
    """
    while True:
        try:
            async with connection.transaction():
                texts = [leaf_statement("drop_leaf", segment) for segment in segments]
                limit = f"SET LOCAL lock_timeout = '{MOMENT_MS}ms'"
                await connection.execute(in_one_message([limit, *texts]))
                await record_change()
        except asyncpg.LockNotAvailableError:
            await _or_give_up(connection, deadline_s)
        else:
            return


async def put_back(connection: Connection, segment: int, *, deadline_s: float) -> None:
    """Reattach a marked segment to system_logs, so queries read it again. Raises TablesBusy."""
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
    row = await connection.fetchrow(statement("blocking_transaction"))
    if row is None:
        raise TablesBusy("the tables are in use")
    since = "" if row["age_s"] is None else f" for {row['age_s']:.0f} s"
    raise TablesBusy(
        f"process {row['pid']} ({row['application_name'] or 'no name'}, {row['usename']}) has "
        f"been using system_logs{since}"
    )
