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

_DIFFERENCES = Gauge(
    "opslog_ledger_differences",
    "Figures of ingest that the last hourly check found not to fit the rows.",
    multiprocess_mode="livemax",
)
_CHECKED = Gauge(
    "opslog_ledger_check_timestamp_seconds",
    "When figures and rows were last compared, in seconds since 1970.",
    multiprocess_mode="livemax",
)


def note_check(began_s: float, differences: int) -> None:
    """Figures and rows were compared."""
    _CHECKED.set(began_s)
    _DIFFERENCES.set(differences)


def note_head(size: int) -> None:
    """A head was signed and published."""
    _ENTRIES.set(size)
    _PUBLISHED.set(time.time())
