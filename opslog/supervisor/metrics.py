"""The supervisor's metrics. Imported only after config.process.telemetry has set the folder."""

from prometheus_client import Counter, Gauge

PROCESS_STARTS = Counter("opslog_process_starts", "Number of starts of a process.", ["process"])
PROCESS_READY = Gauge(
    "opslog_process_ready",
    "1 while a process is ready, 0 while it is starting or waiting for a restart.",
    ["process"],
    multiprocess_mode="livemax",
)
