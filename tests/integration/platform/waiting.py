"""Waiting, in tests that are not coroutines."""

import time
from collections.abc import Callable


def until(holds: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait until `holds` returns a true value; fails after `within_s`."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)
