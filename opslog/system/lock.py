"""One supervisor per data directory, and one holder of each TCP port."""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.errors import SetupError

BACKLOG = 1024
"""Connections that can wait while a receiver restarts."""
_HOLDERS = {
    4318: " (usually an OpenTelemetry Collector)",
    4317: " (usually an OpenTelemetry Collector)",
}


class DataDirBusy(SetupError):
    """Another opslog is using this data directory."""

    code = "data_dir_busy"
    title = "The data directory is in use"

    def __init__(self, data_dir: Path, pid: str) -> None:
        super().__init__(
            f"opslog is already running on {data_dir} (process {pid or 'unknown'}); stop it, or "
            "choose another directory with OPSLOG_DATA_DIR"
        )


class PortTaken(SetupError):
    """opslog cannot listen on the configured address."""

    code = "port_taken"
    title = "The address to listen on is in use"


@contextmanager
def data_dir_lock(data_dir: Path, run_dir: Path) -> Iterator[None]:
    """Lock the data directory for this process; the kernel releases the lock at its exit."""
    path = run_dir / "opslog.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # children do not inherit it (PEP 446)
    with os.fdopen(handle, "r+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataDirBusy(data_dir, file.read().strip()) from None
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
        file.seek(0)
        file.truncate()


def listener(host: str, port: int, setting: str) -> socket.socket:
    """A listening TCP socket; `setting` is its section in the settings, for messages.

    It listens immediately, so that connections made before its server is ready wait and are not
    refused. Raises PortTaken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise SetupError(
            f"{setting}.host is {host!r}, which is not a valid address: {error.strerror}"
        ) from None
    sock = socket.socket(family, kind, protocol)
    try:
        # On Linux this only reuses addresses in TIME_WAIT, never those of a live listener.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise PortTaken(_why(error, host, port, setting)) from None
    return sock


def url_of(sock: socket.socket, *, tls: bool) -> str:
    """The URL of a listener, as seen from this machine."""
    host, port = sock.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1" if sock.family is socket.AF_INET else "::1"
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _why(error: OSError, host: str, port: int, setting: str) -> str:
    choose = f"choose another one with OPSLOG_{setting.upper()}__PORT"
    if error.errno == errno.EADDRINUSE:
        holder = _HOLDERS.get(port, "")
        return f"port {port} on {host} is in use by another program{holder}; {choose}"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} needs root privileges; {choose}"
    return f"cannot listen on {host} port {port} (setting {setting}): {error.strerror}"
