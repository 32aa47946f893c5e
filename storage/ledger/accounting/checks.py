"""The hourly check of the counters against the counted rows; the result is stored."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from storage.database.connection import Connection
from storage.database.pool import DatabaseRole, connect
from storage.database.statements import statement
from storage.ledger.accounting.balance import Balance, balance
from storage.packs.store import store_at

EVERY = timedelta(hours=1)
LATE_AFTER = timedelta(hours=3)
"""If the last check is older, more than one was missed."""
_MAX_STORED = 100
"""Maximum number of differences per check; a table that lost its rows has one per minute."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """The result of a check."""

    began_at: datetime
    ended_at: datetime
    rows: int
    segments: int
    differences: tuple[str, ...]

    def problem(self, now: datetime) -> str:
        """What an operator should investigate; empty when there is nothing."""
        if self.differences:
            return (
                f"{len(self.differences)} counters do not match the rows, as of"
                f" {self.began_at:%Y-%m-%d %H:%M}Z, first: {self.differences[0]}"
            )
        late = now - self.began_at
        if late > LATE_AFTER:
            return f"counters and rows were last compared {late // timedelta(hours=1)} h ago"
        return ""


async def check(dsn: str, spools: Path, packs: Path | None = None) -> Balance:
    """Count all rows, compare, store and log the differences."""
    began_at = datetime.now(UTC)
    connection = await connect(dsn, DatabaseRole.OWNER, name="opslog-ledger-check")
    try:
        found = await balance(connection, spools, store_at(packs))
        differences = found.differences[:_MAX_STORED]
        await connection.execute(
            statement("note_ledger_check"), began_at, found.rows, found.segments, differences
        )
    finally:
        await connection.close()
    for line in differences:
        _log.error("the ingest ledger is not balanced: %s", line)
    return found


async def newest_check(connection: Connection) -> LedgerCheck | None:
    """The last check; None if there was none yet."""
    row = await connection.fetchrow(statement("newest_ledger_check"))
    if row is None:
        return None
    return LedgerCheck(**{**row, "differences": tuple(row["differences"])})


async def check_when_due(dsn: str, spools: Path, packs: Path | None = None) -> None:
    """Run a check if the last one is an hour old; the fallback without the job queue."""
    connection = await connect(dsn, DatabaseRole.READER, name="opslog-ledger-check")
    try:
        last = await newest_check(connection)
    finally:
        await connection.close()
    if last is None or datetime.now(UTC) - last.began_at > EVERY:
        await check(dsn, spools, packs)
