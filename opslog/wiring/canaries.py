"""Redaction self-test: runs every rule's canary at the start and once an hour.

A Redactor cannot be created while a canary fails; this monitors a running process.
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
            self.run_once()
            await asyncio.sleep(EVERY_S)

    def run_once(self) -> None:
        """Run them now."""
        self._failures = self._redactor.self_test()
        for failure in self._failures:
            _log.critical("redaction rule %s %s", failure.rule, failure.reason)

    async def check(self) -> Finding:
        """For /readyz: the process is not ready while a rule fails."""
        if not self._failures:
            return OK
        names = ", ".join(failure.rule for failure in self._failures)
        return Finding(State.FAILED, f"these rules do not redact their canary: {names}")
