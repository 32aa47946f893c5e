"""The supervisor's own figures. Imported only after config.telemetry has named the folder."""

from prometheus_client import Counter, Gauge

PROCESS_STARTS = Counter("opslog_process_starts", "Starts of a process.", ["process"])
PROCESS_READY = Gauge(
    "opslog_process_ready",
    "1 while a process is ready, 0 while it starts or waits to be started again.",
    ["process"],
    multiprocess_mode="livemax",
)
