# ruff: noqa: PLC0415 - a process loads its own part of the house, not the others' (12 MB each)
"""Builds each process from settings: the only place where the rooms meet.

receiver   keys, codec and pipeline behind the OTLP port; spool and writer    receiving.py
query      reader pool, catalogue and tokens behind the API; access audit     answering.py
worker     RQ worker over retention's jobs                                    working.py
scheduler  rq-scheduler with retention's times                                working.py
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
    """One receiver, until it is told to end. `fd` is a listening socket."""
    from opslog.wiring.receiver import receive

    run(settings, lambda stop: receive(settings, stop, fd, name, health_port))


def run_query(settings: Settings, *, fd: int) -> None:
    """The query server, until it is told to end. `fd` is a listening socket."""
    from opslog.wiring.query import answer

    run(settings, lambda stop: answer(settings, stop, fd))


def run_worker(settings: Settings, *, health_port: int | None = None) -> None:
    """The RQ worker, until it is told to end."""
    from opslog.wiring import worker as working

    working.run_worker(settings, health_port, notify_ready)


def run_scheduler(settings: Settings, *, health_port: int | None = None) -> None:
    """The scheduler, until it is told to end."""
    from opslog.wiring import worker as working

    working.run_scheduler(settings, health_port, notify_ready)
