"""Notices an event loop that does not come round any more: a defect that no exception shows.

A process whose loop is stuck answers nobody, and the supervisor cannot tell it from one that is at
work. So it says where it is stuck, and in the end makes room for the next one: what it acknowledged
is in its spool.
"""

import asyncio
import logging
import os
import sys
import threading
import traceback
from contextlib import suppress

_log = logging.getLogger(__name__)

REPORT_AFTER = 5
"""Looks, about seconds. Nothing in a loop of ours takes a tenth of that."""
EXIT_AFTER = 60
EXIT_CODE = 70
_POLL_S = 1.0


class Watchdog:
    """Looks at a running loop from a thread of its own.

    It counts its own looks, not seconds, so that a machine that slept is no stuck loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread_id = threading.get_ident()
        self._stop = threading.Event()
        self._responded = threading.Event()
        self._missed = 0

    def start(self) -> None:
        """Begin to look; call it from the loop's own thread."""
        self._ping()
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def _ping(self) -> None:
        self._responded.clear()
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._responded.set)

    def _run(self) -> None:
        while not self._stop.wait(_POLL_S):
            if self._responded.is_set():
                if self._missed >= REPORT_AFTER:
                    _log.warning("the event loop goes on after about %d s", self._missed)
                self._missed = 0
                self._ping()
                continue
            self._missed += 1
            if self._missed == REPORT_AFTER:
                _log.error("the event loop is stuck since %d s: %s", REPORT_AFTER, self._place())
            elif self._missed >= EXIT_AFTER:
                _log.critical("the event loop is stuck; this process ends for another one")
                logging.shutdown()
                os._exit(EXIT_CODE)

    def _place(self) -> str:
        """Where the thread of the loop is, innermost call first; no values."""
        frame = sys._current_frames().get(self._thread_id)  # noqa: SLF001 - there is no other way
        calls = reversed(traceback.extract_stack(frame)) if frame else ()
        return " < ".join(f"{call.name} ({call.filename}:{call.lineno})" for call in calls)
