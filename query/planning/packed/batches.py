"""Rows of given batches in a pack, for the live tail."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from query.planning.compile import RECORD
from query.planning.packed.values import rows_of
from storage.filtering.filters import Filter, Or
from storage.packs.pack import Pack
from storage.packs.search.candidates import Candidates
from storage.packs.search.matching import Matcher


class BatchScan:
    """Finds what filters select of some batches, in order of arrival."""

    def __init__(
        self, pack: Pack, batch_ids: Sequence[int], wheres: Sequence[Filter], most: int
    ) -> None:
        self._pack = pack
        self._ids = np.array(sorted(batch_ids), np.int64)
        self._wheres = wheres
        self._most = most
        self._blocks: list[int] | None = None
        self._found: list[dict[str, Any]] = []
        self.counts = [0] * len(wheres)
        """How many rows each filter selects."""

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The first rows that some filter selects, and as m0, m1 which ones do."""
        return self._found

    def step(self) -> bool:
        """Search a block."""
        if self._blocks is None:
            self._blocks = self._candidates()
            return False
        if not self._blocks:
            return True
        self._read(self._blocks.pop())
        return False

    def _candidates(self) -> list[int]:
        zones = self._pack.blocks
        if not len(self._ids) or not self._wheres:
            return []
        # Batches are in the block, or between its first and last one.
        first = np.searchsorted(self._ids, zones["min_batch"])
        after = np.searchsorted(self._ids, zones["max_batch"], side="right")
        chosen = (first < after) & Candidates(self._pack).of(Or(tuple(self._wheres)))
        blocks: list[int] = np.flatnonzero(chosen).tolist()
        return blocks

    def _read(self, number: int) -> None:
        block = self._pack.block(number)
        wanted = np.isin(block.get("batch_id").array(), self._ids)
        if not wanted.any():
            return
        matcher = Matcher(block, self._pack.plan, lambda: self._pack.templates)
        marks = [matcher.of(where) & wanted for where in self._wheres]
        for place, mark in enumerate(marks):
            self.counts[place] += int(np.count_nonzero(mark))
        at = np.flatnonzero(np.logical_or.reduce(marks))
        batch, position = (block.get(name).array()[at] for name in ("batch_id", "position"))
        at = at[np.lexsort((position, batch))][: self._most]
        for row, values in zip(at.tolist(), rows_of(self._pack, block, at, RECORD), strict=True):
            values |= {f"m{place}": bool(mark[row]) for place, mark in enumerate(marks)}
            self._found.append(values | {"segment": self._pack.segment})
        self._found.sort(key=lambda item: (item["batch_id"], item["position"]))
        del self._found[self._most :]
