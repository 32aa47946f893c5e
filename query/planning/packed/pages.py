"""The first rows of a filter in order, over many packs: a heap of packs and blocks by time.

A pack is opened, and a block read, only when its rows can be before those found so far. Of a
block, the columns of the filter are read; the others only for the rows of the page.
"""

import heapq
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from query.planning.compile import LeafFilter, Order
from query.planning.explain import Explain, Skipped, Stage
from query.planning.packed.filtering import (
    BlockFilter,
    Chosen,
    RowKey,
    Wanted,
    chosen_blocks,
    id_of,
)
from query.planning.packed.reading import PackReader
from query.planning.packed.values import rows_of
from storage.packs.blocks import Block
from storage.packs.errors import PackDamaged
from storage.packs.pack import Pack
from storage.packs.parquet.encode import Array

_RELEASE_EVERY = 32
"""Blocks after which the file's pages are given back."""
_BLOCKS = 16
"""Decoded blocks that a scan keeps for the rows of its page."""
_FEW = 4
"""Packs that are opened rather than looked up in the filters of their class."""
_AHEAD, _FARTHEST_AHEAD = 4, 32
"""Blocks that are fetched from disk together; twice as many each time."""


class _Opened:
    """A pack, and its blocks that are left, in order."""

    __slots__ = ("_ahead", "_fetched", "blocks", "filter", "next", "pack", "part")

    def __init__(self, part: LeafFilter, pack: Pack, blocks: list[int]) -> None:
        self.part = part
        self.pack = pack
        self.blocks = blocks
        self.filter = BlockFilter(part.condition, pack)
        self.next = 0
        self._fetched, self._ahead = 0, _AHEAD

    def take(self) -> int:
        """The number of the next block."""
        at = self.next
        if at >= self._fetched:
            self._fetched = at + self._ahead
            self.pack.fetch(self.blocks[at : self._fetched], self.filter.columns)
            self._ahead = min(self._ahead * 2, _FARTHEST_AHEAD)
        self.next += 1
        if self.next % _RELEASE_EVERY == 0:
            self.pack.release()
        return self.blocks[at]

    @property
    def left(self) -> int:
        """How many blocks are left."""
        return len(self.blocks) - self.next


class Place(NamedTuple):
    """Where a row is."""

    part: LeafFilter
    pack: Pack
    block: int
    number: int


class PageScan:
    """Finds the first rows of packs, beside rows that were found elsewhere."""

    def __init__(
        self,
        packs: PackReader,
        parts: Sequence[LeafFilter],
        wanted: Wanted,
        *,
        most_scanned: int | None = None,
        explain: Explain | None = None,
    ) -> None:
        self._packs = packs
        self._parts = parts
        self._id = None if len(parts) < _FEW else id_of(parts[0].condition)
        self._wanted = wanted
        self._is_newest = wanted.order is Order.NEWEST
        self._others: list[RowKey] = []
        self._most_scanned = most_scanned
        self._scanned = 0
        self._bad: set[tuple[int, int]] = set()
        self._cut_at: int | None = None
        self.explain = explain or Explain()
        self.pause: int | None = None
        """Rank of rows that are still unknown: search only before it, and read no rows yet."""
        self.unreadable: dict[int, LeafFilter] = {}
        """Segments whose pack could not be read, or not all of it."""
        self.left: list[LeafFilter] = []
        """Segments that were not, or not completely, searched."""
        self.has_more = False
        """Whether the search was cut after some rows, and can go on from there."""
        self.rows: list[tuple[RowKey, dict[str, Any]]] = []
        """The rows in packs, once all is done."""
        self._blocks: OrderedDict[tuple[int, int], Block] = OrderedDict()
        self._reading: Iterator[None] | None = None
        self._begin()

    def _begin(self) -> None:
        self._found: list[tuple[RowKey, Place | None]] = []
        self._heap: list[tuple[int, int, LeafFilter | _Opened]] = []
        self._count = 0
        for part in self._parts:
            leaf = part.leaf
            self._push(leaf.latest_us if self._is_newest else leaf.earliest_us, part)
        self._insert([(key, None) for key in self._others])

    def _push(self, bound_us: int, item: LeafFilter | _Opened) -> None:
        self._count += 1
        heapq.heappush(self._heap, (self._wanted.rank(bound_us), self._count, item))

    def offer(self, keys: Sequence[RowKey]) -> None:
        """Add rows that were found elsewhere."""
        if self._cut_at is not None:
            keys = [key for key in keys if self._wanted.rank(key[0]) < self._cut_at]
        self._others += keys
        self._insert([(key, None) for key in keys])

    def _insert(self, found: list[tuple[RowKey, Place | None]]) -> None:
        self._found += found
        self._found.sort(key=lambda item: item[0], reverse=self._is_newest)
        del self._found[self._wanted.limit :]

    @property
    def found(self) -> int:
        """How many rows of the page were found."""
        return len(self._found)

    @property
    def last(self) -> int | None:
        """Rank of the last row of a full page; None: it is not full yet."""
        if len(self._found) < self._wanted.limit:
            return None
        # A page of no rows is full.
        return self._wanted.rank(self._found[-1][0][0]) if self._found else -(1 << 63)

    @property
    def bound(self) -> int | None:
        """Rank before which nothing is left; None: nothing is left that can be on the page."""
        last = self.last
        if not self._heap or (last is not None and self._heap[0][0] > last):
            return None
        return self._heap[0][0]

    def step(self) -> bool:
        """Open a pack, read a block, or the rows of one."""
        if self._reading is None:
            bound = self.bound
            if bound is not None:
                if self.pause is not None and bound > self.pause:
                    return True
                if self._id is not None:
                    self._leave_out(*self._id)
                    return False
                self._take(heapq.heappop(self._heap)[2])
                if self._most_scanned is not None and self._scanned > self._most_scanned:
                    self.cut(is_budget=True)
                return False
            if self.pause is not None:
                return True
            self._reading = self._rows()
        try:
            with self.explain.stage(Stage.ROWS):
                next(self._reading)
        except StopIteration:
            self._account(Skipped.PAGE_FULL)
            return True
        except PackDamaged:
            # Rows of the page are lost: find the page again without their block.
            self._reading = None
            if self._cut_at is not None:
                self._found = [item for item in self._found if not self._is_bad(item[1])]
            else:
                self._begin()
        return False

    def _leave_out(self, column: str, value: bytes) -> None:
        """Leave out the packs without the id."""
        self._id = None
        with self.explain.stage(Stage.CANDIDATES):
            absent = self._packs.without(column, value, [part.leaf for part in self._parts])
        self.explain.skip_segments(Skipped.BLOOM, len(absent))
        self._parts = [part for part in self._parts if part.leaf.segment not in absent]
        self._begin()

    def _is_bad(self, place: Place | None) -> bool:
        return place is not None and (place.pack.segment, place.block) in self._bad

    def cut(self, *, before: int | None = None, is_budget: bool = False) -> None:
        """Stop searching; what was found before all that is left is certain.

        `before`: rank of what is left elsewhere. If nothing is certain, what was found is kept
        where the budget is spent.
        """
        left = {item.part if isinstance(item, _Opened) else item for _, _, item in self._heap}
        self.left = sorted(left, key=lambda part: part.leaf.segment)
        bounds = [
            bound
            for bound in (before, self._heap[0][0] if self._heap else None)
            if bound is not None
        ]
        if bounds:
            bound = min(bounds)
            rank = self._wanted.rank
            certain = [item for item in self._found if rank(item[0][0]) < bound]
            self.has_more = bool(certain)
            if certain or not is_budget:
                self._found = certain
                self._cut_at = bound
        self._account(Skipped.LIMIT)
        self._heap = []

    def _account(self, why: Skipped) -> None:
        """Count what was not read."""
        opened = [item for _, _, item in self._heap if isinstance(item, _Opened)]
        self.explain.skip_segments(why, len(self._heap) - len(opened))
        self.explain.skip_blocks(why, sum(item.left for item in opened))

    @property
    def others(self) -> list[RowKey]:
        """Those of the rows found elsewhere that are among the first."""
        return [key for key, place in self._found if place is None]

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to search or to read."""
        return not self._heap and all(place is None for _, place in self._found)

    @property
    def cut_at(self) -> int | None:
        """Rank at which the page was cut; None: it was not."""
        return self._cut_at

    def _take(self, item: LeafFilter | _Opened) -> None:
        part = item.part if isinstance(item, _Opened) else item
        try:
            if isinstance(item, _Opened):
                self._read(item, item.take())
            else:
                item = self._open(part)
        except PackDamaged as error:
            self._note(part, error)
            if not isinstance(item, _Opened):
                return
        if item.left:
            zone = item.pack.blocks[item.blocks[item.next]]
            self._push(int(zone["max_created" if self._is_newest else "min_created"]), item)

    def _open(self, part: LeafFilter) -> _Opened:
        with self.explain.stage(Stage.OPEN):
            pack = self._packs.open(part.leaf)
        with self.explain.stage(Stage.CANDIDATES):
            chosen = chosen_blocks(pack, part.condition, self._wanted)
        self.explain.packs_read += 1
        _count_blocks(self.explain, chosen)
        return _Opened(part, pack, chosen.numbers)

    def _note(self, part: LeafFilter, error: PackDamaged) -> None:
        if part.leaf.segment not in self.unreadable:
            self.explain.skip_segments(Skipped.UNREADABLE)
        self.unreadable[part.leaf.segment] = part
        self._packs.report(part.leaf.segment, error)

    def _read(self, item: _Opened, number: int) -> None:
        """The rows of a block that may be on the page."""
        if (item.part.leaf.segment, number) in self._bad:
            return
        with self.explain.stage(Stage.FILTER):
            block = self._block(item.pack, number)
            self._scanned += block.rows
            self.explain.blocks_read += 1
            self.explain.rows_scanned += block.rows
            at = item.filter.rows(block)
            at = beyond(block, at, self._wanted, item.pack.blocks[number])
            if not len(at):
                return
            limit = self._wanted.limit
            rows = (at[-limit:] if self._is_newest else at[:limit]).tolist()
            self._insert(
                [
                    (key, Place(item.part, item.pack, number, row))
                    for key, row in zip(keys_of(block, rows), rows, strict=True)
                ]
            )

    def _block(self, pack: Pack, number: int) -> Block:
        place = pack.segment, number
        block = self._blocks.get(place)
        if block is None:
            block = self._blocks[place] = pack.block(number)
            if len(self._blocks) > _BLOCKS:
                self._blocks.popitem(last=False)
        else:
            self._blocks.move_to_end(place)
        return block

    def _rows(self) -> Iterator[None]:
        """Read the rows of the page, block by block."""
        places: dict[tuple[int, int], list[tuple[RowKey, Place]]] = defaultdict(list)
        for key, place in self._found:
            if place is not None:
                places[place.pack.segment, place.block].append((key, place))
        for (_, number), of in places.items():
            of[0][1].pack.fetch([number])
        rows: list[tuple[RowKey, dict[str, Any]]] = []
        for (segment, number), of in places.items():
            first = of[0][1]
            try:
                block = self._block(first.pack, number)
                numbers = [place.number for _, place in of]
                values = rows_of(first.pack, block, numbers, self._wanted.columns)
            except PackDamaged as error:
                self._bad.add((segment, number))
                self._note(first.part, error)
                raise
            rows += [(key, row) for (key, _), row in zip(of, values, strict=True)]
            yield
        self.rows = rows


class PieceScan:
    """All rows of one pack in order, a block at a time."""

    def __init__(self, packs: PackReader, part: LeafFilter, pack: Pack, wanted: Wanted) -> None:
        self._packs = packs
        self._part = part
        self._wanted = wanted
        self._pack = pack
        self._opened: _Opened | None = None
        self.rows: list[dict[str, Any]] = []
        self.is_whole = True
        """No block was unreadable."""

    def step(self) -> bool:
        """Read blocks until one has rows."""
        opened = self._opened
        if opened is None:
            chosen = chosen_blocks(self._pack, self._part.condition, self._wanted)
            self._opened = _Opened(self._part, self._pack, chosen.numbers)
            return False
        self.rows = []
        if not opened.left:
            return True
        number = opened.take()
        block = self._pack.block(number)
        try:
            at = beyond(block, opened.filter.rows(block), self._wanted, self._pack.blocks[number])
            if self._wanted.order is Order.NEWEST:
                at = at[::-1]
            self.rows = rows_of(self._pack, block, at.tolist(), self._wanted.columns)
        except PackDamaged as error:
            self.is_whole = False
            self._packs.report(self._part.leaf.segment, error)
        return bool(self.rows)


def _count_blocks(explain: Explain, chosen: Chosen) -> None:
    explain.blocks += chosen.blocks
    explain.skip_blocks(Skipped.ZONE_MAP, chosen.blocks - chosen.in_zones)
    explain.skip_blocks(Skipped.SIGNATURE, chosen.in_zones - len(chosen.numbers))


def beyond(block: Block, at: Array, wanted: Wanted, zone: Any) -> Array:
    """Those of the rows that come after the key."""
    after = wanted.after
    if after is None or not len(at):
        return at
    is_newest = wanted.order is Order.NEWEST
    if zone["max_created"] < after[0] if is_newest else zone["min_created"] > after[0]:
        return at
    is_beyond, is_equal = np.zeros(len(at), np.bool_), np.ones(len(at), np.bool_)
    for name, bound in zip(_KEY, after, strict=True):
        values = block.get(name).array()[at]
        is_beyond |= is_equal & ((values < bound) if is_newest else (values > bound))
        is_equal &= values == bound
    return at[is_beyond]


_KEY = ("created_at", "created_ns", "batch_id", "position")


def keys_of(block: Block, rows: list[int]) -> list[RowKey]:
    """The keys of these rows, which are ascending."""
    return list(zip(*[block.some(name, rows).values() for name in _KEY], strict=True))
