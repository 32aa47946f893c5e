"""What a bundled server is to whoever starts it: the supervisor, a command line, a test."""

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
"""Takes one line about progress, for people."""

SOCKET_PATH_BYTES = 107
"""Room for a path in `sockaddr_un` on Linux, without the closing NUL."""
_POLL_S = 0.02
_REPORT_EVERY_S = 5.0
_LAST_LINES = 8


class Server(Protocol):
    """A bundled server. All files below `home`; one process of it at a time."""

    name: str
    stop_signal: signal.Signals
    """Asks for an orderly end."""
    quick_signal: signal.Signals
    """Asks for an end at once; what was acknowledged is kept all the same."""

    def prepare(self, report: Progress) -> None:
        """Everything before the start, again and again without harm. Blocks, may take seconds."""

    def end_leftovers(self, report: Progress) -> None:
        """Ends processes of an earlier run. Only for who holds the data directory's lock."""

    def command(self) -> Command:
        """The program; it stays in the foreground and writes its log to standard error."""

    def is_ready(self, pid: int) -> bool:
        """Whether the process `pid`, started from `command()`, answers questions."""


def silent(line: str) -> None:
    """Tells nobody."""


def make_folder(path: Path, *, owner: Account | None, mode: int = 0o700) -> None:
    """Makes one folder of ours; an existing one is left exactly as it is."""
    try:
        path.mkdir(mode=mode)
    except FileExistsError:
        return
    except OSError as error:
        raise SetupError(f"cannot make the folder {path}: {error.strerror}") from error
    path.chmod(mode)  # mkdir's mode is cut by the umask
    if owner is not None:
        os.chown(path, owner.uid, owner.gid)


_PLAIN_PATH = re.compile(r"[\w./+~@%,:-]+")
"""`CLIENT INFO` has the path among `name=value` pairs that are parted by blanks."""


def socket_folder(home: Path, socket_name: str, owner: Account | None) -> Path:
    """The folder for a Unix socket: `run` in the home, or a short one when that path will not do.

    It may be too long, or hold what Redis clients cannot read in the server's list of connections.

    The short one follows from the home, so that other processes find it. It lies where everybody
    may make folders, so one that somebody else made there is refused.
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
            f"{short} was made by somebody else (or is open to others); opslog needs it for a "
            f"socket, because {usual} is too long for one, or holds blanks or signs: choose "
            "another data_dir"
        )
    return short


@contextlib.contextmanager
def running(server: Server, *, report: Progress = silent) -> Iterator[subprocess.Popen[bytes]]:
    """The server, prepared and ready, for as long as the block lasts; then ended in order.

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
    """No limit in time: recovery after a crash takes as long as it takes, and says so."""
    next_report_s = time.monotonic() + _REPORT_EVERY_S
    while not server.is_ready(process.pid):
        if process.poll() is not None:
            raise SetupError(f"{server.name} ended at its start:\n{_last_lines(log)}")
        if time.monotonic() > next_report_s:
            report(f"{server.name} is still starting (recovery after a crash can take minutes)")
            next_report_s += _REPORT_EVERY_S
        time.sleep(_POLL_S)


def _last_lines(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode("utf-8", "backslashreplace").splitlines()
    return "\n".join(lines[-_LAST_LINES:])


def _end(server: Server, process: subprocess.Popen[bytes]) -> None:
    """In order, however long the last checkpoint takes; a second Ctrl-C cuts it short."""
    process.send_signal(server.stop_signal)
    try:
        process.wait()
    except KeyboardInterrupt:
        process.send_signal(server.quick_signal)
        process.wait()
        raise


def sync_folder(path: Path) -> None:
    """Puts the names in a folder on disk: a file's own fsync does not cover its name."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
