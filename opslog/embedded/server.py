"""The interface of a bundled server, for the supervisor, commands and tests."""

import contextlib
import hashlib
import os
import re
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol

from config.errors import SetupError
from opslog.system.processes import Account, Command, start

Progress = Callable[[str], None]
"""Callback for a progress message."""

SOCKET_PATH_BYTES = 107
"""Longest path in `sockaddr_un` on Linux, without the terminating NUL."""
_POLL_S = 0.02
_REPORT_EVERY_S = 5.0
_LAST_LINES = 8


class Server(Protocol):
    """A bundled server. All files below `home`; one process of it at a time."""

    name: str
    stop_signal: signal.Signals
    """Shuts down cleanly."""
    quick_signal: signal.Signals
    """Stops immediately, without loss of committed data."""

    def prepare(self, report: Progress) -> None:
        """Prepare a start; idempotent. Blocks, may take seconds."""

    def end_leftovers(self, report: Progress) -> None:
        """End processes of an earlier run. The caller must hold the data directory's lock."""

    def command(self) -> Command:
        """The command; it runs in the foreground and logs to standard error."""

    def is_ready(self, pid: int) -> bool:
        """Whether the process `pid`, started from `command()`, accepts queries."""


def silent(line: str) -> None:
    """Discard the message."""


def make_folder(path: Path, *, owner: Account | None, mode: int = 0o700) -> None:
    """Create one folder; an existing one is left unchanged."""
    try:
        path.mkdir(mode=mode)
    except FileExistsError:
        return
    except OSError as error:
        raise SetupError(f"cannot create the folder {path}: {error.strerror}") from error
    path.chmod(mode)  # mkdir's mode is reduced by the umask
    if owner is not None:
        os.chown(path, owner.uid, owner.gid)


_PLAIN_PATH = re.compile(r"[\w./+~@%,:-]+")
"""`CLIENT INFO` contains the path among `name=value` pairs separated by spaces."""


def socket_folder(home: Path, socket_name: str, owner: Account | None) -> Path:
    """The folder for a Unix socket: `run` in the home, or a short one if that path is unusable.

    It is unusable if it is too long, or breaks the parsing of the server's list of connections in
    Redis clients.

    The short path is derived from the home, so that other processes find it. It is in a
    world-writable folder, so one that another account created is refused.
    """
    usual = home / "run"
    is_short = len(os.fsencode(usual / socket_name)) <= SOCKET_PATH_BYTES
    if is_short and _PLAIN_PATH.fullmatch(str(usual)):
        make_folder(usual, owner=owner)
        return usual
    name = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"opslog-{name}"
    if len(os.fsencode(short / socket_name)) > SOCKET_PATH_BYTES:
        short = Path("/tmp") / short.name  # noqa: S108 - checked below
    make_folder(short, owner=owner)
    found = short.lstat()
    expected = owner.uid if owner else os.geteuid()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != expected or found.st_mode & 0o077:
        raise SetupError(
            f"{short} belongs to another account or is accessible to others; opslog needs it for a "
            f"socket, because {usual} is too long for one or has special characters: choose "
            "another data_dir"
        )
    return short


@contextlib.contextmanager
def running(server: Server, *, report: Progress = silent) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server within the block; it is ready at the start and shut down cleanly at the end.

    For one-off commands and tests. The calling thread must outlive the block.
    """
    server.prepare(report)
    with tempfile.TemporaryFile() as log:
        process = start(server.command(), output=log)
        try:
            _wait_until_ready(server, process, log, report)
            yield process
        finally:
            _end(server, process)


def _wait_until_ready(
    server: Server, process: subprocess.Popen[bytes], log: IO[bytes], report: Progress
) -> None:
    """Wait without a timeout, since crash recovery can take long; reports progress."""
    next_report_s = time.monotonic() + _REPORT_EVERY_S
    while not server.is_ready(process.pid):
        if process.poll() is not None:
            raise SetupError(f"{server.name} failed to start:\n{_last_lines(log)}")
        if time.monotonic() > next_report_s:
            report(f"{server.name} is still starting (recovery after a crash can take minutes)")
            next_report_s += _REPORT_EVERY_S
        time.sleep(_POLL_S)


def _last_lines(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode("utf-8", "backslashreplace").splitlines()
    return "\n".join(lines[-_LAST_LINES:])


def _end(server: Server, process: subprocess.Popen[bytes]) -> None:
    """Shut down cleanly, however long the last checkpoint takes; a second Ctrl-C aborts it."""
    process.send_signal(server.stop_signal)
    try:
        process.wait()
    except KeyboardInterrupt:
        process.send_signal(server.quick_signal)
        process.wait()
        raise


def sync_folder(path: Path) -> None:
    """Sync the directory entries to disk: a file's own fsync does not cover its name."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
