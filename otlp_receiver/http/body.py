"""Read a body: bounded in size, in memory and in how long it blocks the event loop."""

import asyncio
from typing import Protocol

from otlp_receiver.admission.budget import Lease
from otlp_receiver.errors import BodyTooLarge
from otlp_receiver.http.inflate import Inflater

YIELD_BYTES = 4 * 2**20
"""Decompressed bytes (about 10 ms) after which other tasks may run."""


class Chunks(Protocol):
    """Source of a body, such as aiohttp's StreamReader."""

    async def readany(self) -> bytes:
        """The bytes received so far; empty at the end."""

    def at_eof(self) -> bool:
        """Whether everything has been read."""


async def read_body(
    content: Chunks, inflater: Inflater | None, *, limit_bytes: int, lease: Lease
) -> bytes:
    """Read the whole body, decompressed. Raises BodyTooLarge, ReceiverBusy, BadCompression."""
    if inflater is None:
        pieces = await _plain(content, limit_bytes, lease)
    else:
        pieces = await _inflated(content, inflater, limit_bytes, lease)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _plain(content: Chunks, limit_bytes: int, lease: Lease) -> list[bytes]:
    pieces: list[bytes] = []
    size = 0
    while not content.at_eof():
        piece = await content.readany()
        size += len(piece)
        if size > limit_bytes:
            raise BodyTooLarge(limit_bytes)
        lease.cover(size)
        pieces.append(piece)
    return pieces


async def _inflated(
    content: Chunks, inflater: Inflater, limit_bytes: int, lease: Lease
) -> list[bytes]:
    pieces: list[bytes] = []
    size = yielded = 0
    while not content.at_eof():
        for piece in inflater.feed(await content.readany()):
            size += len(piece)
            if size > limit_bytes:
                raise BodyTooLarge(limit_bytes)
            lease.cover(size)
            pieces.append(piece)
            if size - yielded > YIELD_BYTES:
                yielded = size
                await asyncio.sleep(0)
    inflater.finish()
    return pieces
