"""How it stands: the oldest record of each class against its policy, and what is not sealed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from config.settings import Settings
from retention.expiry.limit import excess_problem
from retention.policy.catalogue import retiring_segments, policies_in_force, stored_segments
from retention.policy.plan import Stored
from retention.policy.rules import Policy
from storage.database.connection import Connection
from storage.database.statements import statement

ONE_RUN = timedelta(days=1, hours=1)
"""From one run of the job to the end of the next."""
_MS_PER_ROW = 0.04
"""Until something was sealed here: 40 us a row, as measured on two shared cores."""


@dataclass(frozen=True, slots=True)
class ClassStatus:
    """One class."""

    class_name: str
    policy: Policy | None
    """None: no rule speaks of it, so nothing of it goes."""
    segments: int
    rows: int
    size: int
    """COPY bytes."""
    disk_bytes: int | None
    """Of its sealed segments."""
    held_segments: int
    """Segments that have only records which were due and which holds keep."""
    oldest: datetime | None
    """First arrival that is still there, held ones apart."""
    due_at: datetime | None
    """When the oldest segment goes."""
    overdue: timedelta
    """How much later it is than a segment's age limit and one run allow; else 0."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits to be sealed."""

    segments: int
    rows: int
    seconds: float
    """Until it is cleared, at the pace of late."""
    unfinished: int
    """Sealed, but not frozen or constrained yet."""
    damaged: int
    """Segments whose rows are not what was received."""


@dataclass(frozen=True, slots=True)
class Status:
    """All of it."""

    now: datetime
    classes: tuple[ClassStatus, ...]
    backlog: Backlog
    last_run: datetime | None
    """The last expiry that ended well."""
    size_problem: str = ""
    """The store is too large and stays so; empty: it is not."""

    @property
    def problems(self) -> list[str]:
        """What somebody should look into, for /readyz."""
        found = [
            f"class {each.class_name}: records are {_hours(each.overdue)} overdue"
            for each in self.classes
            if each.overdue
        ]
        found += [
            f"no retention rule speaks of class {each.class_name}: it grows for ever"
            for each in self.classes
            if each.policy is None
        ]
        if self.size_problem:
            found.append(self.size_problem)
        if self.backlog.damaged:
            found.append(f"{self.backlog.damaged} segments are not what was received")
        return found


async def status_of(connection: Connection, settings: Settings, now: datetime) -> Status:
    """How it stands; any role."""
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
    )


def class_status(
    policies: Mapping[str, Policy], segments: Iterable[Stored], now: datetime, late: timedelta
) -> Iterable[ClassStatus]:
    """One line a class that has a policy or records. Pure."""
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
    sealed = [stored.disk_bytes for stored in segments if stored.disk_bytes is not None]
    return ClassStatus(
        name,
        policy,
        len(segments),
        sum(stored.rows for stored in segments),
        sum(stored.size for stored in segments),
        sum(sealed) if sealed else None,
        len(segments) - len(own),
        oldest,
        min(map(policy.due_at, ends)) if policy and ends else None,
        overdue,
    )


async def backlog_of(connection: Connection) -> Backlog:
    """What waits to be sealed."""
    row = await connection.fetchrow(statement("seal_backlog"))
    assert row is not None
    seconds = row["rows"] * (row["ms_per_row"] or _MS_PER_ROW) / 1000
    return Backlog(row["segments"], row["rows"], seconds, row["unfinished"], row["damaged"])


def _hours(period: timedelta) -> str:
    return f"{period.total_seconds() / 3600:.0f} h"
