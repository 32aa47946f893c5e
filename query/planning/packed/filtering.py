"""Which blocks of a pack to read, and which of their rows match."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from query.language.parser import conjuncts
from query.planning.compile import Columns, Key, Order
from storage.filtering.filters import (
    EVERYTHING,
    FieldEquals,
    Filter,
    TimeRange,
    all_of,
)
from storage.packs.blocks import Block
from storage.packs.errors import PackDamaged
from storage.packs.index.signature import ID_COLUMNS
from storage.packs.pack import Pack
from storage.packs.parquet.encode import Array
from storage.packs.search.candidates import Candidates
from storage.packs.search.columns import columns_of
from storage.packs.search.matching import Matcher, stored

RowKey: TypeAlias = tuple[int, int, int, int]
"""created_us, created_ns, batch_id, position: unique without the id that Key has besides."""


def key_tuple(key: Key) -> RowKey:
    """A key as scans compare it."""
    return (key.created_us, key.created_ns, key.batch_id, key.position)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows."""

    order: Order
    limit: int
    after: RowKey | None
    columns: Columns

    def rank(self, at_us: int) -> int:
        """A time such that what comes first has the least."""
        return self.order.rank(at_us)


class BlockFilter:
    """Finds the matching rows of a pack's blocks."""

    def __init__(self, condition: Filter, pack: Pack) -> None:
        of = conjuncts(condition)
        self._pack = pack
        self._spans = [item for item in of if isinstance(item, TimeRange)]
        self._rest = all_of(*[item for item in of if not isinstance(item, TimeRange)])
        self.columns = columns_of(condition, pack.plan)
        """The columns that it reads."""

    def rows(self, block: Block) -> Array:
        """The numbers of the matching rows. Raises PackDamaged."""
        zone = self._pack.blocks[block.number]
        spans = [span for span in self._spans if not _contains(span, zone)]
        return matching(block, self._pack, all_of(self._rest, *spans) if spans else self._rest)


def _contains(span: TimeRange, zone: Array) -> bool:
    """Whether all rows of a block are in a time range."""
    first_ns, last_ns = int(zone["min_created"]) * 1000, int(zone["max_created"]) * 1000 + 999
    starts = span.start_ns is None or span.start_ns <= first_ns
    return starts and (span.end_ns is None or last_ns < span.end_ns)


def matching(block: Block, pack: Pack, condition: Filter) -> Array:
    """The numbers of a block's rows that a filter selects. Raises PackDamaged."""
    if condition == EVERYTHING:
        return np.arange(block.rows)
    try:
        return np.flatnonzero(Matcher(block, pack.plan, lambda: pack.templates).of(condition))
    except (IndexError, ValueError) as error:
        raise PackDamaged(pack.path, str(error), block=block.number) from error


def id_of(where: Filter) -> tuple[str, bytes] | None:
    """(column, value) of an id that every record of a filter has, and packs have filters of."""
    for item in conjuncts(where):
        if isinstance(item, FieldEquals) and item.field.column in ID_COLUMNS:
            return item.field.column, stored(item.value)
    return None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Blocks that may have rows of a filter."""

    numbers: list[int]
    """In the order to read them."""
    blocks: int
    """Of the pack."""
    in_zones: int
    """Blocks that are not excluded by times and durations alone."""


def chosen_blocks(pack: Pack, condition: Filter, wanted: Wanted) -> Chosen:
    """The blocks that may have such rows after the key. Raises PackDamaged."""
    zones = pack.blocks
    candidates = Candidates(pack)
    chosen = candidates.in_zones(condition)
    if wanted.after is not None and wanted.order is Order.NEWEST:
        chosen &= zones["min_created"] <= wanted.after[0]
    elif wanted.after is not None:
        chosen &= zones["max_created"] >= wanted.after[0]
    in_zones = int(np.count_nonzero(chosen))
    if in_zones:
        chosen &= candidates.of(condition)
    numbers: list[int] = np.flatnonzero(chosen).tolist()
    if wanted.order is Order.NEWEST:
        numbers.reverse()
    return Chosen(numbers, len(zones), in_zones)
