"""The figures of the query server."""

from prometheus_client import Counter, Gauge, Histogram

REQUEST_SECONDS = Histogram(
    "opslog_api_request_seconds",
    "Time until the end of an answer.",
    ["route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
"""`route` is a path of the table, with its placeholders, or "none"."""

DATABASE_SECONDS = Histogram(
    "opslog_api_database_seconds",
    "Time that an answer waited for PostgreSQL.",
    ["route"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
"""Of whole answers, exports included; `Server-Timing` tells the same of a single answer."""

ACCESSES_NOT_RECORDED = Counter(
    "opslog_access_audit_failures_total", "Accesses that could not be recorded.", ["action"]
)

CONNECTIONS = Gauge("opslog_api_connections", "Open connections now.", multiprocess_mode="livesum")
SLOW_CLOSED = Counter(
    "opslog_api_slow_connections_closed",
    "Connections closed because headers did not come, or answers were not taken, in time.",
)
ACCEPT_PAUSES = Counter(
    "opslog_api_accept_pauses",
    "Times that no connection was accepted for a while: too many, or no file descriptors left.",
)
PEER_REFUSALS = Counter(
    "opslog_api_peer_refusals", "Connections closed at once: their peer had too many already."
)
