"""Becomes another program that cannot outlive its parent. Standard library only.

    python -I -S launch.py DEATH_SIGNAL PARENT_PID UID GID FOLDER PROGRAM [ARGUMENT…]

Run by path (opslog/system/processes.py), never imported by the program it starts. A launcher
instead of `preexec_fn`: code between fork and exec can deadlock in a process with threads.
"""

import ctypes  # up here: after the change of user our own library may be out of reach
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
KEEP = -1
"""In place of a user or group id: stay who we are."""


def die_with_parent(death_signal: int, parent: int) -> None:
    """Asks the kernel to send `death_signal` to this process as soon as `parent` is gone.

    The request survives exec but not a change of user, so it comes after that. Where the kernel
    has no such thing (it is Linux's own), the supervisor's orderly stop has to do.
    """
    if sys.platform == "linux":
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it went before we asked, so the kernel will never tell us
        os._exit(1)


def begin_session(folder: str) -> None:
    """A session, a folder and a mask of its own.

    Ctrl-C in the terminal is for the supervisor, which drains in order.
    """
    os.setsid()
    os.chdir(folder)
    os.umask(0o077)


def children_die_with_us() -> None:
    """From now on every process that this one forks is killed when this one is gone.

    For programs that fork by themselves, as RQ does for each job.
    """
    us = os.getpid()
    os.register_at_fork(after_in_child=lambda: die_with_parent(signal.SIGKILL, us))


def main(arguments: list[str]) -> None:
    """Takes its own session, the given account and folder; then becomes the program."""
    death_signal, parent, uid, gid = (int(argument) for argument in arguments[:4])
    folder, program = arguments[4], arguments[5:]
    begin_session(folder)
    if uid != KEEP:
        os.setgroups([gid])
        os.setgid(gid)
        os.setuid(uid)
    die_with_parent(death_signal, parent)
    os.execv(program[0], program)  # noqa: S606 - becoming the given program is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
