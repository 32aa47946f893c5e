"""All records that a filter selects, leaf by leaf, in short statements.

No statement holds a snapshot or a connection longer than one piece takes to read, so slow clients
block neither; memory is limited to one piece. Rows are ordered within a segment. Each record that
was visible when the export began is exported exactly once.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

from query.planning.compile import LeafFilter, Order, compile_wave
from query.planning.pages import Pages, key_of, plan
from storage.database.read import LeafGone, Reader, Row, Session, Statement, Stream, Streams
from storage.filtering.filters import Filter
from storage.filtering.resolve import resolve

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
        self._streams = streams

    async def pieces(self, where: Filter, order: Order) -> AsyncGenerator[Piece, None]:
        """Non-empty pieces. Raises the errors of storage/database/read.py, also between pieces."""
        async with self._reader.session() as session:
            where = await resolve(session, where)
            parts = plan(await self._pages.leaves(session), where, order)
        for part in parts:
            async for piece in self._leaf(part, order):
                yield piece

    async def _leaf(self, part: LeafFilter, order: Order) -> AsyncGenerator[Piece, None]:
        after = None
        while True:
            statement = compile_wave([part], order=order, limit=PIECE_ROWS, after=after)
            async with self._reader.session() as session:
                try:
                    rows = await session.rows(statement)
                except LeafGone:
                    if await _was_rewritten(session, part.leaf.segment):
                        raise  # its records have moved to another segment and would be missing
                    return  # expired during the export
                streams = await self._streams.of(session, [row["stream_id"] for row in rows])
            if rows:
                yield Piece(rows, streams)
            if len(rows) < PIECE_ROWS:
                return
            after = key_of(rows[-1])
            # A full piece: the filter selects many rows here; without the time index, each piece
            # would collect all of them again, which is quadratic.
            part = replace(part, selects_many=True)


async def _was_rewritten(session: Session, segment: int) -> bool:
    """Whether a segment's records were copied into another one (held ones, a purge, a merge)."""
    rows = await session.rows(Statement(_REPLACEMENT, (segment,)))
    return bool(rows)


_REPLACEMENT = "SELECT 1 FROM segments WHERE segment = $1 AND replaced_by <> segment"
