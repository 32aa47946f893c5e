"""What is done every half minute: finish what was begun or asked for, seal, and catch up.

Each part is short when there is nothing to do, takes its own lock, and a failure of one does not
keep the others from their work.
"""

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from config.settings import Settings
from retention.expiry.limit import enforce_size_limit
from retention.expiry.run import expire
from retention.purging.execution import carry_out_confirmed
from retention.safety.clock import observe
from retention.segments.runs import Report
from retention.segments.seal import Sealed, seal_all
from storage.database.pool import DatabaseRole, connect
from storage.database.statements import statement

_log = logging.getLogger(__name__)

MISSED_AFTER = timedelta(hours=25)
"""An expiry that is this late was missed: the machine was off at its time, or the queue was."""
UNFINISHED_AFTER = timedelta(minutes=10)
"""A run that stopped because somebody was in the way is tried again after this."""


@dataclass(slots=True)
class MaintenanceResult:
    """What was done."""

    sealed: Sealed = field(default_factory=Sealed)
    runs: list[Report] = field(default_factory=list)


async def tend(dsn: str, settings: Settings) -> MaintenanceResult:
    """One round."""
    done = MaintenanceResult()
    for purge in await carry_out_confirmed(dsn, settings):
        done.runs.append(purge)
    reason = await _expiry_is_wanted(dsn)
    if reason:
        done.runs.append(await expire(dsn, settings, trigger=reason))
    limited = await enforce_size_limit(dsn, settings)
    if limited is not None:
        done.runs.append(limited)
    done.sealed = await seal_all(dsn, settings.storage)
    return done


async def _expiry_is_wanted(dsn: str) -> str:
    """Why an expiry is run besides its time of day; empty: it is not. Looks at the clock, too."""
    connection = await connect(dsn, DatabaseRole.OWNER, name="opslog-retention")
    try:
        await observe(connection)
        row = await connection.fetchrow(statement("newest_expiry"))
    finally:
        await connection.close()
    now = datetime.now(UTC)
    if row is None or now - row["began_at"] > MISSED_AFTER:
        return "catching up"
    if row["outcome"] == "stopped" and now - row["began_at"] > UNFINISHED_AFTER:
        return "going on"
    return ""
