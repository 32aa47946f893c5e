"""What zone maps, signatures and templates tell about a filter, block by block, without rows.

A verdict is NO, OPEN or YES, for each block and each template of its messages. Two dimensions that
NumPy broadcasts: (blocks, 1) where the template does not matter, (1, templates) where the block
does not.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from storage.filtering.filters import And, Filter, Not, Or, Regex, Text, TimeRange
from storage.packs.index.templates import Templates
from storage.packs.parquet.encode import Array
from storage.packs.search.candidates import Candidates, SearchedPack
from storage.packs.search.phrases import NO, OPEN, YES, verdicts
from storage.packs.search.texts import time_bounds


class JudgedPack(SearchedPack, Protocol):
    """The parts of a pack that are used here."""

    @property
    def templates(self) -> Templates | None:
        """None: not kept."""
        ...


class Verdicts:
    """Evaluates filters over one pack."""

    def __init__(self, pack: JudgedPack) -> None:
        self._pack = pack
        self._candidates = Candidates(pack)

    def of(self, condition: Filter) -> Array:
        """Verdicts of shape (blocks or 1, templates and one for all others, or 1)."""
        method = _METHODS.get(type(condition))
        return self._by_block(condition) if method is None else method(self, condition)

    def _all(self, condition: And) -> Array:
        found = np.full((1, 1), YES, np.uint8)
        for item in condition.of:
            found = np.minimum(found, self.of(item))
        return found

    def _any(self, condition: Or) -> Array:
        found = np.full((1, 1), NO, np.uint8)
        for item in condition.of:
            found = np.maximum(found, self.of(item))
        return found

    def _not(self, condition: Not) -> Array:
        return YES - self.of(condition.of)

    def _by_block(self, condition: Filter) -> Array:
        may: Array = self._candidates.of(condition)
        return np.where(may, OPEN, NO).astype(np.uint8)[:, None]

    def _time(self, condition: TimeRange) -> Array:
        found = self._by_block(condition)
        found[_is_inside(condition, self._pack.blocks)] = YES
        return found

    def _message(self, condition: Text | Regex) -> Array:
        templates = self._pack.templates
        known = None if templates is None else verdicts(condition, templates)
        if known is None:
            return self._by_block(condition)
        # Signatures matter only where templates leave something open.
        if not (known == OPEN).any():
            return known[None, :]
        return np.where(known == OPEN, self._by_block(condition), known)


_METHODS: dict[type[Any], Callable[[Verdicts, Any], Array]] = {
    And: Verdicts._all,  # noqa: SLF001 - this table is the class's own
    Or: Verdicts._any,  # noqa: SLF001
    Not: Verdicts._not,  # noqa: SLF001
    TimeRange: Verdicts._time,  # noqa: SLF001
    Text: Verdicts._message,  # noqa: SLF001
    Regex: Verdicts._message,  # noqa: SLF001
}
"""Of any other filter the signature tells which blocks have no such row."""


def _is_inside(condition: TimeRange, zones: Any) -> Any:
    """Whether blocks, or one block, are in the range with all of their rows."""
    # Zones are in microseconds, and rows up to a microsecond later.
    start, end = time_bounds(condition)
    after = condition.start_ns is None or zones["min_created"] > start
    before = condition.end_ns is None or zones["max_created"] < end - 1
    return after & before


class Tally:
    """The rows of a pack that a filter selects, as far as no row has to be read."""

    def __init__(self, pack: JudgedPack, condition: Filter) -> None:
        found = Verdicts(pack).of(condition)
        zones = pack.blocks
        templates = pack.templates if found.shape[1] > 1 else None
        if templates is None:
            verdict = np.broadcast_to(found[:, 0], len(zones))
            self.sure = np.where(verdict == YES, zones["rows"], 0).astype(np.int64)
            """Rows of each block that match for sure."""
            self.undecided = np.where(verdict == OPEN, zones["rows"], 0).astype(np.int64)
            """Rows of each block that must be looked at."""
            return
        of_template, of_block, rows = templates.entries()
        of_entries = np.broadcast_to(found, (len(zones), found.shape[1]))[of_block, of_template]
        self.sure, self.undecided = (
            np.bincount(
                of_block, np.where(of_entries == verdict, rows, 0), minlength=len(zones)
            ).astype(np.int64)
            for verdict in (YES, OPEN)
        )
