"""COPY of encoded tuples into the leaf of a segment."""

from collections.abc import AsyncIterator, Iterable

from storage import failpoints
from storage.database.connection import Connection
from storage.record.columns import COPY_COLUMNS
from storage.record.copy_binary import HEADER, TRAILER

_CHUNK_BYTES = 256 * 1024


async def copy_rows(connection: Connection, segment: int, pieces: Iterable[bytes]) -> None:
    """Stream COPY tuples (any number in each piece) into segment `segment`.

    The leaf's name is built only from the catalogue's integer.
    """
    await connection.copy_to_table(
        f"system_logs_s{segment:d}",
        source=_stream(pieces),
        columns=COPY_COLUMNS,
        format="binary",
    )


async def _stream(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Header, tuples, trailer, in chunks: one await per chunk instead of one per request."""
    waiting, size = [HEADER], len(HEADER)
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _CHUNK_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)
    failpoints.reach("writer.mid_copy")
    yield TRAILER
