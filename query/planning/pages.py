"""One page of records from leaves and packs: in order, stopping early.

    leaves of the catalogue -> narrow (prune.py) -> tables.py        -> rows in order
                                                 -> packed/pages.py  -> rows in order

The two sources are read in turn, whichever can have the nearest rows, until the page is full and
neither can have rows before its last one.

Paging returns every row that was committed before the first page exactly once: rows do not
change, their key is unique, and a page has all rows between two keys. A row could only be missed in
a segment that the cached catalogue does not have yet; the first statement therefore also reads the
number of the newest segment, in the same snapshot.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from query.planning.compile import NEWEST_SEGMENT, Key, LeafFilter, Order, Query
from query.planning.explain import Explain, Skipped, Stage, add_explained
from query.planning.index_use import is_id_lookup, is_rare, scans_leaves
from query.planning.packed.filtering import RowKey, Wanted, key_tuple
from query.planning.packed.pages import PageScan
from query.planning.packed.reading import PackReader
from query.planning.scan_budget import (
    MAX_SCANNED_ROWS,
    TOO_MANY,
    Missing,
    both,
    missing_of,
    unreadable_of,
)
from query.planning.tables import LOOKUP_LEAVES, WAVE_LEAVES, TableScan
from storage.database.read import LeafGone, QueryTimeout, Row, Session
from storage.errors import DatabaseUnavailable
from storage.filtering.filters import NOTHING, Filter
from storage.filtering.prune import Leaf, narrower
from storage.record.times import microseconds_of
from storage.segments.catalogue import Segment
from storage.segments.zone_maps import leaf_of

__all__ = ["LOOKUP_LEAVES", "TRIES", "WAVE_LEAVES", "Page", "Pages", "Query", "key_of", "plan"]

_TIMED_OUT = "the rest timed out"
GRACE_S = 1.0
"""For the rows of a page that was cut when its time was over."""
TRIES = 5
"""Attempts to read a page while segments are added or removed."""
_LAST = 1 << 63
"""Rank after every row."""


class Catalogue(Protocol):
    """The cached table `segments` (storage/segments/catalogue.py)."""

    def segments(self) -> tuple[Segment, ...]:
        """All segments that are not dropped."""
        ...

    async def refresh(self) -> None:
        """Reload it now."""
        ...


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
        row = (await session.rows(NEWEST_SEGMENT))[0]
        if self._is_behind(row["newest_segment"]):
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
                add_explained(page.explain)
                return page
            await self.refresh()
            if page is not None and self.are_packed(page.unreadable):
                add_explained(page.explain)
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

    def _is_behind(self, newest: int | None) -> bool:
        """Whether there are newer segments than those of the cached catalogue."""
        return (newest or 0) > max((leaf.segment for leaf in self._known()), default=0)

    async def _try(self, session: Session, query: Query) -> Page | None:
        """The page, or None if the cached catalogue lacks segments."""
        explain = Explain()
        with explain.stage(Stage.PLAN):
            known = self._known()
            parts = plan([leaf for leaf in known if not leaf.is_ready], query.where, query.order)
            explain.segments = len(known)
            explain.skip_segments(Skipped.CATALOGUE, len(known) - len(parts))
        scan = PageScan(
            self.packs,
            [part for part in parts if part.leaf.is_packed],
            Wanted(
                query.order,
                query.limit + 1,
                None if query.after is None else key_tuple(query.after),
                query.columns,
            ),
            most_scanned=MAX_SCANNED_ROWS if scans_leaves(query.where) else None,
            explain=explain,
        )
        leaves = [part for part in parts if not part.leaf.is_packed]
        ready = [leaf.segment for leaf in known if leaf.is_ready]
        newest = max((leaf.segment for leaf in known), default=0)
        tables = TableScan(session, leaves, query, explain, ready=ready, newest=newest)
        page = await _Reading(self.packs, session, query, tables, scan).page()
        if page is not None:
            explain.rows_found = len(page.rows)
        return page


def _needs_both(where: Filter) -> bool:
    """Whether hardly any query is answered by leaves or packs alone."""
    return is_id_lookup(where) or is_rare(where)


class _Reading:
    """Reads one page from its two sources."""

    def __init__(
        self,
        packs: PackReader,
        session: Session,
        query: Query,
        tables: TableScan,
        scan: PageScan,
    ) -> None:
        self._packs = packs
        self._session = session
        self._query = query
        self._tables = tables
        self._scan = scan
        self._rows: dict[RowKey, Row] = {}
        """Found in tables."""

    async def page(self) -> Page | None:
        """The page; None if the cached catalogue lacks segments."""
        tables, scan = self._tables, self._scan
        try:
            await tables.start()
            is_both = tables.bound is not None and _needs_both(self._query.where)
            if is_both and not await self._read_both():
                return await self._cut()
            while not tables.is_behind and (bound := self._bound()) is not None:
                near = scan.bound
                if near is not None and near < bound:
                    scan.pause = bound
                    if not await self._packs.finish(scan, self._session.deadline_s):
                        return await self._cut()
                else:
                    self._offer(await self._read_tables())
            await tables.check()
            if tables.is_behind:
                return None
        except QueryTimeout:
            return await self._cut()
        if not await self._finish(self._session.deadline_s):
            return await self._cut()
        return self._page(TOO_MANY)

    def _bound(self) -> int | None:
        """Of the tables' unread rows; None: none of them can be on the page."""
        bound, last, cut_at = self._tables.bound, self._scan.last, self._scan.cut_at
        if bound is None or (last is not None and bound > last):
            return None
        return None if cut_at is not None and bound >= cut_at else bound

    async def _read_tables(self) -> list[Row]:
        scan, query = self._scan, self._query
        last = scan.last
        last_us = None if last is None else query.order.rank(last)
        return await self._tables.read(max(query.limit + 1 - scan.found, 1), last_us)

    async def _read_both(self) -> bool:
        """Search packs while the database searches: both are needed. False: time is over."""
        self._scan.pause = _LAST
        packs = asyncio.ensure_future(self._packs.finish(self._scan, self._session.deadline_s))
        try:
            rows = await self._read_tables()
        except QueryTimeout:
            await packs
            raise
        except BaseException:
            packs.cancel()
            raise
        is_done = await packs
        self._offer(rows)
        return is_done

    def _offer(self, rows: Sequence[Row]) -> None:
        keyed = {key_tuple(key_of(row)): row for row in rows}
        self._rows |= keyed
        self._scan.offer([*keyed])

    async def _finish(self, deadline_s: float) -> bool:
        """Search the rest of the packs, and read the rows that are in them."""
        self._scan.pause = None
        return self._scan.is_idle or await self._packs.finish(self._scan, deadline_s)

    async def _cut(self) -> Page:
        """What is certain when time is over: the rows before all that is left."""
        scan, bound = self._scan, self._bound()
        scan.cut(before=bound)
        is_lost = (bool(scan.left) or bound is not None) and not scan.has_more
        is_unsure = self._tables.is_behind is None
        if is_lost or is_unsure or not await self._finish(time.monotonic() + GRACE_S):
            raise QueryTimeout
        left = self._tables.left if bound is not None else []
        return self._page(_TIMED_OUT, left)

    def _page(self, why: str, left: Sequence[LeafFilter] = ()) -> Page:
        scan, query = self._scan, self._query
        missing = both(self._tables.missing, unreadable_of(scan.unreadable.values()))
        if left := [*left, *scan.left]:
            missing = both(missing, missing_of(left, why))
        self._tables.account(Skipped.PAGE_FULL)
        keyed = [(key, self._rows[key]) for key in scan.others]
        keyed += scan.rows
        keyed.sort(key=lambda item: item[0], reverse=query.order is Order.NEWEST)
        rows = [row for _, row in keyed]
        return Page(
            rows[: query.limit],
            has_more=bool(rows) and (scan.has_more or len(rows) > query.limit),
            missing=missing,
            unreadable=frozenset(scan.unreadable),
            explain=scan.explain,
        )
