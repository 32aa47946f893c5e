"""Is redaction still at work? Every rule's canary at start and once an hour.

The Redactor itself refuses to be made when a canary fails; this watches a process that runs on.
"""

import asyncio
import logging

from config.process.health import OK, Finding, State
from storage.redaction.redactor import CanaryFailure, Redactor

EVERY_S = 3600.0
_log = logging.getLogger(__name__)


class Canaries:
    """Runs the canaries of one process's redactor."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._failures: list[CanaryFailure] = []

    async def run(self) -> None:
        """Once an hour until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(EVERY_S)

    def look(self) -> None:
        """Run them now."""
        self._failures = self._redactor.self_test()
        for failure in self._failures:
            _log.critical("redaction rule %s %s", failure.rule, failure.reason)

    async def check(self) -> Finding:
        """For /readyz: a rule that no longer works keeps this process from its work."""
        if not self._failures:
            return OK
        names = ", ".join(failure.rule for failure in self._failures)
        return Finding(State.FAILED, f"these rules do not hide their own canary: {names}")
