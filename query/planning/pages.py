"""One page of records from many segments: newest first, stopping early.

    leaves of the catalogue -> narrow (prune.py) -> waves of at most WAVE_LEAVES -> rows in order
                                                 -> packs (packed/pages.py) -> rows in order

Paging returns every row that was committed before the first page exactly once: rows do not
change, their key is unique, and a page has all rows between two keys. A row could only be missed in
a segment that the cached catalogue does not have yet; the first wave therefore also reads the
number of the newest segment, in the same snapshot.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from query.planning.compile import (
    NEWEST_SEGMENT,
    RECORD,
    Columns,
    Key,
    LeafFilter,
    Order,
    compile_wave,
)
from query.planning.counter_hints import segments_with
from query.planning.explain import Explain
from query.planning.index_use import (
    is_text_search,
    is_unordered_lookup,
    scans_leaf,
    scans_unsealed,
)
from query.planning.packed.pages import PageScan, Wanted, key_tuple
from query.planning.packed.reading import PackReader
from query.planning.scan_budget import (
    MAX_SCANNED_ROWS,
    TOO_MANY,
    Missing,
    both,
    missing_of,
    unreadable_of,
    within_budget,
)
from query.planning.scan_ranges import scan_ranges
from storage.database.read import LeafGone, QueryTimeout, Row, Session, Statement
from storage.errors import DatabaseUnavailable
from storage.filtering.filters import EVERYTHING, NOTHING, Filter, TimeRange, all_of
from storage.filtering.prune import Leaf, narrow, narrower
from storage.record.times import microseconds_of
from storage.segments.catalogue import Segment
from storage.segments.zone_maps import leaf_of

FIRST_TRY_S = 1.0
"""Time limit for text in order of time; then the text index is used, unordered."""
WAVE_LEAVES = 10
"""A leaf takes 7 to 12 locks, and PostgreSQL has fast-path locks for about ten leaves."""
LOOKUP_LEAVES = 30
"""With cached plans, a leaf costs hundredths of a millisecond."""
_TIMED_OUT = "the rest timed out"
GRACE_S = 1.0
"""For the rows of a page that was cut when its time was over."""
TRIES = 5
"""Attempts to read a page while segments are added or removed."""


class Catalogue(Protocol):
    """The cached table `segments` (storage/segments/catalogue.py)."""

    def segments(self) -> tuple[Segment, ...]:
        """All segments that are not dropped."""
        ...

    async def refresh(self) -> None:
        """Reload it now."""
        ...


@dataclass(frozen=True, slots=True)
class Query:
    """What one page contains."""

    where: Filter
    order: Order
    limit: int
    after: Key | None = None
    columns: Columns = RECORD


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in order, and whether more follow."""

    rows: list[Row]
    has_more: bool
    missing: Missing | None = None
    unreadable: frozenset[int] = frozenset()
    """Segments whose pack could not be read."""
    explain: Explain = field(default_factory=Explain, compare=False)


def key_of(row: Row) -> Key:
    """A row's sort key."""
    return Key(
        created_us=microseconds_of(row["created_at"]),
        created_ns=row["created_ns"],
        batch_id=row["batch_id"],
        position=row["position"],
        id=row["id"].bytes,
    )


def plan(leaves: Sequence[Leaf], where: Filter, order: Order) -> list[LeafFilter]:
    """The leaves that may contain such records, in the order to query them."""
    chosen = []
    narrowed = narrower(where)
    for leaf in leaves:
        condition = narrowed(leaf)
        if condition != NOTHING:
            chosen.append(LeafFilter(leaf, condition))
    if order is Order.NEWEST:
        chosen.sort(key=lambda part: (-part.leaf.latest_us, -part.leaf.segment))
    else:
        chosen.sort(key=lambda part: (part.leaf.earliest_us, part.leaf.segment))
    return chosen


REFRESH_WAIT_S = 2.0
"""Maximum wait for a reload of the cached catalogue."""


class Pages:
    """Reads pages with a cached catalogue."""

    def __init__(self, catalogue: Catalogue, packs: PackReader | None = None) -> None:
        self._catalogue = catalogue
        self.packs = packs or PackReader(None)
        self._seen: tuple[Segment, ...] = ()
        self._leaves: list[Leaf] = []

    async def leaves(self, session: Session) -> list[Leaf]:
        """All current leaves."""
        leaves = self._known()
        if _is_behind(leaves, (await session.rows(NEWEST_SEGMENT))[0]):
            await self.refresh()
        return self._known()

    async def read(self, session: Session, query: Query) -> Page:
        """The next page. Raises the errors of storage/database/read.py."""
        for _ in range(TRIES):
            try:
                page = await self._try(session, query)
            except LeafGone:
                page = None
            if page is not None and not page.unreadable:
                return page
            await self.refresh()
            if page is not None and self.are_packed(page.unreadable):
                return page
        raise LeafGone("segments changed faster than they could be read")

    def are_packed(self, segments: Iterable[int]) -> bool:
        """Whether all these segments are packed ones of the cached catalogue."""
        return set(segments) <= {leaf.segment for leaf in self._known() if leaf.is_packed}

    def _known(self) -> list[Leaf]:
        """The leaves of the cached catalogue; computed once per reload."""
        segments = self._catalogue.segments()
        if segments is not self._seen:
            self._seen, self._leaves = segments, [leaf_of(item) for item in segments]
            self.packs.keep_only(item.number for item in segments if item.is_packed)
        return self._leaves

    async def refresh(self) -> None:
        """Reload the catalogue now."""
        try:
            async with asyncio.timeout(REFRESH_WAIT_S):
                await self._catalogue.refresh()
        except TimeoutError as error:
            raise DatabaseUnavailable("the catalogue of segments could not be reloaded") from error

    async def _try(self, session: Session, query: Query) -> Page | None:
        """The page, or None if the cached catalogue lacks segments."""
        known = self._known()
        where, order = query.where, query.order
        held = await segments_with(session, where)
        leaves = known if held is None else [leaf for leaf in known if leaf.segment in held]
        parts = plan(leaves, where, order)
        packed = [part for part in parts if part.leaf.is_packed]
        tables = [part for part in parts if not part.leaf.is_packed]
        page = await self._from_tables(session, known, tables, query)
        return (
            page if page is None or not packed else await self._merged(session, page, packed, query)
        )

    @staticmethod
    async def _from_tables(
        session: Session, known: Sequence[Leaf], parts: Sequence[LeafFilter], query: Query
    ) -> Page | None:
        """The page of the rows in tables, or None if the cached catalogue lacks segments."""
        where, order = query.where, query.order
        if not parts:
            return await _read(session, known, [], query, is_first=True)
        if session.keeps_plans and is_unordered_lookup(where):
            parts = [replace(part, is_lookup=True) for part in parts]
        found: list[Row] = []
        ranges = await scan_ranges(session, where, order, query.after)
        span, is_first = ranges.first(), True
        while True:
            chosen, missing = _inside(parts, span), None
            if ranges.is_last:  # before that, only a few records are scanned in each leaf
                chosen, missing = within_budget(chosen)
            rest = replace(query, limit=query.limit - len(found))
            try:
                page = await _read(session, known, chosen, rest, is_first=is_first)
            except QueryTimeout:
                if not found:
                    raise
                page = Page([], has_more=True, missing=missing_of(chosen, _TIMED_OUT))
            if page is None:
                return None
            found += page.rows
            missing = page.missing or missing
            if page.has_more or missing or ranges.is_last:
                return Page(found, page.has_more, missing)
            span = ranges.following(len(page.rows), query.limit + 1 - len(found))
            is_first = False

    async def _merged(
        self, session: Session, page: Page, packed: Sequence[LeafFilter], query: Query
    ) -> Page:
        """The page of these rows of tables and of the rows in packs."""
        scan = PageScan(
            self.packs,
            packed,
            Wanted(
                query.order,
                # Beyond the last row of a page that has more, rows of tables are not known.
                max(len(page.rows), 1) if page.has_more else query.limit + 1,
                None if query.after is None else key_tuple(query.after),
                query.columns,
            ),
            [key_tuple(key_of(row)) for row in page.rows],
            most_scanned=MAX_SCANNED_ROWS if scans_unsealed(query.where) else None,
        )
        why = TOO_MANY
        if not await self.packs.finish(scan, session.deadline_s):
            why = _TIMED_OUT
            scan.cut()
            is_lost = bool(scan.left) and not scan.has_more
            if is_lost or not await self.packs.finish(scan, time.monotonic() + GRACE_S):
                raise QueryTimeout
        missing = both(page.missing, unreadable_of(scan.unreadable.values()))
        if scan.left:
            missing = both(missing, missing_of(scan.left, why))
        keyed = [(key_tuple(key_of(row)), row) for row in page.rows[: scan.others_kept]]
        keyed += scan.rows
        keyed.sort(key=lambda item: item[0], reverse=query.order is Order.NEWEST)
        rows = [row for _, row in keyed]
        return Page(
            rows[: query.limit],
            has_more=bool(rows) and (page.has_more or scan.has_more or len(rows) > query.limit),
            missing=missing,
            unreadable=frozenset(scan.unreadable),
        )


async def _read(
    session: Session,
    known: Sequence[Leaf],
    chosen: Sequence[LeafFilter],
    query: Query,
    *,
    is_first: bool,
) -> Page | None:
    """The records of these leaves; None if it is the first read and leaves are missing."""
    wanted = query.limit + 1
    found: list[Row] = []
    waves = _waves(chosen, LOOKUP_LEAVES if session.keeps_plans else WAVE_LEAVES)
    for number, parts in enumerate(waves):
        wave = parts
        if len(found) >= wanted:
            wave = [part for part in parts if _can_improve(part.leaf, found, query.order)]
        if not wave:
            continue
        try:
            rows = await _run(session, wave, query, found)
        except QueryTimeout:
            left = [part for wave in waves[number:] for part in wave]
            if found and scans_leaf(wave[0].condition, wave[0].leaf):
                # All that an index finds is complete: return that rather than an error.
                missing = missing_of(left, _TIMED_OUT)
                return Page(found[: query.limit], len(found) > query.limit, missing)
            return _cut(found, left, query)
        if is_first and rows:
            if _is_behind(known, rows[0]):
                return None
            is_first = False
        found = _merge(found, rows, query.order)[:wanted]
    if is_first and _is_behind(known, (await session.rows(NEWEST_SEGMENT))[0]):
        return None
    return Page(found[: query.limit], len(found) > query.limit)


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


def _waves(chosen: Sequence[LeafFilter], most: int) -> list[Sequence[LeafFilter]]:
    """In order; leaves that need a scan come last, limited by what was found."""
    waves: list[Sequence[LeafFilter]] = []
    for is_last in (False, True):
        of = [part for part in chosen if scans_leaf(part.condition, part.leaf) is is_last]
        waves += [of[begin : begin + most] for begin in range(0, len(of), most)]
    return waves


def _is_behind(leaves: Sequence[Leaf], row: Row) -> bool:
    """Whether there are newer segments, by a row that was just read."""
    return (row["newest_segment"] or 0) > max((leaf.segment for leaf in leaves), default=0)


def _cut(found: list[Row], left: Sequence[LeafFilter], query: Query) -> Page:
    """What is certain after a timeout: the rows that precede all of the remaining leaves."""
    leaves = [part.leaf for part in left]
    if query.order is Order.NEWEST:
        newest_us = max(leaf.latest_us for leaf in leaves)
        certain = [row for row in found if microseconds_of(row["created_at"]) > newest_us]
    else:
        oldest_us = min(leaf.earliest_us for leaf in leaves)
        certain = [row for row in found if microseconds_of(row["created_at"]) < oldest_us]
    if not certain:
        raise QueryTimeout
    rows = certain[: query.limit]
    return Page(rows, has_more=True, missing=missing_of(left, _TIMED_OUT))


async def _run(
    session: Session, wave: Sequence[LeafFilter], query: Query, found: list[Row]
) -> list[Row]:
    """The rows of a wave. Text is searched in order of time first, then by the text index.

    The time index finds frequent words fast and rare ones never, and the planner cannot always
    distinguish them (storage/filtering/conditions.py, is_needle).
    """
    if not any(
        is_text_search(part.condition) and not scans_leaf(part.condition, part.leaf)
        for part in wave
    ):
        return await session.rows(_statement(wave, query, found))
    try:
        return await session.rows(_statement(wave, query, found), limit_s=FIRST_TRY_S)
    except QueryTimeout:
        fenced = [replace(part, is_fenced=is_text_search(part.condition)) for part in wave]
        return await session.rows(_statement(fenced, query, found))


def _statement(wave: Sequence[LeafFilter], query: Query, found: list[Row]) -> Statement:
    """The statement for rows of a wave that can still belong to the page."""
    wanted = query.limit + 1
    if len(found) >= wanted:
        last_us = microseconds_of(found[-1]["created_at"])
        span = _NOT_WORSE[query.order](last_us)
        wave = [replace(part, condition=all_of(part.condition, span)) for part in wave]
    return compile_wave(
        wave,
        order=query.order,
        limit=wanted,
        after=query.after,
        columns=query.columns,
    )


_NOT_WORSE: dict[Order, Callable[[int], TimeRange]] = {
    Order.NEWEST: lambda last_us: TimeRange(last_us * 1000, None),
    Order.OLDEST: lambda last_us: TimeRange(None, (last_us + 1) * 1000),
}


def _can_improve(leaf: Leaf, found: list[Row], order: Order) -> bool:
    """Whether a leaf may contain rows before the last one found."""
    last_us = microseconds_of(found[-1]["created_at"])
    if order is Order.NEWEST:
        return leaf.latest_us >= last_us
    return leaf.earliest_us <= last_us


def _merge(found: list[Row], rows: list[Row], order: Order) -> list[Row]:
    if not found or not rows:
        return found or rows
    return sorted([*found, *rows], key=key_of, reverse=order is Order.NEWEST)
