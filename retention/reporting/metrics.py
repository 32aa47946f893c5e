"""Figures of retention; set by the worker's own process, which looks every few seconds."""

from prometheus_client import Gauge

from retention.reporting.status import Status

_BACKLOG_SEGMENTS = Gauge(
    "opslog_seal_backlog_segments", "Closed segments that wait to be sealed.",
    multiprocess_mode="livemax",
)  # fmt: skip
_BACKLOG_ROWS = Gauge("opslog_seal_backlog_rows", "Their rows.", multiprocess_mode="livemax")
_BACKLOG_SECONDS = Gauge(
    "opslog_seal_backlog_seconds", "Time to seal them at the pace of late.",
    multiprocess_mode="livemax",
)  # fmt: skip
_OVERDUE = Gauge(
    "opslog_retention_overdue_seconds",
    "How much longer than its rule, a segment's age and one run allow a class has records.",
    ["class"],
    multiprocess_mode="livemax",
)
_ROWS = Gauge("opslog_stored_rows", "Records in the store.", ["class"], multiprocess_mode="livemax")
_DAMAGED = Gauge(
    "opslog_damaged_segments", "Segments whose rows are not what was received.",
    multiprocess_mode="livemax",
)  # fmt: skip
_LAST_RUN = Gauge(
    "opslog_retention_last_run_timestamp_seconds", "Begin of the last expiry that ended well.",
    multiprocess_mode="livemax",
)  # fmt: skip


def note(status: Status) -> None:
    """Bring the metrics up to date."""
    _BACKLOG_SEGMENTS.set(status.backlog.segments)
    _BACKLOG_ROWS.set(status.backlog.rows)
    _BACKLOG_SECONDS.set(status.backlog.seconds)
    _DAMAGED.set(status.backlog.damaged)
    if status.last_run is not None:
        _LAST_RUN.set(status.last_run.timestamp())
    for each in status.classes:
        _OVERDUE.labels(each.class_name).set(each.overdue.total_seconds())
        _ROWS.labels(each.class_name).set(each.rows)
