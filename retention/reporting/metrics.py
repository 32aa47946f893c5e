"""Metrics of retention; updated by the worker process every few seconds."""

from prometheus_client import Gauge

from retention.reporting.status import Status

_BACKLOG_SEGMENTS = Gauge(
    "opslog_pack_backlog_segments", "Closed segments waiting to be packed.",
    multiprocess_mode="livemax",
)  # fmt: skip
_BACKLOG_ROWS = Gauge(
    "opslog_pack_backlog_rows", "Rows waiting to be packed.", multiprocess_mode="livemax"
)
_BACKLOG_SECONDS = Gauge(
    "opslog_pack_backlog_seconds", "Estimated time to pack them at the recent rate.",
    multiprocess_mode="livemax",
)  # fmt: skip
_LAG = Gauge(
    "opslog_pack_lag_seconds", "Time since the oldest of them was closed.",
    multiprocess_mode="livemax",
)  # fmt: skip
_LEAVES = Gauge(
    "opslog_packed_leaves", "Packed segments whose rows are still in PostgreSQL as well.",
    multiprocess_mode="livemax",
)  # fmt: skip
_OVERDUE = Gauge(
    "opslog_retention_overdue_seconds",
    "Age of a class's oldest records beyond its retention period, segment age and one run.",
    ["class"],
    multiprocess_mode="livemax",
)
_ROWS = Gauge("opslog_stored_rows", "Records in the store.", ["class"], multiprocess_mode="livemax")
_DAMAGED = Gauge(
    "opslog_damaged_segments", "Segments whose rows differ from what was received.",
    multiprocess_mode="livemax",
)  # fmt: skip
_LAST_RUN = Gauge(
    "opslog_retention_last_run_timestamp_seconds", "Start of the last successful expiry.",
    multiprocess_mode="livemax",
)  # fmt: skip


def update(status: Status) -> None:
    """Update the metrics."""
    _BACKLOG_SEGMENTS.set(status.backlog.segments)
    _BACKLOG_ROWS.set(status.backlog.rows)
    _BACKLOG_SECONDS.set(status.backlog.seconds)
    _LAG.set(status.backlog.lag_s)
    _LEAVES.set(status.backlog.leaves)
    _DAMAGED.set(status.backlog.damaged)
    if status.last_run is not None:
        _LAST_RUN.set(status.last_run.timestamp())
    for each in status.classes:
        _OVERDUE.labels(each.class_name).set(each.overdue.total_seconds())
        _ROWS.labels(each.class_name).set(each.rows)
