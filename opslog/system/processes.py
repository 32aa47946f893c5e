"""Programs that opslog starts: as whom, where, and how they end when we do.

Two promises. A child gets its death signal from the kernel when its parent is killed (launch.py).
What was left behind nevertheless is found by its working folder and ended before a new start.
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
"""Unprivileged accounts in the order in which root looks for one."""
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Account:
    """An unprivileged user of this machine."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Command:
    """A program to start; everything that does not depend on who starts it."""

    name: str
    """How it is called in the log."""
    program: tuple[str, ...]
    """Absolute path and arguments."""
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """The whole of it: nothing of ours is inherited."""
    account: Account | None = None
    """None: the same as ours."""
    death_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends it when its parent is gone."""

    def arguments(self) -> list[str]:
        """The command line that starts it by way of the launcher, as a child of this process."""
        who = (self.account.uid, self.account.gid) if self.account else (launch.KEEP, launch.KEEP)
        numbers = (int(self.death_signal), os.getpid(), *who)
        launcher = (sys.executable, "-I", "-S", str(Path(launch.__file__)))
        return [*launcher, *map(str, numbers), str(self.folder), *self.program]


def start(
    command: Command, *, output: IO[bytes] | int, handed: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Starts the command as a child of this thread, which must live as long as the child shall.

    It gets the descriptors `handed` under the numbers that they have here. (The kernel's notice is
    bound to the thread that made the child, not to the process.)
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
    """Whom the embedded servers run as; None when opslog itself is not root, so as we are.

    Raises SetupError when root has no unprivileged account to give, or the named one is root.
    """
    if os.geteuid() != 0:
        return None
    for name in (run_as,) if run_as else ACCOUNTS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            if entry.pw_uid == 0:
                raise SetupError(f"run_as names {name!r}, which is root; PostgreSQL refuses that")
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    wanted = repr(run_as) if run_as else "any of " + ", ".join(ACCOUNTS)
    raise SetupError(
        f"as root opslog needs an unprivileged account for its servers, and there is not {wanted}; "
        "make one (useradd --system opslog) or name one with the setting run_as"
    )


def can(account: Account, right: str, path: Path) -> bool:
    """Whether the account has a right (`r`, `w` or `x`) on a path, asked of the kernel as it."""
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
    """Whether a process with this number runs (one that only waits to be reaped does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in "ZX"


def leftovers(folder: Path, program: str) -> list[int]:
    """Processes named `program…` that work in `folder`: servers whose supervisor was killed.

    Both servers make their data folder their working folder, and so do all their children.
    """
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            works_in = (entry / "cwd").readlink()
            runs = (entry / "exe").readlink().name
        except OSError:  # gone, or not ours to look at: then not ours to end either
            continue
        if works_in == folder and runs.startswith(program):
            found.append(int(entry.name))
    return found


def end_leftovers(folder: Path, program: str, gentle: signal.Signals, patience_s: float) -> int:
    """Ends what an earlier run left in `folder`; returns how many processes that were.

    The caller holds the lock of the data directory, so nobody's living server is among them.
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
