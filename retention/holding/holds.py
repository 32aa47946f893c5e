"""Legal holds: records that match the filter are exempt from retention.

A hold selects records, not segments, so it also covers records that arrive while it is active. It
ends when it is released or at its end date. Holds are never modified or deleted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from config.errors import BadInput
from retention.errors import NoSuchHold, NothingSelected
from retention.holding.matching import Catalogued, count_or_all, resolved
from retention.policy.plan import Stored
from storage.database.connection import Connection
from storage.database.statements import statement
from storage.filtering.filter_json import dump, load
from storage.filtering.filters import EVERYTHING, NOTHING, Filter, Or
from storage.ledger.entries import enter
from storage.packs.store import PackStore


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold, active or past."""

    hold_id: int
    name: str
    shown: str
    """The filter as it was entered."""
    why: str
    made_by: str
    made_at: datetime
    ends_at: datetime | None
    released_at: datetime | None
    released_by: str | None
    released_why: str | None
    filter: Filter

    def is_active(self, now: datetime) -> bool:
        """Whether it is active at `now`."""
        return self.released_at is None and (self.ends_at is None or self.ends_at > now)


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """A hold to create."""

    name: str
    filter: Filter
    shown: str
    why: str
    made_by: str
    ends_at: datetime | None = None


async def add(connection: Connection, request: HoldRequest) -> Hold:
    """Create a hold, as opslog_writer or owner; it is active when this returns.

    Raises:
        NothingSelected: the filter is empty.
        BadInput: the end is in the past.
    """
    if request.filter in {EVERYTHING, NOTHING}:
        raise NothingSelected(
            "a hold needs a filter that matches some records, not all or none", where="q"
        )
    if request.ends_at is not None and request.ends_at <= datetime.now(UTC):
        raise BadInput(f"until {request.ends_at.isoformat()} is in the past", where="until")
    async with connection.transaction():
        hold_id: int = await connection.fetchval(
            statement("add_hold"),
            request.name,
            dump(request.filter),
            request.shown,
            request.why,
            request.made_by,
            request.ends_at,
        )
        body = {
            "hold": hold_id,
            "by": request.made_by,
            "reason": request.why,
            "filter": request.shown,
        }
        await enter(connection, "hold", body)
    return await get(connection, hold_id)


async def release(connection: Connection, hold_id: int, *, by: str, why: str) -> Hold:
    """Release a hold. Raises NoSuchHold."""
    try:
        async with connection.transaction():
            await connection.execute(statement("release_hold"), hold_id, why, by)
            await enter(connection, "release", {"hold": hold_id, "by": by, "reason": why})
    except (asyncpg.ForeignKeyViolationError, asyncpg.UniqueViolationError) as error:
        raise NoSuchHold(f"there is no active hold {hold_id}") from error
    return await get(connection, hold_id)


async def get(connection: Connection, hold_id: int) -> Hold:
    """One hold. Raises NoSuchHold."""
    for hold in await all_holds(connection):
        if hold.hold_id == hold_id:
            return hold
    raise NoSuchHold(f"there is no hold {hold_id}")


async def all_holds(connection: Connection) -> list[Hold]:
    """All holds ever created, newest first."""
    rows = await connection.fetch(statement("holds"))
    return [Hold(**{**row, "filter": load(row["filter"])}) for row in rows]


@dataclass(frozen=True, slots=True)
class Holds:
    """The active holds, as one filter."""

    ids: frozenset[int]
    condition: Filter
    """Matches every record that any of them selects."""

    @classmethod
    async def active(cls, connection: Connection, now: datetime | None = None) -> "Holds":
        """The active ones; end dates are compared with the earlier of the clock and `now`."""
        at = min(now or datetime.now(UTC), datetime.now(UTC))
        active = [hold for hold in await all_holds(connection) if hold.is_active(at)]
        return cls(
            frozenset(hold.hold_id for hold in active), Or(tuple(hold.filter for hold in active))
        )

    async def count(
        self, connection: Connection, store: PackStore | None, segments: Iterable[Stored]
    ) -> dict[int, int]:
        """Held rows by segment; segments without held rows are omitted.

        All rows of a pack that cannot be read count as held.
        """
        if not self.ids:
            return {}
        condition = await resolved(connection, self.condition)
        catalogued = await Catalogued.read(connection)
        found = {}
        for stored in segments:
            rows = await count_or_all(connection, store, catalogued, condition, stored.segment)
            if rows:
                found[stored.segment] = rows
        return found
