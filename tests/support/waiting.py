"""Waiting for something that another task or process does, without a fixed sleep."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress


async def until(holds: Callable[[], Awaitable[object] | object], *, within_s: float = 20.0) -> None:
    """Until `holds` (a function, asynchronous or not) says something true."""
    async with asyncio.timeout(within_s):
        while True:
            found = holds()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(work: Awaitable[None]) -> AsyncIterator[asyncio.Task[None]]:
    """A task for as long as the block lasts; what it raised by itself is raised here."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
