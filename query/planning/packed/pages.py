"""The first rows of a filter in order, over many packs: a heap of packs and blocks by time.

A pack is opened, and a block read, only when its rows can be before those found so far. Of a
block, the columns of the filter are read; the others only for the rows of the page.
"""

import heapq
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from query.planning.compile import Columns, Key, LeafFilter, Order
from query.planning.packed.reading import PackReader
from query.planning.packed.values import Selected, rows_of
from storage.filtering.filters import EVERYTHING, Filter
from storage.packs.blocks import Block
from storage.packs.errors import PackDamaged
from storage.packs.pack import Pack
from storage.packs.parquet.encode import Array
from storage.packs.search.candidates import Candidates
from storage.packs.search.matching import Matcher

RowKey: TypeAlias = tuple[int, int, int, int, bytes]
"""As Key: created_us, created_ns, batch_id, position, id."""

_RELEASE_EVERY = 32
"""Blocks of an export after which the file's pages are given back."""
_BLOCKS = 16
"""Decoded blocks that a scan keeps for the rows of its page."""


def key_tuple(key: Key) -> RowKey:
    """A key as scans compare it."""
    return (key.created_us, key.created_ns, key.batch_id, key.position, key.id)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows."""

    order: Order
    limit: int
    after: RowKey | None
    columns: Columns


@dataclass(slots=True)
class _Opened:
    """A pack, and its blocks that are left, in order."""

    part: LeafFilter
    pack: Pack
    blocks: Iterator[int]


@dataclass(frozen=True, slots=True)
class Place:
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
        found: Sequence[RowKey] = (),
        *,
        most_scanned: int | None = None,
    ) -> None:
        self._packs = packs
        self._parts = parts
        self._wanted = wanted
        self._is_newest = wanted.order is Order.NEWEST
        self._others = found
        self._most_scanned = most_scanned
        self._scanned = 0
        self._bad: set[tuple[int, int]] = set()
        self._is_cut = False
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
        first = self._others[: self._wanted.limit]
        self._found: list[tuple[RowKey, Place | None]] = [(key, None) for key in first]
        self._heap: list[tuple[int, int, LeafFilter | _Opened]] = []
        self._count = 0
        for part in self._parts:
            leaf = part.leaf
            self._push(leaf.latest_us if self._is_newest else leaf.earliest_us, part)

    def _push(self, bound_us: int, item: LeafFilter | _Opened) -> None:
        self._count += 1
        heapq.heappush(self._heap, (-bound_us if self._is_newest else bound_us, self._count, item))

    def step(self) -> bool:
        """Open a pack, read a block, or the rows of one."""
        if self._reading is None:
            if self._heap and not self._is_settled():
                _, _, item = heapq.heappop(self._heap)
                self._take(item)
                if self._most_scanned is not None and self._scanned > self._most_scanned:
                    self.cut(is_budget=True)
                return False
            self._reading = self._rows()
        try:
            next(self._reading)
        except StopIteration:
            return True
        except PackDamaged:
            # Rows of the page are lost: find the page again without their block.
            self._reading = None
            if self._is_cut:
                self._found = [item for item in self._found if not self._is_bad(item[1])]
            else:
                self._begin()
        return False

    def _is_bad(self, place: Place | None) -> bool:
        return place is not None and (place.pack.segment, place.block) in self._bad

    def cut(self, *, is_budget: bool = False) -> None:
        """Stop searching; what was found before all that is left is certain.

        If nothing is, what was found is kept where the budget is spent.
        """
        self._is_cut = True
        left = {item.part if isinstance(item, _Opened) else item for _, _, item in self._heap}
        self.left = sorted(left, key=lambda part: part.leaf.segment)
        if self._heap:
            bound = self._heap[0][0]
            sign = -1 if self._is_newest else 1
            certain = [item for item in self._found if sign * item[0][0] < bound]
            self.has_more = bool(certain)
            if certain or not is_budget:
                self._found = certain
        self._heap = []

    @property
    def others_kept(self) -> int:
        """How many of the rows found elsewhere are among the first."""
        return sum(place is None for _, place in self._found)

    def _is_settled(self) -> bool:
        if len(self._found) < self._wanted.limit:
            return False
        last_us = self._found[-1][0][0] if self._found else 0
        bound = self._heap[0][0]
        return not self._found or bound > (-last_us if self._is_newest else last_us)

    def _take(self, item: LeafFilter | _Opened) -> None:
        part = item.part if isinstance(item, _Opened) else item
        try:
            if isinstance(item, _Opened):
                self._read(item, next(item.blocks))
            else:
                item = self._open(part)
        except PackDamaged as error:
            self._note(part, error)
            if not isinstance(item, _Opened):
                return
        self._go_on(item)

    def _open(self, part: LeafFilter) -> _Opened:
        pack = self._packs.open(part.leaf)
        return _Opened(part, pack, iter(blocks_of(pack, part.condition, self._wanted)))

    def _go_on(self, item: _Opened) -> None:
        """Back into the heap, at its next block."""
        number = next(item.blocks, None)
        if number is None:
            return
        zone = item.pack.blocks[number]
        item.blocks = _before(number, item.blocks)
        self._push(int(zone["max_created" if self._is_newest else "min_created"]), item)

    def _note(self, part: LeafFilter, error: PackDamaged) -> None:
        self.unreadable[part.leaf.segment] = part
        self._packs.report(part.leaf.segment, error)

    def _read(self, item: _Opened, number: int) -> None:
        """The rows of a block that may be on the page."""
        segment = item.part.leaf.segment
        if (segment, number) in self._bad:
            return
        block = self._block(item.pack, number)
        self._scanned += block.rows
        at = matching(block, item.pack, item.part.condition)
        at = beyond(block, at, self._wanted)
        if not len(at):
            return
        limit = self._wanted.limit
        at = at[-limit:] if self._is_newest else at[:limit]
        keys = keys_of(block, at)
        self._found += [
            (key, Place(item.part, item.pack, number, row))
            for key, row in zip(keys, at.tolist(), strict=True)
        ]
        self._found.sort(key=lambda found: found[0], reverse=self._is_newest)
        del self._found[limit:]

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
        self._pack = pack
        self._wanted = wanted
        self._blocks: list[int] | None = None
        self.rows: list[dict[str, Any]] = []
        self.is_whole = True
        """No block was unreadable."""

    def step(self) -> bool:
        """Read blocks until one has rows."""
        if self._blocks is None:
            self._blocks = blocks_of(self._pack, self._part.condition, self._wanted)[::-1]
            return False
        self.rows = []
        if not self._blocks:
            return True
        if len(self._blocks) % _RELEASE_EVERY == 0:
            self._pack.release()
        block = self._pack.block(self._blocks.pop())
        try:
            at = beyond(block, matching(block, self._pack, self._part.condition), self._wanted)
            if self._wanted.order is Order.NEWEST:
                at = at[::-1]
            self.rows = rows_of(self._pack, block, at, self._wanted.columns)
        except PackDamaged as error:
            self.is_whole = False
            self._packs.report(self._part.leaf.segment, error)
        return bool(self.rows)


def _before(number: int, rest: Iterator[int]) -> Iterator[int]:
    yield number
    yield from rest


def blocks_of(pack: Pack, condition: Filter, wanted: Wanted) -> list[int]:
    """The blocks that may have such rows, in order."""
    chosen = Candidates(pack).of(condition)
    zones = pack.blocks
    if wanted.after is not None and wanted.order is Order.NEWEST:
        chosen = chosen & (zones["min_created"] <= wanted.after[0])
    elif wanted.after is not None:
        chosen = chosen & (zones["max_created"] >= wanted.after[0])
    numbers: list[int] = np.flatnonzero(chosen).tolist()
    return numbers[::-1] if wanted.order is Order.NEWEST else numbers


def matching(block: Block, pack: Pack, condition: Filter) -> Array:
    """The numbers of a block's rows that a filter selects."""
    if condition == EVERYTHING:
        return np.arange(block.rows)
    try:
        return np.flatnonzero(Matcher(block, pack.plan).of(condition))
    except (IndexError, UnicodeDecodeError) as error:
        raise PackDamaged(pack.path, str(error), block=block.number) from error


def beyond(block: Block, at: Array, wanted: Wanted) -> Array:
    """Those of the rows that come after the key."""
    after = wanted.after
    if after is None or not len(at):
        return at
    is_newest = wanted.order is Order.NEWEST
    is_beyond, is_equal = np.zeros(len(at), np.bool_), np.ones(len(at), np.bool_)
    for name, bound in zip(
        ("created_at", "created_ns", "batch_id", "position"), after, strict=False
    ):
        values = block.get(name).array()[at]
        is_beyond |= is_equal & ((values < bound) if is_newest else (values > bound))
        is_equal &= values == bound
    if is_equal.any():
        places = np.flatnonzero(is_equal)
        ids = Selected(block, at[places]).ids()
        for place, raw in zip(places.tolist(), ids, strict=True):
            is_beyond[place] = raw < after[4] if is_newest else raw > after[4]
    return at[is_beyond]


def keys_of(block: Block, at: Array) -> list[RowKey]:
    """The keys of these rows."""
    selected = Selected(block, at)
    names = ("created_at", "created_ns", "batch_id", "position")
    lists = [selected.get(name).array().tolist() for name in names]
    return list(zip(*lists, selected.ids(), strict=True))
