"""opslog's own metrics, for Prometheus: how processes share them, and the supervisor's figures.

Each room declares its figures in <room>/metrics.py with label values from closed sets only. Under
`opslog up` every process writes to files in one folder and any of them can show the sum of all.
The folder's variable must be set before prometheus_client is imported for the first time.
"""

import os
import shutil
from pathlib import Path

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def share_between_processes(folder: Path) -> None:
    """Makes the folder anew and puts it into this process's environment, for it and its children.

    Called by the supervisor before anything else: what an earlier run left there would be added
    to the figures of this one.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    os.environ[MULTIPROCESS_VARIABLE] = str(folder)


def mark_process_dead(pid: int) -> None:
    """Takes a dead process's gauges out of the sums; what it counted stays counted."""
    if MULTIPROCESS_VARIABLE in os.environ:
        from prometheus_client import multiprocess  # noqa: PLC0415 - see the head of this file

        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


def exposition() -> bytes:
    """Everything that is known in Prometheus' text format: of all processes, or of this one."""
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
