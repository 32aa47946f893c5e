"""All records that a filter selects, by segment: leaves in short statements, packs by block.

No statement holds a snapshot or a connection longer than one piece takes to read, so slow clients
block neither; memory is limited to one piece. A segment that is packed meanwhile is continued in
its pack after the same key. Rows are ordered within a segment. Each record that
was visible when the export began is exported exactly once.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

from query.errors import SegmentsUnreadable
from query.planning.compile import RECORD, Key, LeafFilter, Order, compile_wave
from query.planning.packed.pages import PieceScan, Wanted, key_tuple
from query.planning.pages import Pages, key_of, plan
from query.planning.scan_budget import unreadable_of
from storage.database.read import (
    LeafGone,
    QueryTimeout,
    Reader,
    Row,
    Session,
    Statement,
    Stream,
    Streams,
)
from storage.filtering.filters import Filter
from storage.filtering.prune import Leaf
from storage.filtering.resolve import resolve
from storage.packs.errors import PackDamaged

PIECE_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows and their streams."""

    rows: list[Row]
    streams: dict[int, Stream]


class Export:
    """Reads what a filter selects, piece by piece."""

    def __init__(self, reader: Reader, pages: Pages, streams: Streams) -> None:
        self._reader = reader
        self._pages = pages
        self._packs = pages.packs
        self._streams = streams

    async def pieces(self, where: Filter, order: Order) -> AsyncGenerator[Piece, None]:
        """Non-empty pieces. Raises the errors of storage/database/read.py, also between pieces.

        SegmentsUnreadable comes after the last piece: the other segments are exported before.
        """
        async with self._reader.session() as session:
            where = await resolve(session, where)
            parts = plan(await self._pages.leaves(session), where, order)
        unreadable: list[LeafFilter] = []
        for part in parts:
            async for piece in self._segment(part, order, unreadable):
                yield piece
        if missing := unreadable_of(unreadable):
            raise SegmentsUnreadable(missing.detail)

    async def _segment(
        self, part: LeafFilter, order: Order, unreadable: list[LeafFilter]
    ) -> AsyncGenerator[Piece, None]:
        """One segment, from its leaf until that is packed, then from its pack."""
        after: Key | None = None
        if not part.leaf.is_packed:
            try:
                async for piece in self._leaf(part, order):
                    yield piece
                    after = key_of(piece.rows[-1])
            except LeafGone:
                now = await self._now(part.leaf)
                if now is None:
                    return  # expired during the export
                part = replace(part, leaf=now)
            else:
                return
        async for piece in self._pack(part, order, after, unreadable):
            yield piece

    async def _leaf(self, part: LeafFilter, order: Order) -> AsyncGenerator[Piece, None]:
        after = None
        while True:
            statement = compile_wave([part], order=order, limit=PIECE_ROWS, after=after)
            async with self._reader.session() as session:
                rows = await session.rows(statement)
                streams = await self._streams.of(session, [row["stream_id"] for row in rows])
            if rows:
                yield Piece(rows, streams)
            if len(rows) < PIECE_ROWS:
                return
            after = key_of(rows[-1])
            # A full piece: the filter selects many rows here; without the time index, each piece
            # would collect all of them again, which is quadratic.
            part = replace(part, selects_many=True)

    async def _pack(
        self, part: LeafFilter, order: Order, after: Key | None, unreadable: list[LeafFilter]
    ) -> AsyncGenerator[Piece, None]:
        try:
            pack = await asyncio.to_thread(self._packs.open, part.leaf)
        except PackDamaged as error:
            if await self._now(part.leaf) is not None:
                self._packs.report(part.leaf.segment, error)
                unreadable.append(part)
            return
        key = None if after is None else key_tuple(after)
        scan = PieceScan(self._packs, part, pack, Wanted(order, PIECE_ROWS, key, RECORD))
        while True:
            if not await self._packs.finish(scan, time.monotonic() + self._reader.limit_s):
                raise QueryTimeout(self._reader.limit_s)
            if not scan.rows:
                break
            async with self._reader.session() as session:
                streams = await self._streams.of(session, [row["stream_id"] for row in scan.rows])
            yield Piece([*scan.rows], streams)
        if not scan.is_whole:
            unreadable.append(part)

    async def _now(self, leaf: Leaf) -> Leaf | None:
        """A segment with its pack as it is now; None if it has expired.

        Raises LeafGone if its records were moved to another segment and its files are gone: they
        would be missing.
        """
        async with self._reader.session() as session:
            await self._pages.refresh()
            for now in await self._pages.leaves(session):
                if now.segment == leaf.segment and now.is_packed:
                    return now
            if not await _was_rewritten(session, leaf.segment):
                return None
        # The files of merged packs stay for a while.
        old = replace(leaf, is_packed=True, data_hash=None)
        try:
            await asyncio.to_thread(self._packs.open, old)
        except PackDamaged as error:
            raise LeafGone("a segment was rewritten during the export") from error
        return old


async def _was_rewritten(session: Session, segment: int) -> bool:
    """Whether a segment's records were copied into another one (held ones, a purge, a merge)."""
    rows = await session.rows(Statement(_REPLACEMENT, (segment,)))
    return bool(rows)


_REPLACEMENT = "SELECT 1 FROM segments WHERE segment = $1 AND replaced_by <> segment"
