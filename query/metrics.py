"""The figures of the query server."""

from prometheus_client import Counter, Histogram

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
