"""Values of several fields with their counts, over packs: all fields in one pass."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from query.planning.compile import LeafFilter
from query.planning.packed.reading import PackReader
from query.planning.packed.scanning import BlocksOf, BlocksScan
from query.planning.packed.values import Selected
from storage.packs.errors import PackDamaged
from storage.packs.parquet.encode import Array
from storage.packs.search.attributes import json_text
from storage.packs.search.coded import Coded, Rows, coded_attribute, coded_column
from storage.packs.search.phrases import NO
from storage.packs.search.verdicts import Verdicts

_FEW = 32
"""Of fewer rows than this fraction of a block, only their values are read."""
MOST_VALUES = 50_000
"""Distinct values of a field that are counted; a field with more is not counted to the end."""


class FacetScan(BlocksScan):
    """Counts the values of columns and attributes."""

    def __init__(
        self,
        packs: PackReader,
        parts: Sequence[LeafFilter],
        columns: Mapping[str, Callable[[Any], str]],
        attributes: Sequence[str],
        *,
        most_scanned: int | None = None,
    ) -> None:
        super().__init__(packs, parts, most_scanned=most_scanned)
        self._columns = columns
        """How a column's values, as packs have them, are shown."""
        self._attributes = attributes
        self.counts: list[Counter[str]] = [Counter() for _ in (*columns, *attributes)]
        """Value -> rows, of each column, then of each attribute."""
        self.cut: set[int] = set()
        """Places of the fields that have too many values."""

    @property
    def has_counted(self) -> bool:
        """Whether any value was counted."""
        return any(self.counts)

    def _opened(self, of: BlocksOf) -> Sequence[int]:
        part, pack = of.part, of.pack
        verdict = Verdicts(pack).of(part.condition)
        may = np.broadcast_to(verdict.max(axis=1) != NO, len(pack.blocks))
        blocks: list[int] = np.flatnonzero(may).tolist()
        return blocks

    def _look(self, of: BlocksOf, number: int) -> None:
        pack = of.pack
        block = pack.block(number)
        at = of.filter.rows(block)
        if not len(at):
            return
        rows: Rows = block
        if len(at) * _FEW < block.rows:
            rows = Selected(block, at.tolist())
            at = np.arange(len(at))
        try:
            for place, (name, show) in enumerate(self._columns.items()):
                if place not in self.cut:
                    self._add(place, coded_column(rows.get(name), list), at, show)
            for place, name in enumerate(self._attributes, len(self._columns)):
                if place not in self.cut:
                    self._add(place, coded_attribute(rows, pack.plan, name), at, json_text)
        except (ValueError, TypeError, IndexError) as error:
            raise PackDamaged(pack.path, str(error), block=number) from error

    def _add(self, place: int, coded: Coded, at: Array, show: Callable[[Any], str | None]) -> None:
        if not coded.values:
            return
        codes = coded.codes if len(at) == len(coded.codes) else coded.codes[at]
        sums = np.bincount(codes + 1, minlength=len(coded.values) + 1)[1:]
        there = np.flatnonzero(sums)
        values = coded.values
        found = [
            (show(values[code]), rows)
            for code, rows in zip(there.tolist(), sums[there].tolist(), strict=True)
        ]
        with self._lock:
            counts = self.counts[place]
            for text, rows in found:
                if text is not None:
                    counts[text] += rows
            if len(counts) > MOST_VALUES:
                self.cut.add(place)
