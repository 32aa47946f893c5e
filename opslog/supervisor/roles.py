"""The processes of `opslog up`, in the order of their dependencies."""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from opslog.embedded.server import Progress, Server
from opslog.installation.installation import Installation
from opslog.system.processes import Command

TRY_AGAIN = 75
"""Exit code of a step that must be retried later (sysexits.h, EX_TEMPFAIL)."""


def nothing(report: Progress) -> None:
    """No action."""


@dataclass(frozen=True, slots=True)
class Role:
    """One process of opslog."""

    name: str
    command: Callable[[], Command]
    prepare: Callable[[Progress], None] = nothing
    """Runs before each start; may block."""
    clear: Callable[[Progress], None] = nothing
    """Runs after each exit, to end leftover processes; may block."""
    is_ready: Callable[[int], bool] | None = None
    """Polled; None: the process reports readiness on the pipe OPSLOG_READY_FD."""
    descriptors: tuple[int, ...] = ()
    """Listening sockets that it inherits."""
    arguments: tuple[str, ...] = ()
    """Command-line arguments of one of our own processes, which the fork server can create."""
    stop_signal: signal.Signals = signal.SIGTERM
    quick_signal: signal.Signals = signal.SIGKILL
    is_step: bool = False
    """Runs to completion; done when it exits with 0."""


def server_role(server: Server) -> Role:
    """A bundled server."""
    return Role(
        name=server.name,
        command=server.command,
        prepare=server.prepare,
        clear=server.end_leftovers,
        is_ready=server.is_ready,
        stop_signal=server.stop_signal,
        quick_signal=server.quick_signal,
    )


def own_role(
    name: str, arguments: tuple[str, ...], environment: Mapping[str, str], *, fd: int | None = None
) -> Role:
    """A process of opslog itself: `python -m opslog ARGUMENTS`."""
    handed = () if fd is None else ("--fd", str(fd))
    command = Command(
        name=name,
        # -P: a folder named opslog in the working directory must not win
        program=(sys.executable, "-P", "-m", "opslog", *arguments, *handed),
        folder=Path.cwd(),
        environment={**environment, "OPSLOG_PROCESS": name},
    )
    return Role(
        name=name,
        command=lambda: command,
        descriptors=() if fd is None else (fd,),
        arguments=arguments,
        is_step=arguments[0] == "migrate",
    )


def process_groups(
    installation: Installation, environment: Mapping[str, str], *, otlp_fd: int, api_fd: int
) -> list[list[Role]]:
    """All roles, in groups: a group starts when the previous one is ready."""
    servers = []
    if installation.has_own_postgres:
        servers.append(server_role(installation.postgres))
    if installation.has_own_valkey:
        servers.append(server_role(installation.valkey))
    receivers = [
        own_role(name, ("receiver", "--name", name), environment, fd=otlp_fd)
        for name in installation.receiver_names
    ]
    queries = [
        own_role(name, ("query", "--name", name), environment, fd=api_fd)
        for name in installation.query_names
    ]
    packers = [
        own_role(name, ("packer", "--name", name), environment)
        for name in installation.packer_names
    ]
    return [
        servers,
        [own_role("migrate", ("migrate", "up"), environment)],
        receivers,
        [
            *queries,
            own_role("worker", ("worker",), environment),
            *packers,
            own_role("scheduler", ("scheduler",), environment),
        ],
    ]


def child_environment(
    installation: Installation, config: Path | None, *, as_json: bool
) -> dict[str, str]:
    """Our environment with derived settings made explicit, so that all processes agree."""
    environment = {
        **os.environ,
        "OPSLOG_DATA_DIR": str(installation.data_dir),
        "OPSLOG_LOG__FORMAT": "json" if as_json else "text",
        "TZ": "UTC",  # rq-scheduler always reads cron strings in the local time zone
    }
    if config is not None:
        environment["OPSLOG_CONFIG"] = str(config)
    return environment
