"""Runs a writer of packs in a thread that ends when the task is cancelled."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from storage.packs.writer import PackWriter

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(writer: PackWriter, work: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
    """Run work on a writer in a thread. When this is cancelled, the work is stopped and awaited.

    Nothing writes any more when this has returned, so the caller can remove what is unfinished.
    """
    thread = asyncio.ensure_future(asyncio.to_thread(work, *args, **more))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        writer.cancel()
        await _ended(thread)
        raise


async def _ended(thread: "asyncio.Future[T]") -> None:
    """Return when it has, even if this is cancelled again; its error no longer matters."""
    while not thread.done():
        try:
            await asyncio.wait([thread])
        except asyncio.CancelledError:
            continue
    thread.exception()
