"""Prometheus metrics of the query server."""

from prometheus_client import Counter, Gauge, Histogram

REQUEST_SECONDS = Histogram(
    "opslog_api_request_seconds",
    "Duration of requests.",
    ["route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
"""`route` is a path of the route table, with its placeholders, or "none"."""

DATABASE_SECONDS = Histogram(
    "opslog_api_database_seconds",
    "Time that requests waited for PostgreSQL.",
    ["route"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
"""Per request, exports included; `Server-Timing` has the same for a single response."""

ACCESSES_NOT_RECORDED = Counter(
    "opslog_access_audit_failures_total", "Accesses that could not be recorded.", ["action"]
)

CONNECTIONS = Gauge("opslog_api_connections", "Open connections now.", multiprocess_mode="livesum")
SLOW_CLOSED = Counter(
    "opslog_api_slow_connections_closed",
    "Connections closed because headers did not arrive, or responses were not read, in time.",
)
ACCEPT_PAUSES = Counter(
    "opslog_api_accept_pauses",
    "Pauses in accepting connections: too many, or no file descriptors left.",
)
PEER_REFUSALS = Counter(
    "opslog_api_peer_refusals", "Connections refused because their peer had too many."
)
