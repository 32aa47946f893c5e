# ruff: noqa: PLC0415 - what a command needs is imported when it runs, so that --help is quick
"""`opslog receiver|query|worker|scheduler`: one process of the house, alone or under `up`."""

from typing import Annotated

import typer

from opslog.cli.options import ConfigOption
from opslog.installation.opening import loaded

FdOption = Annotated[
    int | None, typer.Option(help="Listening socket that was handed on; else one is made.", min=3)
]
HealthPortOption = Annotated[
    int | None,
    typer.Option(help="Also answer /livez, /readyz and /metrics on 127.0.0.1 here.", max=65535),
]


def receiver(
    config: ConfigOption = None,
    fd: FdOption = None,
    name: Annotated[str, typer.Option(help="Names its spool: one process a name.")] = "receiver-0",
    health_port: HealthPortOption = None,
) -> None:
    """Take telemetry in: OTLP over HTTP, into the spool, into PostgreSQL."""
    from opslog.wiring.app import run_receiver

    settings = loaded(config).settings
    descriptor = _listening(fd, settings.otlp.host, settings.otlp.port, "otlp")
    run_receiver(settings, fd=descriptor, name=name, health_port=health_port)


def query(config: ConfigOption = None, fd: FdOption = None) -> None:
    """Give answers out: API, page, health, metrics."""
    from opslog.wiring.app import run_query

    settings = loaded(config).settings
    run_query(settings, fd=_listening(fd, settings.api.host, settings.api.port, "api"))


def worker(config: ConfigOption = None, health_port: HealthPortOption = None) -> None:
    """Carry out jobs of retention and upkeep."""
    from opslog.system.launch import children_die_with_us
    from opslog.wiring.app import run_worker

    children_die_with_us()
    run_worker(loaded(config).settings, health_port=health_port)


def scheduler(config: ConfigOption = None, health_port: HealthPortOption = None) -> None:
    """Put jobs into the queue when their time comes."""
    from opslog.wiring.app import run_scheduler

    run_scheduler(loaded(config).settings, health_port=health_port)


def _listening(fd: int | None, host: str, port: int, section: str) -> int:
    """The descriptor of a listening socket, which the process that runs takes over."""
    if fd is not None:
        return fd
    from opslog.system.lock import listener

    return listener(host, port, section).detach()
