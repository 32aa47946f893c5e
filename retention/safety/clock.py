"""What time it is for certain: a clock that was set forward by mistake must not drop anything.

Each look compares the system's clock with the time that the kernel counts since boot. A clock that
has leapt forward is in doubt: time goes on at the kernel's pace from the last moment that was
certain, and the clock is believed again when it has kept step for a day (two daily runs that
agree), or when an operator says so. A clock that was set back is believed at once: that can only
make retention late. Pure but for `look` and `observe`.
"""

import json
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from storage.database.connection import Connection
from storage.database.statements import statement

CONFIRM_US = 24 * 3600 * 1_000_000
"""A leap is believed after this long."""
_TOLERANCE_US = 60 * 1_000_000
_DRIFT = 0.002
"""Clocks that are steered gain or lose at most 0.05 % (adjtimex); a little more is forgiven."""
RESTART_US = 15 * 60 * 1_000_000
"""Longest gap over a restart, or to another machine's look, that is taken as it is."""


@dataclass(frozen=True, slots=True)
class Look:
    """One reading of both clocks, microseconds."""

    boot: str
    """Names this boot of this machine."""
    wall_us: int
    """Since 1970."""
    uptime_us: int
    """Since boot, suspended time included."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was certain at the last look."""

    boot: str
    safe_us: int
    """The time then."""
    uptime_us: int
    doubt: Look | None = None
    """The first look at which the clock was ahead of what could be."""


def judge(known: Known | None, look: Look) -> Known:
    """What is certain after this look."""
    if known is None:
        return Known(look.boot, look.wall_us, look.uptime_us)
    same = known.boot == look.boot
    passed_us = max(look.uptime_us - known.uptime_us, 0) if same else 0
    expected_us = known.safe_us + passed_us
    slack_us = _TOLERANCE_US + round(passed_us * _DRIFT) if same else RESTART_US
    if look.wall_us <= expected_us + slack_us:
        return Known(look.boot, look.wall_us, look.uptime_us)
    doubt = known.doubt if known.doubt and _keeps_step(known.doubt, look) else look
    if look.uptime_us - doubt.uptime_us >= CONFIRM_US:
        return Known(look.boot, look.wall_us, look.uptime_us)
    return Known(look.boot, expected_us, look.uptime_us, doubt)


def _keeps_step(doubt: Look, look: Look) -> bool:
    if doubt.boot != look.boot:
        return False
    passed_us = look.uptime_us - doubt.uptime_us
    return abs(look.wall_us - doubt.wall_us - passed_us) <= _TOLERANCE_US + passed_us * _DRIFT


@dataclass(frozen=True, slots=True)
class Now:
    """The latest time that it can be."""

    at: datetime
    doubt: str = ""
    """Why it is not what the clock says."""


def look() -> Look:
    """Both clocks of this machine."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    uptime_us = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
    return Look(boot, time.time_ns() // 1000, uptime_us)


async def observe(connection: Connection, seen: Look | None = None, *, trust: bool = False) -> Now:
    """Look, remember, and say what time it is for certain; `trust`: an operator vouches for it.

    The database's clock may only make it earlier.
    """
    seen = seen or look()
    async with connection.transaction():
        row = await connection.fetchrow(statement("read_clock"))
        known = None if row is None or row["state"] is None else _load(row["state"])
        judged = judge(None if trust else known, seen)
        await connection.execute(statement("keep_clock"), json.dumps(asdict(judged)))
        database_now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    safe = datetime.fromtimestamp(judged.safe_us / 1e6, UTC)
    if judged.doubt is None:
        return _with_database(safe, database_now)
    ahead_s = (seen.wall_us - judged.safe_us) // 1_000_000
    left_s = (CONFIRM_US - seen.uptime_us + judged.doubt.uptime_us) // 1_000_000
    return replace(
        _with_database(safe, database_now),
        doubt=f"the clock is {ahead_s} s ahead of what is certain; it is believed in {left_s} s,"
        " or after `opslog retention run --trust-clock`",
    )


def _with_database(safe: datetime, database_now: datetime) -> Now:
    behind_s = (safe - database_now).total_seconds()
    if behind_s <= _TOLERANCE_US / 1e6:
        return Now(min(safe, database_now))
    return Now(database_now, f"the database's clock is {behind_s:.0f} s behind this machine's")


def _load(text: str) -> Known:
    stored = json.loads(text)
    doubt = stored.pop("doubt")
    return Known(**stored, doubt=None if doubt is None else Look(**doubt))
