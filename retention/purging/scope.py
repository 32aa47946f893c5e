"""The scope of a purge in the stored segments: rows to remove, held rows, protected rows."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from config.settings import Settings
from retention.holding.holds import Holds
from retention.holding.matching import Catalogued, pack_of, resolved
from retention.policy.catalogue import policies_in_force, stored_segments
from retention.policy.plan import Stored
from retention.policy.rules import NO_FLOOR, Policy
from storage.database.connection import Connection
from storage.filtering.conditions import Arguments, condition_of
from storage.filtering.filters import NOTHING, Filter
from storage.packs.blocks import Block
from storage.packs.pack import Pack
from storage.packs.store import PackStore, store_at
from storage.record.classes import AUDIT
from storage.record.fields import Kind
from storage.record.times import microseconds_of
from storage.segments.leaves import LONG_S, leaf_statement


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of one segment."""

    matching: int
    held: int
    """Of those, the rows that a legal hold keeps."""
    purgeable: int
    """Of those, the rows to remove."""


class Scope:
    """A purge applied to the current segments."""

    def __init__(
        self,
        condition: Filter,
        holds: Holds,
        policies: dict[str, Policy],
        catalogued: Catalogued,
        *,
        requested_at: datetime,
        store: PackStore | None,
    ) -> None:
        self._store = store
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
            requested_at=requested_at,
            store=store_at(settings.packs_dir),
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
        oldest = arguments.add(self._youngest(stored), "timestamptz")
        return (
            f"{self.matching(stored, arguments)}"
            f" AND received_at <= {oldest}"
            f" AND ({condition_of(self.holds.condition, arguments)}) IS NOT TRUE"
        )

    def _youngest(self, stored: Stored) -> datetime:
        """The latest arrival of a record that may be purged."""
        policy = self._policies.get(stored.class_name)
        return self._requested_at - (policy.floor if policy else NO_FLOOR)

    async def count(self, connection: Connection, stored: Stored) -> Counts:
        """Rows of a segment. Raises PackDamaged, PacksUnavailable."""
        known = self._catalogued.by_number[stored.segment]
        if known.is_packed:
            return await asyncio.to_thread(
                lambda: self._count_pack(
                    pack_of(self._store, known.class_name, known.number, known.data_hash), stored
                )
            )
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
        return Counts(row["matching"], row["held"], row["purgeable"])

    def _count_pack(self, pack: Pack, stored: Stored) -> Counts:
        matching = held = purgeable = 0
        for number in pack.candidate_blocks(self._narrowed(stored)):
            found, on_hold, gone = self._rows(pack, pack.block(number), stored)
            matching, held, purgeable = (
                matching + len(found),
                held + len(on_hold),
                purgeable + len(gone),
            )
        return Counts(matching, held, purgeable)

    def rows_to_purge(self, pack: Pack, block: Block, stored: Stored) -> Sequence[int]:
        """The rows of a block to remove."""
        return sorted(self._rows(pack, block, stored)[2])

    def _rows(
        self, pack: Pack, block: Block, stored: Stored
    ) -> tuple[set[int], set[int], set[int]]:
        """Rows of a block: matching, of those held, of those to remove."""
        found = set(pack.matches(block.number, self._narrowed(stored)))
        if not found:
            return set(), set(), set()
        arrived = block.get("received_at").array().tolist()
        kinds = block.get("kind").values()
        requested_us = microseconds_of(self._requested_at)
        youngest_us = microseconds_of(self._youngest(stored))
        found = {
            row for row in found
            if arrived[row] <= requested_us and kinds[row] != Kind.AUDIT.value
        }  # fmt: skip
        on_hold = found & set(pack.matches(block.number, self.holds.condition)) if found else set()
        return found, on_hold, {row for row in found - on_hold if arrived[row] <= youngest_us}
