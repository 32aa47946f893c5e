"""Filters against stored segments: conditions for one leaf, and counts of matching rows."""

from dataclasses import dataclass

from storage.database.connection import Connection
from storage.database.read import Session
from storage.database.statements import statement
from storage.filtering.conditions import Arguments, condition_of
from storage.filtering.filters import EVERYTHING, NOTHING, Filter
from storage.filtering.prune import narrow
from storage.filtering.resolve import resolve
from storage.segments.catalogue import Segment
from storage.segments.leaves import LONG_S, leaf_statement
from storage.segments.rewriting import Selection
from storage.segments.zone_maps import leaf_of


@dataclass(frozen=True, slots=True)
class Catalogued:
    """The current catalogue rows by number; they narrow filters."""

    by_number: dict[int, Segment]

    @classmethod
    async def read(cls, connection: Connection) -> "Catalogued":
        """Read the catalogue."""
        rows = await connection.fetch(statement("catalogue"))
        return cls({row["number"]: Segment(**row) for row in rows})

    def narrowed(self, condition: Filter, segment: int) -> Filter:
        """The filter reduced to what can match in a segment."""
        return narrow(condition, leaf_of(self.by_number[segment]))


async def resolved(connection: Connection, condition: Filter) -> Filter:
    """The filter with resources replaced by their current streams."""
    return await resolve(Session(connection, LONG_S), condition)


def selection(condition: Filter) -> Selection:
    """The filter as SQL for one leaf."""
    arguments = Arguments()
    return Selection(condition_of(condition, arguments), arguments.values())


async def count_in(
    connection: Connection, catalogued: Catalogued, condition: Filter, segment: int
) -> int:
    """Number of rows in a segment that match a resolved filter."""
    left = catalogued.narrowed(condition, segment)
    if left == NOTHING:
        return 0
    known = catalogued.by_number[segment].rows
    if left == EVERYTHING and known is not None:
        return known
    chosen = selection(left)
    text = leaf_statement("count_matching", segment, CONDITION=chosen.condition)
    count: int = await connection.fetchval(text, *chosen.arguments, timeout=LONG_S)
    return count
