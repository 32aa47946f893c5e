"""The trusted time: a clock that was set forward by mistake must not expire anything.

Each observation compares the wall clock with the kernel's time since boot. A clock that has jumped
forward is in doubt: the trusted time advances from the last certain moment at the kernel's rate,
until the clock has run steadily for a day (two daily runs that agree) or an operator confirms it.
A clock that was set back is trusted at once: that can only delay retention. Pure except for
`read_clocks` and `observe`.
"""

import json
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from storage.database.connection import Connection
from storage.database.statements import statement

CONFIRM_US = 24 * 3600 * 1_000_000
"""A jump is accepted after this long."""
_TOLERANCE_US = 60 * 1_000_000
_DRIFT = 0.002
"""A disciplined clock drifts at most 0.05 % (adjtimex); the tolerance is a little larger."""
RESTART_US = 15 * 60 * 1_000_000
"""Longest accepted gap over a restart, or to an observation by another machine."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of both clocks, in microseconds. Field names are stored."""

    boot: str
    """Boot id of this machine."""
    wall_us: int
    """Since 1970."""
    uptime_us: int
    """Since boot, suspended time included."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """The trusted time at the last observation. Field names are stored."""

    boot: str
    safe_us: int
    """The trusted time."""
    uptime_us: int
    doubt: Reading | None = None
    """The first reading at which the clock was ahead of the possible time."""


def judge(known: Trusted | None, reading: Reading) -> Trusted:
    """The trusted time after a reading."""
    if known is None:
        return Trusted(reading.boot, reading.wall_us, reading.uptime_us)
    same = known.boot == reading.boot
    passed_us = max(reading.uptime_us - known.uptime_us, 0) if same else 0
    expected_us = known.safe_us + passed_us
    slack_us = _TOLERANCE_US + round(passed_us * _DRIFT) if same else RESTART_US
    if reading.wall_us <= expected_us + slack_us:
        return Trusted(reading.boot, reading.wall_us, reading.uptime_us)
    doubt = known.doubt if known.doubt and _runs_steadily(known.doubt, reading) else reading
    if reading.uptime_us - doubt.uptime_us >= CONFIRM_US:
        return Trusted(reading.boot, reading.wall_us, reading.uptime_us)
    return Trusted(reading.boot, expected_us, reading.uptime_us, doubt)


def _runs_steadily(doubt: Reading, reading: Reading) -> bool:
    if doubt.boot != reading.boot:
        return False
    passed_us = reading.uptime_us - doubt.uptime_us
    return abs(reading.wall_us - doubt.wall_us - passed_us) <= _TOLERANCE_US + passed_us * _DRIFT


@dataclass(frozen=True, slots=True)
class Now:
    """The trusted time: the latest that it can be."""

    at: datetime
    doubt: str = ""
    """Why it differs from the clock; empty: it does not."""


def read_clocks() -> Reading:
    """Read both clocks of this machine."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    uptime_us = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
    return Reading(boot, time.time_ns() // 1000, uptime_us)


async def observe(
    connection: Connection, reading: Reading | None = None, *, trust: bool = False
) -> Now:
    """Read the clocks, store the state, return the trusted time; `trust`: an operator confirms it.

    The database's clock can only make it earlier.
    """
    reading = reading or read_clocks()
    async with connection.transaction():
        row = await connection.fetchrow(statement("read_clock"))
        known = None if row is None or row["state"] is None else _load(row["state"])
        state = judge(None if trust else known, reading)
        await connection.execute(statement("keep_clock"), json.dumps(asdict(state)))
        database_now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    safe = datetime.fromtimestamp(state.safe_us / 1e6, UTC)
    if state.doubt is None:
        return _with_database(safe, database_now)
    ahead_s = (reading.wall_us - state.safe_us) // 1_000_000
    left_s = (CONFIRM_US - reading.uptime_us + state.doubt.uptime_us) // 1_000_000
    return replace(
        _with_database(safe, database_now),
        doubt=f"the clock is {ahead_s} s ahead of the trusted time; it will be trusted in"
        f" {left_s} s, or after `opslog retention run --trust-clock`",
    )


def _with_database(safe: datetime, database_now: datetime) -> Now:
    behind_s = (safe - database_now).total_seconds()
    if behind_s <= _TOLERANCE_US / 1e6:
        return Now(min(safe, database_now))
    return Now(database_now, f"the database's clock is {behind_s:.0f} s behind this machine's")


def _load(text: str) -> Trusted:
    stored = json.loads(text)
    doubt = stored.pop("doubt")
    return Trusted(**stored, doubt=None if doubt is None else Reading(**doubt))
