"""Counts by time and one field, over packs."""

import zlib
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from query.planning.compile import LeafFilter
from query.planning.packed.filtering import matching
from query.planning.packed.reading import PackReader
from storage.filtering.filters import EVERYTHING, Filter, Text
from storage.packs.errors import PackDamaged
from storage.packs.index.templates import Templates
from storage.packs.pack import Pack
from storage.packs.search.candidates import Candidates
from storage.packs.search.phrases import verdict
from storage.record.fields import LEVEL, Field

_S_US = 1_000_000


class CountScan:
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
        self._packs = packs
        self._parts = deque(parts)
        self._by = by
        self._step_s = step_s
        self._origin_s = origin_s
        self._most_scanned = most_scanned
        self._scanned = 0
        self._pack: tuple[LeafFilter, Pack, list[int]] | None = None
        self.counts: dict[tuple[int, str], int] = defaultdict(int)
        """(bucket's start in seconds since 1970, or 0; value as the column's text) -> rows."""
        self.unreadable: dict[int, LeafFilter] = {}

    @property
    def left(self) -> list[LeafFilter]:
        """What is not, or not completely, counted."""
        begun = [self._pack[0]] if self._pack is not None and self._pack[2] else []
        return [*begun, *self._parts]

    def step(self) -> bool:
        """Open a pack or count a block."""
        if self._most_scanned is not None and self._scanned > self._most_scanned:
            return True
        if self._pack is None:
            if not self._parts:
                return True
            self._open(self._parts.popleft())
            return False
        part, pack, blocks = self._pack
        if not blocks:
            pack.release()
            self._pack = None
            return False
        try:
            self._count(part, pack, blocks.pop())
        except PackDamaged as error:
            self._note(part, error)
        return False

    def _open(self, part: LeafFilter) -> None:
        try:
            pack = self._packs.open(part.leaf)
            blocks = np.flatnonzero(Candidates(pack).of(part.condition)).tolist()
            level = self._level(part)
            if self._step_s is None and level:
                blocks = self._without_rows(part.condition, pack, blocks, level)
        except PackDamaged as error:
            self._note(part, error)
            return
        self._pack = part, pack, blocks

    def _without_rows(
        self, condition: Filter, pack: Pack, blocks: list[int], level: str
    ) -> list[int]:
        """Count what zone maps and templates of messages tell; the blocks that are left."""
        if condition == EVERYTHING:
            self.counts[0, level] += pack.rows_total
            return []
        if not isinstance(condition, Text):
            return blocks
        try:
            templates = pack.templates
            if templates is None:
                return blocks
            rows, undecided = templates.verdicts(_Verdicts(condition, templates).of)
        except (zlib.error, ValueError, IndexError) as error:
            raise PackDamaged(pack.index.path, f"templates: {error}") from error
        if rows:
            self.counts[0, level] += rows
        return sorted(set(blocks) & set(undecided))

    def _level(self, part: LeafFilter) -> str:
        """The value of all rows, where the segment's class determines it."""
        levels = part.leaf.levels
        if self._by is not LEVEL or levels is None or len(levels) != 1:
            return ""
        return next(iter(levels)).name

    def _note(self, part: LeafFilter, error: PackDamaged) -> None:
        self.unreadable[part.leaf.segment] = part
        self._packs.report(part.leaf.segment, error)

    def _count(self, part: LeafFilter, pack: Pack, number: int) -> None:
        block = pack.block(number)
        self._scanned += block.rows
        at = matching(block, pack, part.condition)
        if not len(at):
            return
        buckets = np.zeros(len(at), np.int64)
        if self._step_s is not None:
            seconds = block.get("created_at").array()[at] // _S_US - self._origin_s
            buckets = seconds // self._step_s * self._step_s + self._origin_s
        values, codes = self._values(block, at)
        starts, places = np.unique(buckets, return_inverse=True)
        sums = np.bincount(places * len(values) + codes, minlength=len(starts) * len(values))
        for place in np.flatnonzero(sums).tolist():
            bucket, code = divmod(place, len(values))
            self.counts[int(starts[bucket]), values[code].decode()] += int(sums[place])

    def _values(self, block: Any, at: Any) -> tuple[Sequence[bytes], Any]:
        """(the field's values, which one each row has)."""
        column = block.get(self._by.column)
        if column.codes is not None and column.valid is None:
            return column.dictionary, column.codes[at]
        places: dict[bytes, int] = {}
        each = column.values()
        codes = [places.setdefault(each[row], len(places)) for row in at.tolist()]
        return list(places), np.array(codes, np.int64)


class _Verdicts:
    """Verdicts on templates; each word of the phrase is looked up once, each template once."""

    def __init__(self, condition: Text, templates: Templates) -> None:
        self._condition = condition
        self._templates = templates
        self._words: dict[bytes, bool] = {}
        self._known: dict[str, bool | None] = {}

    def of(self, template: str) -> bool | None:
        """True: all messages of the template have the phrase; False: none; None: rows must tell."""
        if template not in self._known:
            self._known[template] = verdict(template, self._condition, cast("Templates", self))
        return self._known[template]

    def may_be_in_variable(self, folded: bytes) -> bool:
        """As of Templates."""
        if folded not in self._words:
            self._words[folded] = self._templates.may_be_in_variable(folded)
        return self._words[folded]
