"""The hourly check: figures against counted rows, its result kept where everybody can read it."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from storage.database.connection import Connection
from storage.database.pool import DatabaseRole, connect
from storage.database.statements import statement
from storage.ledger.accounting.balance import Balance, balance

EVERY = timedelta(hours=1)
LATE_AFTER = timedelta(hours=3)
"""A check that is older than this has been missed more than once."""
_MOST_KEPT = 100
"""Differences of one check; a table that lost its rows would have one a minute."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """What the last check found."""

    began_at: datetime
    ended_at: datetime
    rows: int
    segments: int
    differences: tuple[str, ...]

    def problem(self, now: datetime) -> str:
        """What somebody should look into; empty when all is well."""
        if self.differences:
            return (
                f"{len(self.differences)} figures do not balance with the rows, as of"
                f" {self.began_at:%Y-%m-%d %H:%M}Z, first: {self.differences[0]}"
            )
        late = now - self.began_at
        if late > LATE_AFTER:
            return f"figures and rows were compared {late // timedelta(hours=1)} h ago"
        return ""


async def check(dsn: str, spools: Path) -> Balance:
    """Count every row, compare, keep and tell what does not fit."""
    began_at = datetime.now(UTC)
    connection = await connect(dsn, DatabaseRole.OWNER, name="opslog-ledger-check")
    try:
        found = await balance(connection, spools)
        kept = found.differences[:_MOST_KEPT]
        await connection.execute(
            statement("note_ledger_check"), began_at, found.rows, found.segments, kept
        )
    finally:
        await connection.close()
    for line in kept:
        _log.error("the ledger of ingest does not balance: %s", line)
    return found


async def newest_check(connection: Connection) -> LedgerCheck | None:
    """What the last check found; None: there was none yet."""
    row = await connection.fetchrow(statement("newest_ledger_check"))
    if row is None:
        return None
    return LedgerCheck(**{**row, "differences": tuple(row["differences"])})


async def check_when_due(dsn: str, spools: Path) -> None:
    """For whoever does without the queue: a check, when the last one is an hour old."""
    connection = await connect(dsn, DatabaseRole.READER, name="opslog-ledger-check")
    try:
        last = await newest_check(connection)
    finally:
        await connection.close()
    if last is None or datetime.now(UTC) - last.began_at > EVERY:
        await check(dsn, spools)
