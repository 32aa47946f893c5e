"""Programs that opslog starts: account, folder, and their end when opslog exits.

A child gets its death signal from the kernel when its parent is killed (launch.py). Processes that
are left nevertheless are found by their working folder and ended before a new start.
"""

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from config.errors import SetupError
from opslog.system import launch

ACCOUNTS = ("opslog", "postgres", "nobody")
"""Unprivileged accounts to use under root, in order of preference."""
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Account:
    """An unprivileged user of this machine."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Command:
    """A program to start."""

    name: str
    """Its name in the log."""
    program: tuple[str, ...]
    """Absolute path and arguments."""
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """The complete environment: nothing is inherited from ours."""
    account: Account | None = None
    """None: the same as ours."""
    death_signal: signal.Signals = signal.SIGKILL
    """Sent by the kernel when its parent exits."""

    def arguments(self) -> list[str]:
        """The command line that starts it through the launcher, as a child of this process."""
        who = (self.account.uid, self.account.gid) if self.account else (launch.KEEP, launch.KEEP)
        numbers = (int(self.death_signal), os.getpid(), *who)
        launcher = (sys.executable, "-I", "-S", str(Path(launch.__file__)))
        return [*launcher, *map(str, numbers), str(self.folder), *self.program]


def start(
    command: Command, *, output: IO[bytes] | int, handed: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start the command as a child of this thread, which must live as long as the child.

    The child inherits the descriptors `handed`, with the same numbers. (The death signal depends
    on the thread that created the child, not on the process.)
    """
    return subprocess.Popen(  # noqa: S603 - programs are ours, arguments are a list
        command.arguments(),
        env=dict(command.environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=handed,
    )


def account_for(run_as: str) -> Account | None:
    """The account for the bundled servers; None if opslog is not root and uses its own.

    Raises SetupError if root finds no unprivileged account, or the named one is root.
    """
    if os.geteuid() != 0:
        return None
    for name in (run_as,) if run_as else ACCOUNTS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            if entry.pw_uid == 0:
                raise SetupError(f"run_as names {name!r}, which is root; PostgreSQL refuses that")
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    missing = f"{run_as!r} does not exist" if run_as else f"none of {', '.join(ACCOUNTS)} exists"
    raise SetupError(
        f"as root opslog needs an unprivileged account for its servers, but {missing}; "
        "create one (useradd --system opslog) or name one with the setting run_as"
    )


def can(account: Account, right: str, path: Path) -> bool:
    """Whether the account has the permission (`r`, `w` or `x`) on a path, tested as that user."""
    done = subprocess.run(  # noqa: S603 - fixed program
        ["/usr/bin/test", f"-{right}", str(path)],
        check=False,
        cwd="/",
        user=account.uid,
        group=account.gid,
        extra_groups=[account.gid],
    )
    return done.returncode == 0


def is_alive(pid: int) -> bool:
    """Whether a process with this PID runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in "ZX"


def leftovers(folder: Path, program: str) -> list[int]:
    """Processes named `program…` with working directory `folder`: servers of a killed supervisor.

    Both servers and all their children use the data folder as working directory.
    """
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            works_in = (entry / "cwd").readlink()
            runs = (entry / "exe").readlink().name
        except OSError:  # exited, or of another user
            continue
        if works_in == folder and runs.startswith(program):
            found.append(int(entry.name))
    return found


def end_leftovers(folder: Path, program: str, gentle: signal.Signals, patience_s: float) -> int:
    """End the processes that an earlier run left in `folder`; returns their number.

    The caller holds the lock of the data directory, so no active server is among them.
    """
    first = leftovers(folder, program)
    for pid in first:
        _signal(pid, gentle)
    deadline = time.monotonic() + patience_s
    while any(is_alive(pid) for pid in leftovers(folder, program)):
        if time.monotonic() > deadline:
            for pid in leftovers(folder, program):
                _signal(pid, signal.SIGKILL)
        time.sleep(_POLL_S)
    return len(first)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
