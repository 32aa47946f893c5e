"""One page of records out of many segments: in waves, newest first, stopping early.

    leaves of the catalogue -> narrow (prune.py) -> waves of at most WAVE_LEAVES -> rows in order

Every row that was committed when the first page was read is found exactly once by walking the
pages: rows do not change, their key is unique, and a page takes all rows between two keys. What
could hide a row is a segment that the catalogue's copy does not know yet; the first wave therefore
brings along the number of the newest segment, read in its own snapshot.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from query.compile import NEWEST_SEGMENT, Key, LeafFilter, Order, compile_wave
from storage.catalogue import Segment
from storage.errors import DatabaseAway
from storage.filters import NOTHING, Filter, TimeRange, all_of
from storage.prune import Leaf, leaf_of, narrow
from storage.read import LeafGone, Row, Session, Statement
from storage.times import microseconds_of

WAVE_LEAVES = 10
"""A leaf takes 7 to 12 locks and PostgreSQL has cheap ones for about ten leaves."""
TRIES = 3
"""How often a page is read anew because segments came or went meanwhile."""


class Catalogue(Protocol):
    """The copy of `segments` in memory (storage/catalogue.py)."""

    def segments(self) -> tuple[Segment, ...]:
        """All segments that are not dropped."""
        ...

    async def refresh(self) -> None:
        """Read it again now."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What one page is to hold."""

    where: Filter
    order: Order
    limit: int
    after: Key | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in order, and whether more follow."""

    rows: list[Row]
    has_more: bool


def key_of(row: Row) -> Key:
    """A row's place in the order of all records."""
    return Key(
        created_us=microseconds_of(row["created_at"]),
        created_ns=row["created_ns"],
        batch_id=row["batch_id"],
        position=row["position"],
        id=row["id"].bytes,
    )


def plan(leaves: Sequence[Leaf], where: Filter, order: Order) -> list[LeafFilter]:
    """The leaves that can hold such records, in the order in which they are best asked."""
    asked = []
    for leaf in leaves:
        condition = narrow(where, leaf)
        if condition != NOTHING:
            asked.append(LeafFilter(leaf, condition))
    if order is Order.NEWEST:
        asked.sort(key=lambda part: (-part.leaf.latest_us, -part.leaf.segment))
    else:
        asked.sort(key=lambda part: (part.leaf.earliest_us, part.leaf.segment))
    return asked


REFRESH_WAIT_S = 2.0
"""Longest wait for the catalogue's copy to follow the database."""


class Pages:
    """Reads pages by one copy of the catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._seen: tuple[Segment, ...] = ()
        self._leaves: list[Leaf] = []

    async def leaves(self, session: Session) -> list[Leaf]:
        """All leaves as of now, none missing."""
        leaves = self._known()
        if _is_behind(leaves, (await session.rows(NEWEST_SEGMENT))[0]):
            await self._refresh()
        return self._known()

    async def read(self, session: Session, question: Question) -> Page:
        """The next page. Raises what storage/read.py raises."""
        for _ in range(TRIES - 1):
            try:
                page = await self._try(session, question)
            except LeafGone:
                page = None
            if page is not None:
                return page
            await self._refresh()
        page = await self._try(session, question)
        if page is None:
            raise LeafGone("segments changed faster than they could be read")
        return page

    def _known(self) -> list[Leaf]:
        """The leaves of the catalogue's copy; made once per copy, which lives for seconds."""
        segments = self._catalogue.segments()
        if segments is not self._seen:
            self._seen, self._leaves = segments, [leaf_of(item) for item in segments]
        return self._leaves

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(REFRESH_WAIT_S):
                await self._catalogue.refresh()
        except TimeoutError as error:
            raise DatabaseAway("the catalogue of segments does not follow") from error

    async def _try(self, session: Session, question: Question) -> Page | None:
        """The page, or None when there are segments that the catalogue's copy does not know."""
        leaves = self._known()
        asked = plan(leaves, question.where, question.order)
        wanted = question.limit + 1
        first, later = asked[:WAVE_LEAVES], asked[WAVE_LEAVES:]
        found = await session.rows(_statement(first, question, [])) if first else []
        if _is_behind(leaves, found[0] if found else (await session.rows(NEWEST_SEGMENT))[0]):
            return None
        for begin in range(0, len(later), WAVE_LEAVES):
            wave = later[begin : begin + WAVE_LEAVES]
            if len(found) >= wanted and not _can_improve(wave[0].leaf, found, question.order):
                break
            rows = await session.rows(_statement(wave, question, found))
            found = _merge(found, rows, question.order)[:wanted]
        return Page(found[: question.limit], has_more=len(found) > question.limit)


def _is_behind(leaves: Sequence[Leaf], row: Row) -> bool:
    """Whether there are segments beyond these, as a row tells that was read just now."""
    return (row["newest_segment"] or 0) > max((leaf.segment for leaf in leaves), default=0)


def _statement(wave: Sequence[LeafFilter], question: Question, found: list[Row]) -> Statement:
    """Asks a wave for what could still get onto the page."""
    wanted = question.limit + 1
    if len(found) >= wanted:
        last_us = microseconds_of(found[-1]["created_at"])
        span = _NOT_WORSE[question.order](last_us)
        wave = [replace(part, condition=all_of(part.condition, span)) for part in wave]
    return compile_wave(wave, order=question.order, limit=wanted, after=question.after)


_NOT_WORSE: dict[Order, Callable[[int], TimeRange]] = {
    Order.NEWEST: lambda last_us: TimeRange(last_us * 1000, None),
    Order.OLDEST: lambda last_us: TimeRange(None, (last_us + 1) * 1000),
}


def _can_improve(leaf: Leaf, found: list[Row], order: Order) -> bool:
    """Whether a leaf (and those after it) can hold rows before the last one found."""
    last_us = microseconds_of(found[-1]["created_at"])
    if order is Order.NEWEST:
        return leaf.latest_us >= last_us
    return leaf.earliest_us <= last_us


def _merge(found: list[Row], rows: list[Row], order: Order) -> list[Row]:
    if not found or not rows:
        return found or rows
    return sorted([*found, *rows], key=key_of, reverse=order is Order.NEWEST)
