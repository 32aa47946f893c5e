"""Filters against stored segments: SQL for a leaf, and counts of matching rows in either form."""

import asyncio
import logging
from dataclasses import dataclass

from storage.database.connection import Connection
from storage.database.read import Session
from storage.database.statements import statement
from storage.filtering.conditions import Arguments, condition_of
from storage.filtering.filters import EVERYTHING, NOTHING, Filter
from storage.filtering.prune import narrow
from storage.filtering.resolve import resolve
from storage.packs.errors import PackDamaged
from storage.packs.pack import Pack
from storage.packs.store import PackStore, PacksUnavailable
from storage.segments.catalogue import Segment
from storage.segments.leaves import LONG_S, leaf_statement
from storage.segments.zone_maps import leaf_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Selection:
    """An SQL condition for one leaf, and its arguments."""

    condition: str
    arguments: tuple[object, ...]


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
    return await resolve(Session.on(connection, LONG_S), condition)


def selection(condition: Filter) -> Selection:
    """The filter as SQL for one leaf."""
    arguments = Arguments()
    return Selection(condition_of(condition, arguments), arguments.values())


def pack_of(
    store: PackStore | None, class_name: str, segment: int, data_hash: bytes | None
) -> Pack:
    """The pack of a packed segment. Raises PackDamaged, PacksUnavailable."""
    if store is None:
        raise PacksUnavailable("storage.packs_dir is not set")
    return store.open(class_name, segment, data_hash)


async def count_on_leaf(connection: Connection, segment: int, condition: Filter) -> int:
    """Rows of a leaf that match a resolved filter."""
    chosen = selection(condition)
    text = leaf_statement("count_matching", segment, CONDITION=chosen.condition)
    count: int = await connection.fetchval(text, *chosen.arguments, timeout=LONG_S)
    return count


async def count_on_pack(
    store: PackStore | None,
    class_name: str,
    segment: int,
    data_hash: bytes | None,
    condition: Filter,
) -> int:
    """Rows of a pack that match a resolved filter. Raises PackDamaged, PacksUnavailable."""

    def count() -> int:
        return pack_of(store, class_name, segment, data_hash).count(condition)

    return await asyncio.to_thread(count)


async def count_in(
    connection: Connection,
    store: PackStore | None,
    catalogued: Catalogued,
    condition: Filter,
    segment: int,
) -> int:
    """Number of rows in a segment that match a resolved filter.

    Raises PackDamaged or PacksUnavailable where a pack has to be read and cannot be.
    """
    known = catalogued.by_number[segment]
    left = catalogued.narrowed(condition, segment)
    if left == NOTHING:
        return 0
    if left == EVERYTHING and known.rows is not None:
        return known.rows
    if known.is_packed:
        return await count_on_pack(store, known.class_name, segment, known.data_hash, left)
    return await count_on_leaf(connection, segment, left)


async def count_or_all(
    connection: Connection,
    store: PackStore | None,
    catalogued: Catalogued,
    condition: Filter,
    segment: int,
) -> int:
    """The same; all rows where the pack cannot be read, so that nothing held is removed."""
    try:
        return await count_in(connection, store, catalogued, condition, segment)
    except (PackDamaged, PacksUnavailable) as error:
        _log.error("segment %d counts as held: %s", segment, error)
        return max(catalogued.by_number[segment].rows or 0, 1)
