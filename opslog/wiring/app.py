# ruff: noqa: PLC0415 - a process loads only its own modules, not the others' (12 MB each)
"""Builds each process from settings.

receiver   keys, codec and pipeline behind the OTLP port; spool and writer    receiver.py
query      reader pool, catalogue and tokens behind the API; access audit     query.py
worker     RQ worker for retention's jobs                                     worker.py
packer     RQ worker that packs closed segments                               worker.py
scheduler  rq-scheduler with retention's schedule                             worker.py
"""

from config.settings import Settings
from opslog.wiring.running import notify_ready, run


def run_receiver(
    settings: Settings,
    *,
    fd: int,
    name: str = "receiver-0",
    health_port: int | None = None,
) -> None:
    """Run one receiver until stopped. `fd` is a listening socket."""
    from opslog.wiring.receiver import receive

    run(settings, lambda stop: receive(settings, stop, fd, name, health_port))


def run_query(
    settings: Settings, *, fd: int, name: str = "query-0", health_port: int | None = None
) -> None:
    """Run one query server until stopped. `fd` is a listening socket."""
    from opslog.wiring.query import serve

    run(settings, lambda stop: serve(settings, stop, fd, name, health_port))


def run_worker(settings: Settings, *, health_port: int | None = None) -> None:
    """Run the RQ worker until stopped."""
    from opslog.wiring import worker

    worker.run_worker(settings, health_port, notify_ready)


def run_packer(
    settings: Settings, *, name: str = "packer-0", health_port: int | None = None
) -> None:
    """Run a packer until stopped."""
    from opslog.wiring import worker

    worker.run_packer(settings, name, health_port, notify_ready)


def run_scheduler(settings: Settings, *, health_port: int | None = None) -> None:
    """Run the scheduler until stopped."""
    from opslog.wiring import worker

    worker.run_scheduler(settings, health_port, notify_ready)
