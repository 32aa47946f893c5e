"""Operations on one leaf of system_logs; closed leaves have no writers."""

from collections.abc import Iterable

import asyncpg

from storage.database.connection import Connection
from storage.database.statements import statement
from storage.filtering.conditions import leaf_table
from storage.record.columns import COPY_COLUMNS

LONG_S = 4 * 3600.0
"""Time limit of a step over a whole leaf."""
MOMENT_MS = 25
"""Maximum wait for a lock that blocks readers."""
IN_A_MOMENT = f"SET LOCAL lock_timeout = '{MOMENT_MS}ms'; SET LOCAL synchronous_commit = off"
"""For a transaction that ends with such a lock: the commit does not wait for the disk."""


def leaf_statement(name: str, segment: int, **placeholders: str) -> str:
    """The statement `name` of sql/leaves.sql for one leaf, with its placeholders replaced."""
    text = statement(name)
    for placeholder, value in {**placeholders, "COLUMNS": ", ".join(COPY_COLUMNS)}.items():
        text = text.replace(placeholder, value)
    return text.replace("LEAF", leaf_table(segment))


async def build_live_indexes(connection: Connection, segment: int) -> None:
    """Build the indexes of an open leaf, on a leaf that was filled without them."""
    await connection.execute(leaf_statement("index_live", segment), timeout=LONG_S)


def in_one_message(texts: Iterable[str]) -> str:
    """Several statements as one, without round trips between them."""
    return ";\n".join(text.strip().rstrip(";") for text in texts)


async def in_a_moment(connection: Connection, *texts: str) -> bool:
    """Run statements that block readers, in one transaction; False when the lock is not free.

    The commit is asynchronous, since the lock is held meanwhile: a change lost in a crash is
    repeated, and later WAL records cannot survive without it.
    """
    try:
        async with connection.transaction():
            await connection.execute(IN_A_MOMENT)
            for text in texts:
                await connection.execute(text)
    except asyncpg.LockNotAvailableError:
        return False
    return True
