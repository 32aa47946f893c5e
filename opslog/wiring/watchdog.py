"""Detects a blocked event loop, a defect that raises no exception.

A process with a blocked loop responds to nothing, but looks alive to the supervisor. The watchdog
logs where it is blocked and finally exits, so that the supervisor restarts the process;
acknowledged records are in its spool.
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
"""Missed checks, about seconds. Normally no callback takes a tenth of that."""
EXIT_AFTER = 60
EXIT_CODE = 70
_POLL_S = 1.0


class Watchdog:
    """Checks a running loop from a separate thread.

    It counts its checks, not seconds, so that a suspended machine does not count as blocked.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread_id = threading.get_ident()
        self._stop = threading.Event()
        self._responded = threading.Event()
        self._missed = 0

    def start(self) -> None:
        """Start checking; call it from the loop's own thread."""
        self._ping()
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Stop checking."""
        self._stop.set()

    def _ping(self) -> None:
        self._responded.clear()
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._responded.set)

    def _run(self) -> None:
        while not self._stop.wait(_POLL_S):
            if self._responded.is_set():
                if self._missed >= REPORT_AFTER:
                    _log.warning("the event loop runs again after about %d s", self._missed)
                self._missed = 0
                self._ping()
                continue
            self._missed += 1
            if self._missed == REPORT_AFTER:
                _log.error("event loop blocked for %d s at: %s", REPORT_AFTER, self._place())
            elif self._missed >= EXIT_AFTER:
                _log.critical("event loop blocked; exiting, so that the process is restarted")
                logging.shutdown()
                os._exit(EXIT_CODE)

    def _place(self) -> str:
        """The stack of the loop's thread, innermost call first, without values."""
        frame = sys._current_frames().get(self._thread_id)  # noqa: SLF001 - no public API
        calls = reversed(traceback.extract_stack(frame)) if frame else ()
        return " < ".join(f"{call.name} ({call.filename}:{call.lineno})" for call in calls)
