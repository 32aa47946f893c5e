"""Counts by time and one field, over packs.

What zone maps, signatures and templates tell is counted when a pack is opened; its other blocks are
read, a column at a time.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from query.planning.compile import LeafFilter
from query.planning.packed.reading import PackReader
from query.planning.packed.scanning import BlocksOf, BlocksScan
from storage.packs.blocks import Block
from storage.packs.parquet.encode import Array
from storage.packs.search.coded import coded_column
from storage.packs.search.verdicts import Tally
from storage.record.fields import LEVEL, Field

_S_US = 1_000_000
_MOST_BINS = 100_000
"""Buckets between the first and the last row of a block that are counted in an array."""


class CountScan(BlocksScan):
    """Counts the rows of packs by bucket and value."""

    def __init__(
        self,
        packs: PackReader,
        parts: Sequence[LeafFilter],
        by: Field,
        step_s: int | None,
        origin_s: int,
        *,
        most_scanned: int | None = None,
    ) -> None:
        super().__init__(packs, parts, most_scanned=most_scanned)
        self._by = by
        self._step_us = None if step_s is None else step_s * _S_US
        self._origin_us = origin_s * _S_US
        self._counts: Counter[tuple[int, Any]] = Counter()
        """(bucket's number, value) -> rows."""

    @property
    def has_counted(self) -> bool:
        """Whether any row was counted."""
        return bool(self._counts)

    @property
    def counts(self) -> dict[tuple[int, str], int]:
        """(bucket's start in seconds since 1970, or 0; value as the column's text) -> rows."""
        return {
            (self._start_s(bucket), value.decode()): rows
            for (bucket, value), rows in self._counts.items()
        }

    def _opened(self, of: BlocksOf) -> Sequence[int]:
        part, pack = of.part, of.pack
        tally = Tally(pack, part.condition)
        is_open, sure = tally.undecided > 0, tally.sure > 0
        level = _level(part) if self._by is LEVEL else b""
        first = self._buckets(pack.blocks["min_created"])
        if level:
            is_open |= sure & (first != self._buckets(pack.blocks["max_created"]))
        else:
            is_open |= sure
        decided = sure & ~is_open
        found: Counter[tuple[int, Any]] = Counter()
        for bucket, rows in zip(first[decided].tolist(), tally.sure[decided].tolist(), strict=True):
            found[bucket, level] += rows
        self._add(found)
        of.searched = tally.undecided
        blocks: list[int] = np.flatnonzero(is_open).tolist()
        return blocks

    def _add(self, found: Counter[tuple[int, Any]]) -> None:
        with self._lock:
            self._counts.update(found)

    def _buckets(self, created_us: Array) -> Array:
        """The number of each time's bucket."""
        if self._step_us is None:
            return np.zeros(len(created_us), np.int64)
        return (created_us - self._origin_us) // self._step_us

    def _start_s(self, bucket: int) -> int:
        if self._step_us is None:
            return 0
        return (bucket * self._step_us + self._origin_us) // _S_US

    def _look(self, of: BlocksOf, number: int) -> None:
        pack = of.pack
        block = pack.block(number)
        at = of.filter.rows(block)
        if len(at):
            self._add(self._counted(of.part, block, at))

    def _counted(self, part: LeafFilter, block: Block, at: Array) -> Counter[tuple[int, Any]]:
        values: Sequence[Any] = [_level(part)]
        places: Array | None = None
        if self._by is not LEVEL or not values[0]:
            coded = coded_column(block.get(self._by.column), list)
            values, places = coded.values, coded.codes[at]
        buckets = np.zeros(1, np.int64)
        if self._step_us is not None:
            buckets = self._buckets(block.get("created_at").array()[at])
        first, last = int(buckets.min()), int(buckets.max())
        if last - first > _MOST_BINS:
            starts, buckets = np.unique(buckets, return_inverse=True)
        else:
            starts, buckets = np.arange(first, last + 1), buckets - first
        if places is None and first == last:
            return Counter({(first, values[0]): len(at)})
        sums = np.bincount(
            np.broadcast_to(buckets * len(values) + (0 if places is None else places), len(at))
        )
        found: Counter[tuple[int, Any]] = Counter()
        for place in np.flatnonzero(sums).tolist():
            bucket, code = divmod(place, len(values))
            found[int(starts[bucket]), values[code]] += int(sums[place])
        return found


def _level(part: LeafFilter) -> bytes:
    """The level of all rows, where the segment's class determines it."""
    levels = part.leaf.levels
    return next(iter(levels)).name.encode() if levels and len(levels) == 1 else b""
