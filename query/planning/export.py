"""All records that a filter selects, by segment: leaves in short statements, packs by block.

No statement holds a snapshot or a connection longer than one piece takes to read, so slow clients
block neither; memory is limited to one piece. A segment that is packed, unpacked or rewritten
meanwhile is continued after the same key where its records are now. Rows are ordered within a
segment. Each record that was visible when the export began is exported exactly once, unless it is
purged or expires meanwhile.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

from query.errors import SegmentsUnreadable
from query.planning.compile import RECORD, Key, LeafFilter, Order, compile_wave, records_of
from query.planning.packed.filtering import Wanted, key_tuple
from query.planning.packed.pages import PieceScan
from query.planning.pages import Pages, key_of, plan
from query.planning.scan_budget import unreadable_of
from storage.database.read import (
    LeafGone,
    QueryTimeout,
    Reader,
    Row,
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
        """One segment, wherever its records are: where they have moved, it goes on there."""
        after: Key | None = None
        while True:
            pieces = (
                self._pack(part, order, after, unreadable)
                if part.leaf.is_packed
                else self._leaf(part, order, after)
            )
            try:
                async for piece in pieces:
                    yield piece
                    after = key_of(piece.rows[-1])
            except (LeafGone, PackDamaged) as error:
                now = await self._now(part.leaf)
                if now is None:
                    return  # expired during the export
                if _place(now) != _place(part.leaf):
                    part = replace(part, leaf=now)
                    continue
                if isinstance(error, LeafGone):
                    raise
                self._packs.report(part.leaf.segment, error)
                unreadable.append(part)
            return

    async def _leaf(
        self, part: LeafFilter, order: Order, after: Key | None
    ) -> AsyncGenerator[Piece, None]:
        while True:
            statement = compile_wave([part], order=order, limit=PIECE_ROWS, after=after)
            async with self._reader.session() as session:
                rows = records_of(await session.rows(statement))
                streams = await self._streams.of(session, [row["stream_id"] for row in rows])
            if rows:
                yield Piece(rows, streams)
            if len(rows) < PIECE_ROWS:
                return
            after = key_of(rows[-1])

    async def _pack(
        self, part: LeafFilter, order: Order, after: Key | None, unreadable: list[LeafFilter]
    ) -> AsyncGenerator[Piece, None]:
        pack = await asyncio.to_thread(self._packs.open, part.leaf)
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
        """Where the records of a segment are now; None if they have expired.

        Raises LeafGone if they are in a pack with those of other segments and their own files are
        gone: some would come twice.
        """
        async with self._reader.session() as session:
            await self._pages.refresh()
            known = {each.segment: each for each in await self._pages.leaves(session)}
            segment = leaf.segment
            while segment not in known:
                rows = await session.rows(Statement(_REPLACEMENT, (segment,)))
                if not rows:
                    return None
                # The files of merged packs stay for a while.
                old = replace(leaf, segment=segment, is_packed=True, data_hash=None)
                if rows[0]["sources"] > 1:
                    return await self._opened(old)
                segment = rows[0]["replaced_by"]
        return known[segment]

    async def _opened(self, leaf: Leaf) -> Leaf:
        try:
            await asyncio.to_thread(self._packs.open, leaf)
        except PackDamaged as error:
            raise LeafGone("a segment was rewritten during the export") from error
        return leaf


def _place(leaf: Leaf) -> tuple[int, bool, bytes | None]:
    return leaf.segment, leaf.is_packed, leaf.data_hash


_REPLACEMENT = """
SELECT s.replaced_by, (SELECT count(*) FROM segments AS o
                        WHERE o.replaced_by = s.replaced_by AND o.segment <> o.replaced_by)
       AS sources
  FROM segments AS s WHERE s.segment = $1 AND s.replaced_by <> s.segment
"""
"""The segment that has what is left of the records of another one (held ones, a purge, a merge),
and of how many it has some."""
