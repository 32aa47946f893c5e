"""Operations on one leaf of system_logs: indexes, freezing, constraint. All are idempotent.

Closed leaves have no writers, so indexes are built while others read, and an interrupted step is
rolled back by PostgreSQL and repeated the next time.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

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

TRIGRAMS = "trigrams"
BULK = ("id", "module", "action", "stream", "metadata")
"""Indexes that sealing builds, cheap ones first; and TRIGRAMS where the class has them."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Statistics of the rows of a leaf."""

    rows: int
    first_at: datetime | None
    last_at: datetime | None
    levels: tuple[str, ...]


def leaf_statement(name: str, segment: int, **placeholders: str) -> str:
    """The statement `name` of sql/leaves.sql for one leaf, with its placeholders replaced."""
    text = statement(name)
    for placeholder, value in {**placeholders, "COLUMNS": ", ".join(COPY_COLUMNS)}.items():
        text = text.replace(placeholder, value)
    return text.replace("LEAF", leaf_table(segment))


async def trigram_opclass(connection: Connection) -> str | None:
    """The trigram operator class, quoted, installed if permitted; None without pg_trgm."""
    found: str | None = await connection.fetchval(statement("trigram_opclass"))
    if found is None:
        try:
            await connection.execute(statement("install_trigrams"))
        except (asyncpg.PostgresError, OSError):
            return None
        found = await connection.fetchval(statement("trigram_opclass"))
    return found


async def build_index(
    connection: Connection, segment: int, name: str, opclass: str | None = None
) -> None:
    """Build the index `name` of BULK, or TRIGRAMS, if it does not exist."""
    text = leaf_statement(f"index_{name}", segment, OPCLASS=opclass or "")
    await connection.execute(text, timeout=LONG_S)


async def build_live_indexes(connection: Connection, segment: int) -> None:
    """Build the indexes of an open leaf, on a leaf that was filled without them."""
    await connection.execute(leaf_statement("index_live", segment), timeout=LONG_S)


async def current_xid(connection: Connection) -> str:
    """A transaction id later than all committed ones, for `freeze`."""
    number: str = await connection.fetchval(statement("current_xid"))
    return number


async def freeze(connection: Connection, segment: int, after: str) -> bool:
    """Freeze and analyse; whether every row is frozen, which an older snapshot may prevent.

    `after`: a transaction id later than those of the rows. The earlier it was taken, the fewer
    other transactions can prevent the freezing.
    """
    await connection.execute(leaf_statement("freeze_leaf", segment), timeout=LONG_S)
    table = leaf_table(segment)
    frozen: bool = await connection.fetchval(statement("leaf_is_frozen"), table, after)
    return frozen


async def facts_of(connection: Connection, segment: int) -> Facts:
    """Read the statistics of its rows."""
    row = await connection.fetchrow(leaf_statement("leaf_facts", segment), timeout=LONG_S)
    assert row is not None
    return Facts(row["rows"], row["first_at"], row["last_at"], tuple(row["levels"] or ()))


async def constrain(
    connection: Connection, segment: int, facts: Facts, *, tries: int = 20, pause_s: float = 0.25
) -> bool:
    """Add the CHECK on time and level; False when readers never released the lock."""
    if facts.rows == 0:
        return True
    state = await connection.fetchval(statement("leaf_constraint"), leaf_table(segment))
    if state is None and not await _add_check(connection, segment, facts, tries, pause_s):
        return False
    if not state:
        await connection.execute(leaf_statement("validate_check", segment), timeout=LONG_S)
    return True


async def _add_check(
    connection: Connection, segment: int, facts: Facts, tries: int, pause_s: float
) -> bool:
    quoted = [facts.first_at, facts.last_at, *facts.levels]
    first, last, *levels = [
        await connection.fetchval("SELECT quote_literal($1::text)", str(value)) for value in quoted
    ]
    text = leaf_statement("add_check", segment, FIRST=first, LAST=last, LEVELS=_commas(levels))
    for attempt in range(tries):
        if attempt:
            await asyncio.sleep(pause_s)
        if await in_a_moment(connection, text):
            return True
    return False


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


def _commas(words: Sequence[str]) -> str:
    return ", ".join(words)
