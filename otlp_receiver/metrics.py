"""The receiver's own figures. Label values come from closed sets only: codes, never input."""

import asyncio
from collections.abc import Callable

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter(
    "opslog_otlp_requests",
    "Requests answered, by signal (none: no export path), encoding and HTTP status.",
    ["signal", "encoding", "status"],
)
REFUSED = Counter(
    "opslog_otlp_refused",
    "Requests not taken, by error code (docs/reference/errors.md).",
    ["code"],
)
RECORDS = Counter("opslog_otlp_records", "Records (spans) in accepted requests.", ["signal"])
REJECTED = Counter(
    "opslog_otlp_rejected",
    "Records (spans) of accepted requests that were not taken, by reason.",
    ["signal", "reason"],
)
REPLACED_CHARACTERS = Counter(
    "opslog_otlp_replaced_characters", "Characters that cannot be stored and became U+FFFD."
)
REDACTIONS = Counter("opslog_redactions", "Secrets hidden in what was received, by rule.", ["rule"])
WIRE_BYTES = Counter("opslog_otlp_wire_bytes", "Bytes of bodies as they came.")
BODY_BYTES = Counter("opslog_otlp_body_bytes", "Bytes of bodies after decompression.")
INFLIGHT_BYTES = Gauge(
    "opslog_otlp_inflight_bytes",
    "Bytes of bodies in memory now.",
    multiprocess_mode="livesum",
)
CONNECTIONS = Gauge("opslog_otlp_connections", "Open connections now.", multiprocess_mode="livesum")
ACK_SECONDS = Histogram(
    "opslog_otlp_ack_seconds",
    "From the headers of an export to its answer.",
    ["signal"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
SLOW_CLOSED = Counter(
    "opslog_otlp_slow_connections_closed",
    "Connections closed because headers or bodies did not come in time.",
)
ACCEPT_PAUSES = Counter(
    "opslog_otlp_accept_pauses",
    "Times that no connection was accepted for a while: too many, or no file descriptors left.",
)
PEER_REFUSALS = Counter(
    "opslog_otlp_peer_refusals", "Connections closed at once: their peer had too many already."
)


def soon(note: Callable[..., None], *arguments: object) -> None:
    """Call `note` when the event loop comes round: no answer waits for a figure.

    Each costs a microsecond, and five where it was not used lately, as for a record that is alone.
    """
    asyncio.get_running_loop().call_soon(note, *arguments)
