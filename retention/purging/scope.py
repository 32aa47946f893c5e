"""The scope of a purge in the stored segments: rows to remove, held rows, protected rows."""

from datetime import datetime

import asyncpg

from config.settings import Settings
from retention.holding.holds import Holds
from retention.holding.matching import Catalogued, resolved
from retention.policy.catalogue import policies_in_force, stored_segments
from retention.policy.plan import Stored
from retention.policy.rules import NO_FLOOR, Policy
from storage.database.connection import Connection
from storage.filtering.conditions import Arguments, condition_of
from storage.filtering.filters import NOTHING, Filter
from storage.record.classes import AUDIT
from storage.segments.leaves import LONG_S, leaf_statement
from storage.segments.rewriting import Selection


class Scope:
    """A purge applied to the current segments."""

    def __init__(
        self,
        condition: Filter,
        holds: Holds,
        policies: dict[str, Policy],
        catalogued: Catalogued,
        requested_at: datetime,
    ) -> None:
        self.holds = holds
        self._condition = condition
        self._policies = policies
        self._catalogued = catalogued
        self._requested_at = requested_at
        self.segments: list[Stored] = []

    @classmethod
    async def read(
        cls, connection: Connection, settings: Settings, condition: Filter, requested_at: datetime
    ) -> "Scope":
        """Read the current state; segments that cannot have matching records are omitted."""
        segments = await stored_segments(connection)
        holds = await Holds.active(connection)
        scope = cls(
            await resolved(connection, condition),
            Holds(holds.ids, await resolved(connection, holds.condition)),
            await policies_in_force(connection, settings.retention, segments),
            await Catalogued.read(connection),
            requested_at,
        )
        scope.segments = [stored for stored in segments if scope._may_have(stored)]
        return scope

    def _may_have(self, stored: Stored) -> bool:
        if stored.class_name == AUDIT or stored.segment not in self._catalogued.by_number:
            return False
        return self._narrowed(stored) != NOTHING

    def _narrowed(self, stored: Stored) -> Filter:
        return self._catalogued.narrowed(self._condition, stored.segment)

    def matching(self, stored: Stored, arguments: Arguments) -> str:
        """Condition: matching records."""
        requested_at = arguments.add(self._requested_at, "timestamptz")
        # Audit records have their own class; one stored elsewhere is kept as well.
        return (
            f"({condition_of(self._narrowed(stored), arguments)})"
            f" AND received_at <= {requested_at} AND kind <> 'a'"
        )

    def purgeable(self, stored: Stored, arguments: Arguments) -> str:
        """Condition: matching records that are neither held nor below the minimum age."""
        policy = self._policies.get(stored.class_name)
        oldest = self._requested_at - (policy.floor if policy else NO_FLOOR)
        return (
            f"{self.matching(stored, arguments)}"
            f" AND received_at <= {arguments.add(oldest, 'timestamptz')}"
            f" AND ({condition_of(self.holds.condition, arguments)}) IS NOT TRUE"
        )

    async def count(self, connection: Connection, stored: Stored) -> "asyncpg.Record":
        """Rows: matching, held, purgeable."""
        arguments = Arguments()
        text = leaf_statement(
            "count_purge",
            stored.segment,
            MATCHING=self.matching(stored, arguments),
            ONHOLD=condition_of(self.holds.condition, arguments),
            PURGEABLE=self.purgeable(stored, arguments),
        )
        row = await connection.fetchrow(text, *arguments.values(), timeout=LONG_S)
        assert row is not None
        return row

    def keeping(self, stored: Stored) -> Selection:
        """The rows of a segment to keep."""
        arguments = Arguments()
        return Selection(f"({self.purgeable(stored, arguments)}) IS NOT TRUE", arguments.values())
