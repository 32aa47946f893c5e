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

from query.planning.compile import (
    NEWEST_SEGMENT,
    RECORD,
    Columns,
    Key,
    LeafFilter,
    Order,
    compile_wave,
)
from query.planning.cost import is_open_text, is_scan, is_unordered_id
from query.planning.nearest import holding
from query.planning.ranges import ranges_of
from storage.database.read import LeafGone, QueryTimeout, Row, Session, Statement
from storage.errors import DatabaseUnavailable
from storage.filtering.filters import EVERYTHING, NOTHING, Filter, TimeRange, all_of
from storage.filtering.prune import Leaf, narrow, narrower
from storage.record.times import microseconds_of
from storage.segments.catalogue import Segment
from storage.segments.zone_maps import leaf_of

SCANNED_ROWS = 2_000_000
"""Records that one question reads for want of an index: a second or two."""
FIRST_TRY_S = 1.0
"""Longest for words in order of time; then their own index is asked, whatever the order."""
WAVE_LEAVES = 10
"""A leaf takes 7 to 12 locks and PostgreSQL has cheap ones for about ten leaves."""
LOOKUP_LEAVES = 30
"""Where nothing is planned anew, a leaf costs hundredths of a millisecond."""
_TOO_LONG = "the rest took too long"
TRIES = 3
"""How often a page is read anew because segments came or went meanwhile."""


class Catalogue(Protocol):
    """The copy of `segments` in memory (storage/segments/catalogue.py)."""

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
    columns: Columns = RECORD


@dataclass(frozen=True, slots=True)
class Missing:
    """What of the store a question did not look at."""

    detail: str
    segments: int
    rows: int
    """About as many records lie there."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in order, and whether more follow."""

    rows: list[Row]
    has_more: bool
    missing: Missing | None = None


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
    narrowed = narrower(where)
    for leaf in leaves:
        condition = narrowed(leaf)
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
        """The next page. Raises what storage/database/read.py raises."""
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
            raise DatabaseUnavailable("the catalogue of segments does not follow") from error

    async def _try(self, session: Session, question: Question) -> Page | None:
        """The page, or None when there are segments that the catalogue's copy does not know."""
        known = self._known()
        where, order = question.where, question.order
        held = await holding(session, where)
        leaves = known if held is None else [leaf for leaf in known if leaf.segment in held]
        parts = plan(leaves, where, order)
        if session.keeps_plans and is_unordered_id(where):
            parts = [replace(part, is_lookup=True) for part in parts]
        found: list[Row] = []
        ranges = await ranges_of(session, where, order, question.after)
        span, is_first = ranges.first(), True
        while True:
            asked, missing = _inside(parts, span), None
            if ranges.is_last:  # before that, a few records are read in each leaf
                asked, missing = within_budget(asked)
            rest = replace(question, limit=question.limit - len(found))
            try:
                page = await _read(session, known, asked, rest, is_first=is_first)
            except QueryTimeout:
                if not found:
                    raise
                page = Page([], has_more=True, missing=missing_of(asked, _TOO_LONG))
            if page is None:
                return None
            found += page.rows
            missing = page.missing or missing
            if page.has_more or missing or ranges.is_last:
                return Page(found, page.has_more, missing)
            span = ranges.following(len(page.rows), question.limit + 1 - len(found))
            is_first = False


async def _read(
    session: Session,
    known: Sequence[Leaf],
    asked: Sequence[LeafFilter],
    question: Question,
    *,
    is_first: bool,
) -> Page | None:
    """What these leaves have; None when it is the first look and there are leaves not known."""
    wanted = question.limit + 1
    found: list[Row] = []
    waves = _waves(asked, LOOKUP_LEAVES if session.keeps_plans else WAVE_LEAVES)
    for number, parts in enumerate(waves):
        wave = parts
        if len(found) >= wanted:
            wave = [part for part in parts if _can_improve(part.leaf, found, question.order)]
        if not wave:
            continue
        try:
            rows = await _ask(session, wave, question, found)
        except QueryTimeout:
            left = [part for wave in waves[number:] for part in wave]
            if found and is_scan(wave[0].condition, wave[0].leaf):
                # All that an index finds is there: better to have than to be told nothing.
                missing = missing_of(left, _TOO_LONG)
                return Page(found[: question.limit], len(found) > question.limit, missing)
            return _cut(found, left, question)
        if is_first and rows:
            if _is_behind(known, rows[0]):
                return None
            is_first = False
        found = _merge(found, rows, question.order)[:wanted]
    if is_first and _is_behind(known, (await session.rows(NEWEST_SEGMENT))[0]):
        return None
    return Page(found[: question.limit], len(found) > question.limit)


def _inside(parts: Sequence[LeafFilter], span: TimeRange) -> list[LeafFilter]:
    """The leaves that reach into a range, and what to ask them there."""
    found = []
    for part in parts:
        narrowed = narrow(span, part.leaf)
        if narrowed == EVERYTHING:
            found.append(part)
        elif narrowed != NOTHING:
            found.append(replace(part, condition=all_of(part.condition, span)))
    return found


def _waves(asked: Sequence[LeafFilter], most: int) -> list[Sequence[LeafFilter]]:
    """In order; leaves that have to be read through come last, bounded by what was found."""
    waves: list[Sequence[LeafFilter]] = []
    for is_last in (False, True):
        of = [part for part in asked if is_scan(part.condition, part.leaf) is is_last]
        waves += [of[begin : begin + most] for begin in range(0, len(of), most)]
    return waves


def _is_behind(leaves: Sequence[Leaf], row: Row) -> bool:
    """Whether there are segments beyond these, as a row tells that was read just now."""
    return (row["newest_segment"] or 0) > max((leaf.segment for leaf in leaves), default=0)


def within_budget(
    asked: Sequence[LeafFilter], *, most_rows: int = SCANNED_ROWS
) -> tuple[list[LeafFilter], Missing | None]:
    """The leaves that can be read in time; of those without an index the first ones in order."""
    taken, left, rows = [], [], 0
    for part in asked:
        if is_scan(part.condition, part.leaf):
            rows += part.leaf.rows
            if rows > most_rows:
                left.append(part)
                continue
        taken.append(part)
    if not left:
        return taken, None
    return taken, missing_of(left, "records without an index for this question are too many")


def missing_of(parts: Sequence[LeafFilter], why: str) -> Missing:
    """That these leaves were not asked, and why."""
    rows = sum(part.leaf.rows for part in parts)
    detail = f"not everything was searched: {why}; give a time range or a field to search by"
    return Missing(detail, len(parts), rows)


def _cut(found: list[Row], left: Sequence[LeafFilter], question: Question) -> Page:
    """What is certain when time ran out: the rows before all that the leaves left could hold."""
    leaves = [part.leaf for part in left]
    if question.order is Order.NEWEST:
        newest_us = max(leaf.latest_us for leaf in leaves)
        certain = [row for row in found if microseconds_of(row["created_at"]) > newest_us]
    else:
        oldest_us = min(leaf.earliest_us for leaf in leaves)
        certain = [row for row in found if microseconds_of(row["created_at"]) < oldest_us]
    if not certain:
        raise QueryTimeout
    rows = certain[: question.limit]
    return Page(rows, has_more=True, missing=missing_of(left, _TOO_LONG))


async def _ask(
    session: Session, wave: Sequence[LeafFilter], question: Question, found: list[Row]
) -> list[Row]:
    """The rows of a wave. Words are asked for in order of time first, then by their own index.

    The order finds frequent words at once and rare ones never, and the planner cannot always
    tell which are which (storage/filtering/conditions.py, is_needle).
    """
    if not any(
        is_open_text(part.condition) and not is_scan(part.condition, part.leaf) for part in wave
    ):
        return await session.rows(_statement(wave, question, found))
    try:
        return await session.rows(_statement(wave, question, found), limit_s=FIRST_TRY_S)
    except QueryTimeout:
        fenced = [replace(part, is_fenced=is_open_text(part.condition)) for part in wave]
        return await session.rows(_statement(fenced, question, found))


def _statement(wave: Sequence[LeafFilter], question: Question, found: list[Row]) -> Statement:
    """Asks a wave for what could still get onto the page."""
    wanted = question.limit + 1
    if len(found) >= wanted:
        last_us = microseconds_of(found[-1]["created_at"])
        span = _NOT_WORSE[question.order](last_us)
        wave = [replace(part, condition=all_of(part.condition, span)) for part in wave]
    return compile_wave(
        wave,
        order=question.order,
        limit=wanted,
        after=question.after,
        columns=question.columns,
    )


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
