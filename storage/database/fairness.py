"""A limited number of places, given to callers in turn.

Connections and the threads that read packs are given out by such a queue: whoever waits is served
round robin over callers, not over requests, so one caller's hundred requests delay another caller's
one by a single turn.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from contextvars import ContextVar

CALLER: ContextVar[str] = ContextVar("opslog_caller", default="")
"""Who the current task works for: digest of a token; empty for opslog itself."""


class FairQueue:
    """Places, and the callers that wait for one."""

    def __init__(self, places: int, *, reserved: int = 0) -> None:
        """`reserved`: places that a single caller leaves to all others; it always gets one."""
        self._free = places
        self._most = max(places - reserved, 1)
        self._held: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def enter(self, timeout_s: float | None = None) -> str:
        """Wait for a place; returns the caller that `leave` needs. Raises TimeoutError."""
        caller = CALLER.get()
        # Where a place is free, whoever waits has as many as one caller may have.
        if self._free and self._held[caller] < self._most:
            self._take(caller)
            return caller
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        try:
            async with asyncio.timeout(timeout_s):
                await turn
        except BaseException:
            self._forget(caller, turn)
            raise
        return caller

    def leave(self, caller: str) -> None:
        """Free a place of this caller; the next one that waits gets it."""
        self._free += 1
        self._held[caller] -= 1
        if not self._held[caller]:
            del self._held[caller]
        self._serve()

    def _take(self, caller: str) -> None:
        self._free -= 1
        self._held[caller] += 1

    def _forget(self, caller: str, turn: "asyncio.Future[None]") -> None:
        if turn.done() and not turn.cancelled():  # it came while the wait was given up
            self.leave(caller)
            return
        turns = self._waiting.get(caller)
        if turns and turn in turns:
            turns.remove(turn)
            if not turns:
                del self._waiting[caller]

    def _serve(self) -> None:
        while self._free:
            caller = next((each for each in self._waiting if self._held[each] < self._most), None)
            if caller is None:
                return
            turns = self._waiting[caller]
            turn = turns.popleft()
            if turns:
                self._waiting.move_to_end(caller)
            else:
                del self._waiting[caller]
            if not turn.done():
                self._take(caller)
                turn.set_result(None)
