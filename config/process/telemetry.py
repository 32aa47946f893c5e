"""opslog's own Prometheus metrics, shared between processes.

Each package declares its metrics in <package>/metrics.py, with label values from closed sets only.
Under `opslog up` every process writes to files in one directory and any of them can export the
sums. The environment variable must be set before prometheus_client is first imported.
"""

import os
import shutil
from pathlib import Path

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def share_between_processes(folder: Path) -> None:
    """Recreate the directory and set the variable for this process and its children.

    Called by the supervisor first: files of an earlier run would be added to the metrics of this
    one.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    os.environ[MULTIPROCESS_VARIABLE] = str(folder)


def mark_process_dead(pid: int) -> None:
    """Remove a dead process's gauges from the sums; its counters remain."""
    if MULTIPROCESS_VARIABLE in os.environ:
        from prometheus_client import multiprocess  # noqa: PLC0415 - see the head of this file

        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


def exposition() -> bytes:
    """All metrics in Prometheus' text format: of all processes, or of this one only."""
    from prometheus_client import (  # noqa: PLC0415 - see the head of this file
        REGISTRY,
        CollectorRegistry,
        generate_latest,
        multiprocess,
    )

    if MULTIPROCESS_VARIABLE not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
