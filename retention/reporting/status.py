"""Status: the oldest record of each class against its policy, and the packing backlog."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from config.settings import Settings
from retention.expiry.limit import excess_problem
from retention.packing.places import problem_with_packs
from retention.policy.catalogue import policies_in_force, retiring_segments, stored_segments
from retention.policy.plan import Stored
from retention.policy.rules import Policy
from storage.database.connection import Connection
from storage.database.statements import statement

ONE_RUN = timedelta(days=1, hours=1)
"""Longest time from the start of one run to the end of the next."""
_MS_PER_ROW = 0.02
"""Before the first packing."""


@dataclass(frozen=True, slots=True)
class ClassStatus:
    """One class."""

    class_name: str
    policy: Policy | None
    """None: no rule covers it, so its records are kept for ever."""
    segments: int
    rows: int
    size: int
    """COPY bytes."""
    disk_bytes: int | None
    """Disk space of its packs."""
    held_segments: int
    """Segments with only expired records that are under a hold."""
    oldest: datetime | None
    """Oldest arrival still stored, without held records."""
    due_at: datetime | None
    """When the oldest segment expires."""
    overdue: timedelta
    """Delay beyond the segment age limit and one run; else 0."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """The packing backlog."""

    segments: int
    rows: int
    seconds: float
    """Estimated time to clear it, at the recent rate."""
    lag_s: float
    """Time since the oldest of them was closed."""
    leaves: int
    """Packed segments whose leaf is not dropped yet."""
    damaged: int
    """Segments whose rows differ from what was received."""


@dataclass(frozen=True, slots=True)
class Status:
    """Status of all classes."""

    now: datetime
    classes: tuple[ClassStatus, ...]
    backlog: Backlog
    last_run: datetime | None
    """Start of the last successful expiry."""
    size_problem: str = ""
    """The store stays above its size limit; empty: it does not."""
    packs_problem: str = ""
    """Why this process can neither write nor read packs; empty: it can."""

    @property
    def problems(self) -> list[str]:
        """Problems that need attention, for /readyz."""
        found = [
            f"class {each.class_name}: records are {_hours(each.overdue)} overdue"
            for each in self.classes
            if each.overdue
        ]
        found += [
            f"no retention rule covers class {each.class_name}: it grows without limit"
            for each in self.classes
            if each.policy is None
        ]
        if self.size_problem:
            found.append(self.size_problem)
        if self.packs_problem:
            found.append(self.packs_problem)
        if self.backlog.damaged:
            found.append(f"{self.backlog.damaged} segments differ from what was received")
        return found


async def status_of(connection: Connection, settings: Settings, now: datetime) -> Status:
    """Read the status; any role."""
    segments = await stored_segments(connection) + await retiring_segments(connection)
    found = await policies_in_force(connection, settings.retention, segments)
    late = timedelta(seconds=settings.storage.segment_age_s) + ONE_RUN
    last = await connection.fetchrow(statement("last_run"), "expire")
    return Status(
        now,
        tuple(class_status(found, segments, now, late)),
        await backlog_of(connection),
        last["began_at"] if last else None,
        await excess_problem(connection, settings, segments, found, now),
        await problem_with_packs(connection, settings),
    )


def class_status(
    policies: Mapping[str, Policy], segments: Iterable[Stored], now: datetime, late: timedelta
) -> Iterable[ClassStatus]:
    """One status per class that has a policy or records. Pure."""
    by_class: dict[str, list[Stored]] = {name: [] for name in policies}
    for stored in segments:
        by_class.setdefault(stored.class_name, []).append(stored)
    for name, all_of_it in sorted(by_class.items()):
        policy = policies.get(name)
        yield _one(name, policy, all_of_it, now, late)


def _one(
    name: str, policy: Policy | None, segments: list[Stored], now: datetime, late: timedelta
) -> ClassStatus:
    own = [stored for stored in segments if not stored.is_hold]
    oldest = min((stored.oldest for stored in own if stored.oldest), default=None)
    ends = [stored.newest for stored in own if stored.newest and stored.state != "open"]
    overdue = timedelta(0)
    if policy and oldest:
        overdue = max(now - (oldest + policy.keep + late), timedelta(0))
    packed = [stored.disk_bytes for stored in segments if stored.disk_bytes is not None]
    return ClassStatus(
        name,
        policy,
        len(segments),
        sum(stored.rows for stored in segments),
        sum(stored.size for stored in segments),
        sum(packed) if packed else None,
        len(segments) - len(own),
        oldest,
        min(map(policy.due_at, ends)) if policy and ends else None,
        overdue,
    )


async def backlog_of(connection: Connection) -> Backlog:
    """The packing backlog."""
    row = await connection.fetchrow(statement("pack_backlog"))
    assert row is not None
    seconds = row["rows"] * (row["ms_per_row"] or _MS_PER_ROW) / 1000
    return Backlog(
        row["segments"], row["rows"], seconds, row["lag_s"], row["leaves"], row["damaged"]
    )


def _hours(period: timedelta) -> str:
    return f"{period.total_seconds() / 3600:.0f} h"
