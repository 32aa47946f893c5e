# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog receiver|query|worker|packer|scheduler`: a single process, alone or under `up`."""

from typing import Annotated

import typer

from opslog.cli.options import ConfigOption
from opslog.installation.opening import loaded

FdOption = Annotated[
    int | None, typer.Option(help="Inherited listening socket; default: open one.", min=3)
]
HealthPortOption = Annotated[
    int | None,
    typer.Option(help="Also serve /livez, /readyz and /metrics on this local port.", max=65535),
]


def receiver(
    config: ConfigOption = None,
    fd: FdOption = None,
    name: Annotated[
        str, typer.Option(help="Name of its spool; must be unique per process.")
    ] = "receiver-0",
    health_port: HealthPortOption = None,
) -> None:
    """Receive telemetry: OTLP over HTTP to the spool, then to PostgreSQL."""
    from opslog.wiring.app import run_receiver

    settings = loaded(config).settings
    descriptor = _listening(fd, settings.otlp.host, settings.otlp.port, "otlp")
    run_receiver(settings, fd=descriptor, name=name, health_port=health_port)


def query(
    config: ConfigOption = None,
    fd: FdOption = None,
    name: Annotated[
        str, typer.Option(help="Name of its spool; must be unique per process.")
    ] = "query-0",
    health_port: HealthPortOption = None,
) -> None:
    """Serve the API and viewer, health and metrics."""
    from opslog.wiring.app import run_query

    settings = loaded(config).settings
    descriptor = _listening(fd, settings.api.host, settings.api.port, "api")
    run_query(settings, fd=descriptor, name=name, health_port=health_port)


def worker(config: ConfigOption = None, health_port: HealthPortOption = None) -> None:
    """Run retention and maintenance jobs."""
    from opslog.system.launch import children_die_with_us
    from opslog.wiring.app import run_worker

    children_die_with_us()
    run_worker(loaded(config).settings, health_port=health_port)


def packer(
    config: ConfigOption = None,
    name: Annotated[str, typer.Option(help="Name of the process.")] = "packer-0",
    health_port: HealthPortOption = None,
) -> None:
    """Pack closed segments."""
    from opslog.system.launch import children_die_with_us
    from opslog.wiring.app import run_packer

    children_die_with_us()
    run_packer(loaded(config).settings, name=name, health_port=health_port)


def scheduler(config: ConfigOption = None, health_port: HealthPortOption = None) -> None:
    """Queue jobs when they are due."""
    from opslog.wiring.app import run_scheduler

    run_scheduler(loaded(config).settings, health_port=health_port)


def _listening(fd: int | None, host: str, port: int, section: str) -> int:
    """The descriptor of a listening socket, owned by the caller."""
    if fd is not None:
        return fd
    from opslog.system.lock import listener

    return listener(host, port, section).detach()
