"""Maintenance, every 30 s: confirmed purges, missed or stopped expiry, size limit.

Packing has jobs of its own; without a packer, `packs` does it here as well.

Each part takes its own lock and returns quickly when there is nothing to do.
"""

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from config.settings import Settings
from retention.expiry.limit import enforce_size_limit
from retention.expiry.run import expire
from retention.packing.run import PackRun, pack_all
from retention.purging.execution import run_confirmed_purges
from retention.safety.clock import observe
from retention.segments.runs import CATCH_UP, RETRY, Report
from storage.database.pool import DatabaseRole, connect
from storage.database.statements import statement

_log = logging.getLogger(__name__)

MISSED_AFTER = timedelta(hours=25)
"""An expiry this late was missed, for instance because the machine or the queue was down."""
UNFINISHED_AFTER = timedelta(minutes=10)
"""A run that stopped because of a conflicting transaction is retried after this."""


@dataclass(slots=True)
class MaintenanceResult:
    """What one maintenance run did."""

    packed: PackRun = field(default_factory=PackRun)
    runs: list[Report] = field(default_factory=list)


async def maintain(dsn: str, settings: Settings, *, packs: bool = False) -> MaintenanceResult:
    """Run maintenance once; with `packs`, also pack closed segments."""
    done = MaintenanceResult()
    for purge in await run_confirmed_purges(dsn, settings):
        done.runs.append(purge)
    reason = await _expiry_trigger(dsn)
    if reason:
        done.runs.append(await expire(dsn, settings, trigger=reason))
    limited = await enforce_size_limit(dsn, settings)
    if limited is not None:
        done.runs.append(limited)
    if packs:
        done.packed = await pack_all(dsn, settings)
    return done


async def _expiry_trigger(dsn: str) -> str:
    """Why to run an extra expiry; empty: no need. Also records a clock observation."""
    connection = await connect(dsn, DatabaseRole.OWNER, name="opslog-retention")
    try:
        await observe(connection)
        row = await connection.fetchrow(statement("newest_expiry"))
    finally:
        await connection.close()
    now = datetime.now(UTC)
    if row is None or now - row["began_at"] > MISSED_AFTER:
        return CATCH_UP
    if row["outcome"] == "stopped" and now - row["began_at"] > UNFINISHED_AFTER:
        return RETRY
    return ""
