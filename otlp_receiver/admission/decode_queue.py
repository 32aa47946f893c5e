"""Who may use the processor next: decoding is work that the event loop cannot interrupt.

One after the other, in the order in which their bodies were complete, with a look at the sockets
between any two. Without it whoever needs many reads waits through everybody's work at each of them.
"""

import asyncio

from otlp_receiver.errors import ReceiverBusy


class DecodeQueue:
    """`async with turns:` is one turn; the queue is first come, first served."""

    def __init__(self, max_wait_s: float) -> None:
        self._lock = asyncio.Lock()
        self._max_wait_s = max_wait_s

    async def __aenter__(self) -> None:
        """Wait for the turn. Raises ReceiverBusy when it does not come in time."""
        if not self._lock.locked():
            await self._lock.acquire()
            return
        try:
            async with asyncio.timeout(self._max_wait_s):
                await self._lock.acquire()
        except TimeoutError:
            raise ReceiverBusy(
                f"requests that came before have kept the receiver for {self._max_wait_s:g} s"
            ) from None

    async def __aexit__(self, *_: object) -> None:
        """Let the next one in."""
        self._lock.release()
