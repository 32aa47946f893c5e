"""Figures of the ledger."""

import time

from prometheus_client import Gauge

_ENTRIES = Gauge(
    "opslog_ledger_entries", "Entries covered by the newest signed head.", multiprocess_mode="max"
)
_PUBLISHED = Gauge(
    "opslog_ledger_published_timestamp_seconds",
    "When the newest head was published outside the database, in seconds since 1970.",
    multiprocess_mode="max",
)


def note_head(size: int) -> None:
    """A head was signed and published."""
    _ENTRIES.set(size)
    _PUBLISHED.set(time.time())
