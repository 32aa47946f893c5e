"""The receiver's own metrics. Label values come from closed sets only, never from input."""

import asyncio
from collections.abc import Callable

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter(
    "opslog_otlp_requests",
    "Requests by signal (none: no export path), encoding and HTTP status.",
    ["signal", "encoding", "status"],
)
REFUSED = Counter(
    "opslog_otlp_refused",
    "Rejected requests by error code (docs/reference/errors.md).",
    ["code"],
)
RECORDS = Counter("opslog_otlp_records", "Records (spans) in accepted requests.", ["signal"])
REJECTED = Counter(
    "opslog_otlp_rejected",
    "Rejected records (spans) in accepted requests, by reason.",
    ["signal", "reason"],
)
REPLACED_CHARACTERS = Counter(
    "opslog_otlp_replaced_characters", "Characters that cannot be stored, replaced by U+FFFD."
)
REDACTIONS = Counter("opslog_redactions", "Secrets redacted in received data, by rule.", ["rule"])
WIRE_BYTES = Counter("opslog_otlp_wire_bytes", "Bytes of bodies as received.")
BODY_BYTES = Counter("opslog_otlp_body_bytes", "Bytes of bodies after decompression.")
INFLIGHT_BYTES = Gauge(
    "opslog_otlp_inflight_bytes",
    "Bytes of bodies currently in memory.",
    multiprocess_mode="livesum",
)
CONNECTIONS = Gauge("opslog_otlp_connections", "Open connections.", multiprocess_mode="livesum")
ACK_SECONDS = Histogram(
    "opslog_otlp_ack_seconds",
    "Time from the headers of an export to its response.",
    ["signal"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
SLOW_CLOSED = Counter(
    "opslog_otlp_slow_connections_closed",
    "Connections closed because headers or bodies timed out.",
)
ACCEPT_PAUSES = Counter(
    "opslog_otlp_accept_pauses",
    "Pauses in accepting connections: too many, or no file descriptors left.",
)
PEER_REFUSALS = Counter(
    "opslog_otlp_peer_refusals", "Connections closed immediately because their peer had too many."
)


def soon(count: Callable[..., None], *arguments: object) -> None:
    """Call `count` in the next event loop iteration, so that no response waits for metrics.

    Each update costs 1 us, or 5 us if it was not used recently.
    """
    asyncio.get_running_loop().call_soon(count, *arguments)
