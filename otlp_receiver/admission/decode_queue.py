"""Queue for decoding, which blocks the event loop.

Requests are decoded one at a time, in the order in which their bodies were complete, and the event
loop polls sockets in between. Without the queue, a request that needs many reads would wait for
other requests' decoding at each of them.
"""

import asyncio

from otlp_receiver.errors import ReceiverBusy


class DecodeQueue:
    """One slot, used by `async with queue:`; first come, first served."""

    def __init__(self, max_wait_s: float) -> None:
        self._lock = asyncio.Lock()
        self._max_wait_s = max_wait_s

    async def __aenter__(self) -> None:
        """Wait for the slot. Raises ReceiverBusy on timeout."""
        if not self._lock.locked():
            await self._lock.acquire()
            return
        try:
            async with asyncio.timeout(self._max_wait_s):
                await self._lock.acquire()
        except TimeoutError:
            raise ReceiverBusy(
                f"the receiver was busy with earlier requests for {self._max_wait_s:g} s"
            ) from None

    async def __aexit__(self, *_: object) -> None:
        """Release the slot."""
        self._lock.release()
