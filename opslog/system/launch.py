"""Executes another program that cannot outlive its parent. Standard library only.

    python -I -S launch.py DEATH_SIGNAL PARENT_PID UID GID FOLDER PROGRAM [ARGUMENT…]

Run by path (opslog/system/processes.py), never imported by the program it starts. A launcher
instead of `preexec_fn`: code between fork and exec can deadlock in a process with threads.
"""

import ctypes  # at the top: after the change of user the library may be unreadable
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
KEEP = -1
"""Instead of a user or group id: do not change it."""


def die_with_parent(death_signal: int, parent: int) -> None:
    """Make the kernel send `death_signal` to this process as soon as `parent` exits.

    The setting survives exec but not a change of user, so it is made after that. It exists on
    Linux only; elsewhere the supervisor's clean shutdown has to suffice.
    """
    if sys.platform == "linux":
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it exited before the call, so the signal would never come
        os._exit(1)


def begin_session(folder: str) -> None:
    """Start a new session, and set folder and umask.

    Ctrl-C in the terminal then only reaches the supervisor, which shuts down cleanly.
    """
    os.setsid()
    os.chdir(folder)
    os.umask(0o077)


def children_die_with_us() -> None:
    """Make every process that this one forks from now on die with it.

    For libraries that fork, as RQ does for each job.
    """
    us = os.getpid()
    os.register_at_fork(after_in_child=lambda: die_with_parent(signal.SIGKILL, us))


def main(arguments: list[str]) -> None:
    """Set session, folder and account, then execute the program."""
    death_signal, parent, uid, gid = (int(argument) for argument in arguments[:4])
    folder, program = arguments[4], arguments[5:]
    begin_session(folder)
    if uid != KEEP:
        os.setgroups([gid])
        os.setgid(gid)
        os.setuid(uid)
    die_with_parent(death_signal, parent)
    os.execv(program[0], program)  # noqa: S606 - executing the given program is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
