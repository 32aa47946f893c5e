"""`opslog up`: starts all processes."""

import asyncio
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING

from config.process import logs, telemetry
from config.process.clock import monotonic_s
from config.process.machine import disable_memory_dumps
from config.units import duration_text
from opslog import __version__
from opslog.installation.installation import Installation, Running
from opslog.installation.opening import command_name
from opslog.installation.redis_address import check_redis
from opslog.installation.tokens import TokenRequest, signed_token
from opslog.supervisor.log_stream import LogStream
from opslog.system.lock import data_dir_lock, listener, url_of

if TYPE_CHECKING:
    from config.loading.load import Loaded

_FIRST_ROLE = "ADMIN"
"""Role of the printed token: read and export, but not purge or manage."""


def up(loaded: "Loaded") -> int:
    """Run until a signal; returns the exit code. Raises SetupError before anything is started."""
    disable_memory_dumps()
    check_redis(loaded.settings)
    installation = Installation(loaded.settings)
    installation.make_folders()
    with data_dir_lock(installation.data_dir, installation.run_dir):
        settings = loaded.settings
        with (
            listener(settings.otlp.host, settings.otlp.port, "otlp") as otlp,
            listener(settings.api.host, settings.api.port, "api") as api,
        ):
            installation.note_running(None)  # remove the entry of a killed process
            installation.query_state.unlink(missing_ok=True)
            telemetry.share_between_processes(installation.metrics_dir)
            _raise_file_limit()
            return asyncio.run(_run(installation, loaded, otlp, api))


async def _run(installation: Installation, loaded: "Loaded", otlp: socket, api: socket) -> int:
    # Metrics are imported only after their folder is set.
    from opslog.supervisor.fork_client import ForkServer  # noqa: PLC0415
    from opslog.supervisor.reload import Reload  # noqa: PLC0415
    from opslog.supervisor.roles import child_environment, process_groups  # noqa: PLC0415
    from opslog.supervisor.supervisor import Supervisor  # noqa: PLC0415

    settings = installation.settings
    as_json = logs.is_json(settings.log)
    stream = LogStream(sys.stderr, as_json=as_json)
    logs.set_up(settings.log, stream)
    began_s = monotonic_s()
    address = Address(
        otlp=url_of(otlp, tls=settings.otlp.tls_cert is not None),
        api=settings.api.public_url or url_of(api, tls=settings.api.tls_cert is not None),
    )
    environment = child_environment(installation, loaded.file, as_json=as_json)
    supervisor = Supervisor(
        process_groups(installation, environment, otlp_fd=otlp.fileno(), api_fd=api.fileno()),
        stream,
        stop_timeout_s=settings.stop_timeout_s,
        listeners=(otlp, api),
        # A closing terminal sends SIGHUP as well, and then opslog should stop.
        check=None if sys.stdin is not None and sys.stdin.isatty() else Reload(loaded).check,
        fork_server=ForkServer(environment, Path.cwd()) if sys.platform == "linux" else None,
    )

    def on_ready() -> None:
        installation.note_running(Running(os.getpid(), address.otlp, address.api))
        print(welcome(installation, address, monotonic_s() - began_s), flush=True)

    try:
        return await supervisor.run(on_ready)
    finally:
        installation.note_running(None)
        stream.close()


@dataclass(frozen=True, slots=True)
class Address:
    """The URLs of the two listeners."""

    otlp: str
    api: str


def welcome(installation: Installation, address: Address, took_s: float) -> str:
    """What a user needs to start: addresses, a token, and commands to try."""
    settings = installation.settings
    token = signed_token(installation, TokenRequest(_FIRST_ROLE))
    lifetime = duration_text(settings.auth.token_hours * 3600)
    name = command_name()
    key = f"   (with an ingest key: {name} keys create NAME)" if settings.otlp.requires_keys else ""
    return f"""
opslog {__version__} is ready after {took_s:.1f} s. Data is stored in {installation.data_dir}

  viewer  {address.api}/#token={token}
  token   {token}
          role {_FIRST_ROLE}, valid for {lifetime}; create others: {name} token --role ROLE
  send    {address.otlp}   OTLP/HTTP: OTEL_EXPORTER_OTLP_ENDPOINT={address.otlp}{key}
  try     curl -s -H 'Authorization: Bearer {token}' '{address.api}/api/v1/logs?limit=5'
  demo    {name} demo   (a demo shop sends logs and traces for a few seconds)
  stop    Ctrl-C
"""


def _raise_file_limit() -> None:
    """Raise the limit of open files to the maximum: connections, spool files, segments."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
