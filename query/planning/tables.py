"""Rows of unpacked segments, in pieces: by ranges of time, and few leaves to a statement.

    leaves -> without those that the counters exclude -> ranges (scan_ranges.py) -> waves

Between two pieces `bound` tells how near the rows are that are still unread, so that packs are
read in between (pages.py).
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from query.language.parser import conjuncts
from query.planning.compile import (
    LeafFilter,
    Order,
    Query,
    catalogue_check,
    compile_wave,
    records_of,
)
from query.planning.counter_hints import segments_with
from query.planning.explain import Explain, Skipped, Stage
from query.planning.index_use import (
    has_index_of_its_own,
    is_unordered_lookup,
    scans_leaves,
)
from query.planning.scan_budget import Missing, within_budget
from query.planning.scan_ranges import WHOLE, ScanRanges, scan_ranges
from storage.database.read import Row, Session, Statement
from storage.filtering.conditions import Arguments
from storage.filtering.filters import EVERYTHING, NOTHING, TimeRange, all_of
from storage.filtering.prune import Leaf, narrow

WAVE_LEAVES = 10
"""A leaf takes 7 to 12 locks, and PostgreSQL has fast-path locks for about ten leaves."""
LOOKUP_LEAVES = 30
"""With cached plans, a leaf costs hundredths of a millisecond."""
_FOREVER = 1 << 63


class TableScan:
    """The rows of one query in leaves, piece by piece."""

    def __init__(
        self,
        session: Session,
        parts: Sequence[LeafFilter],
        query: Query,
        explain: Explain,
        *,
        ready: Sequence[int],
        newest: int,
    ) -> None:
        """`parts` are in the order to read them.

        The cached catalogue has segments up to `newest`, and the `ready` ones without rows.
        """
        self._ready = ready
        self._newest = newest
        self._session = session
        self._parts = list(parts)
        self._query = query
        self._explain = explain
        self._rank = query.order.rank
        self._ranges = ScanRanges(WHOLE, None, query.order)
        self._span = WHOLE
        self._waves: deque[list[LeafFilter]] = deque()
        self._found = 0
        """Rows in the current range."""
        self._read: set[int] = set()
        self.is_behind: bool | None = None
        """Whether the cached catalogue lacks segments with rows; None: it was not compared yet."""
        self.missing: Missing | None = None
        """Leaves beyond the scan budget."""

    async def start(self) -> None:
        """Choose leaves and ranges."""
        session, query = self._session, self._query
        if not self._parts:
            return
        with self._explain.stage(Stage.DATABASE):
            numbers = [part.leaf.segment for part in self._parts]
            held = await segments_with(session, query.where, numbers)
            if held is not None:
                every = len(self._parts)
                self._parts = [part for part in self._parts if part.leaf.segment in held]
                self._explain.skip_segments(Skipped.COUNTERS, every - len(self._parts))
            if not self._parts:
                return
            if session.keeps_plans and is_unordered_lookup(query.where):
                # A generic plan would combine the index with that of times, which selects all.
                is_scan = has_index_of_its_own(query.where)
                self._parts = [
                    replace(part, is_lookup=True, is_scan=is_scan) for part in self._parts
                ]
            self._ranges = await scan_ranges(session, query.where, query.order, query.after)
        self._plan(self._ranges.first())

    def _plan(self, span: TimeRange) -> None:
        """The waves of a range."""
        self._span, self._found = span, 0
        chosen = _inside(self._parts, span)
        if self._ranges.is_last:  # before that, only a few records are scanned in each leaf
            chosen, self.missing = within_budget(chosen)
            if scans_leaves(self._query.where):
                chosen = [replace(part, is_scan=_is_covered(part)) for part in chosen]
        most = LOOKUP_LEAVES if self._session.keeps_plans else WAVE_LEAVES
        self._waves.extend(chosen[at : at + most] for at in range(0, len(chosen), most))

    @property
    def bound(self) -> int | None:
        """Rank (Order.rank) before which no row is unread; None: all are read."""
        near_ns, far_ns = self._span.end_ns, self._span.start_ns
        if self._query.order is Order.OLDEST:
            near_ns, far_ns = far_ns, near_ns
        if self._waves:
            near = -_FOREVER if near_ns is None else self._rank(near_ns // 1000)
            return max(near, min(self._first(part.leaf) for part in self._waves[0]))
        if not self._parts or self._ranges.is_last:
            return None
        return -_FOREVER if far_ns is None else self._rank(far_ns // 1000)

    def _first(self, leaf: Leaf) -> int:
        is_newest = self._query.order is Order.NEWEST
        return self._rank(leaf.latest_us if is_newest else leaf.earliest_us)

    @property
    def left(self) -> list[LeafFilter]:
        """Leaves of which rows are unread."""
        if self._ranges.is_last:
            return [part for wave in self._waves for part in wave]
        return self._parts

    async def read(self, missing: int, last_us: int | None) -> list[Row]:
        """The next rows of the page, which lacks `missing`, or is full up to `last_us`."""
        if not self._waves:
            self._plan(self._ranges.following(self._found, missing))
        if not self._waves:
            return []
        wave: Sequence[LeafFilter] = self._waves[0]
        query = self._query
        if last_us is not None:
            last = self._rank(last_us)
            span = _NOT_WORSE[query.order](last_us)
            wave = [
                replace(part, condition=all_of(part.condition, span))
                for part in wave
                if self._first(part.leaf) <= last
            ]
        rows: list[Row] = []
        if wave:
            statement = compile_wave(
                wave,
                order=query.order,
                limit=query.limit + 1,
                after=query.after,
                columns=query.columns,
                ready=self._ready,
            )
            with self._explain.stage(Stage.DATABASE):
                rows = await self._session.rows(statement)
            self._read |= {part.leaf.segment for part in wave}
            self._compare(rows[0])
        self._waves.popleft()
        found = records_of(rows)
        self._found += len(found)
        return found

    async def check(self) -> None:
        """Compare the cached catalogue, if no leaf was read."""
        if self.is_behind is None:
            arguments = Arguments()
            text = catalogue_check(self._ready, arguments)
            with self._explain.stage(Stage.DATABASE):
                rows = await self._session.rows(Statement(text, arguments.values()))
            self._compare(rows[0])

    def _compare(self, row: Row) -> None:
        # Only the first statement's snapshot is from before all rows that were read.
        if self.is_behind is None:
            self.is_behind = row["has_opened"] or (row["newest_segment"] or 0) > self._newest

    def account(self, why: Skipped) -> None:
        """Count leaves that were read, and those that were not."""
        self._explain.leaves_read = len(self._read)
        self._explain.skip_segments(why, len(self._parts) - len(self._read))


def _is_covered(part: LeafFilter) -> bool:
    """Whether the time range probably covers nearly all rows of a leaf without known times.

    The time index of such a leaf makes a scan a fifth slower; PostgreSQL knows no better.
    """
    opened_us = part.leaf.opened_us
    spans = [item for item in conjuncts(part.condition) if isinstance(item, TimeRange)]
    return opened_us is not None and all(
        (span.start_ns is None or span.start_ns <= opened_us * 1000)
        and (span.end_ns is None or span.end_ns > opened_us * 1000)
        for span in spans
    )


def _inside(parts: Sequence[LeafFilter], span: TimeRange) -> list[LeafFilter]:
    """The leaves that overlap a range, with their filters in it."""
    found = []
    for part in parts:
        narrowed = narrow(span, part.leaf)
        if narrowed == EVERYTHING:
            found.append(part)
        elif narrowed != NOTHING:
            found.append(replace(part, condition=all_of(part.condition, span)))
    return found


_NOT_WORSE: dict[Order, Callable[[int], TimeRange]] = {
    Order.NEWEST: lambda last_us: TimeRange(last_us * 1000, None),
    Order.OLDEST: lambda last_us: TimeRange(None, (last_us + 1) * 1000),
}
