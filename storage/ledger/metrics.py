"""Prometheus metrics of the ledger."""

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

_DIFFERENCES = Gauge(
    "opslog_ledger_differences",
    "Ingest counters that did not match the rows in the last hourly check.",
    multiprocess_mode="livemax",
)
_CHECKED = Gauge(
    "opslog_ledger_check_timestamp_seconds",
    "When counters and rows were last compared, in seconds since 1970.",
    multiprocess_mode="livemax",
)


def note_check(began_s: float, differences: int) -> None:
    """Record the result of a check."""
    _CHECKED.set(began_s)
    _DIFFERENCES.set(differences)


def note_head(size: int) -> None:
    """Record a signed and published head."""
    _ENTRIES.set(size)
    _PUBLISHED.set(time.time())
