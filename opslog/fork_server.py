"""The fork server: preloads all modules and creates opslog's other processes by forking itself.

    python -P -m opslog.fork_server CONTROL_FD

    supervisor (fork_client)    fork server                  receiver, query, worker, packer, …
    request, descriptors ──►    fork                   ──►   set up session, output, environment
    {"pid": …}           ◄──                                 then `opslog ARGUMENTS`
    {"ended": …, "code"} ◄──    waitpid                ◄──   exit

The modules are in memory once instead of once per process, and a killed process restarts without
loading them. One message is one packet (SOCK_SEQPACKET) of JSON, with descriptors attached
(unix(7), SCM_RIGHTS). The server is single-threaded, which makes forking safe, and exits with the
supervisor; its child processes are killed with it.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from setproctitle import setproctitle

from config.process.machine import disable_memory_dumps
from opslog.supervisor.fork_protocol import DEFERRED, PACKET_BYTES, ForkRequest
from opslog.system.launch import begin_session, die_with_parent
from opslog.wiring.running import loop_factory

PRELOADED = (
    "opslog.__main__",
    "opslog.wiring.receiver",
    "opslog.wiring.query",
    "opslog.wiring.worker",
    "opslog.jobs",
    "retention.jobs.worker",
    "retention.jobs.schedule",
)
"""The modules to preload, with everything they import."""
_OUTPUT, _READY = 0, 1
"""Positions of the descriptors in each request; a listening socket may follow."""


def main(control: socket.socket) -> None:
    """Serve until the supervisor exits; in a forked process, run that process."""
    disable_memory_dumps()
    preload()
    arguments = serve(control)
    if arguments is None:
        return
    from opslog.__main__ import main as opslog  # noqa: PLC0415 - preloaded above

    sys.argv = [str(Path(__file__).with_name("__main__.py")), *arguments]
    opslog()


def preload() -> None:
    """Load all modules, without starting a thread."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # of numpy, which would start some
    for name in PRELOADED:
        importlib.import_module(name)
    loop_factory()
    gc.collect()
    gc.freeze()  # a collection in a forked process must not write to shared pages


def serve(control: socket.socket) -> list[str] | None:
    """Fork on request. Returns the arguments in a forked process, None at the server's end."""
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    waiting = select.poll()  # select(2) does not support descriptors above 1023
    waiting.register(control, select.POLLIN)
    waiting.register(woken, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in waiting.poll()}
        if woken in ready:
            os.read(woken, 512)
            _report_exited(control)
        if control.fileno() not in ready:
            continue
        request, descriptors = _receive(control)
        if request is None:
            return None
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:  # for instance a process limit
            _send(control, {"error": f"{error.strerror}"})
            pid = -1
        if pid == 0:
            for descriptor in (woken, wake, control.detach()):
                os.close(descriptor)
            return _become(request, descriptors, server)
        for descriptor in descriptors:
            os.close(descriptor)
        if pid > 0:
            _send(control, {"pid": pid})


def _receive(control: socket.socket) -> tuple[ForkRequest | None, list[int]]:
    """The next request and its descriptors; None when the supervisor has exited."""
    try:
        packet, descriptors, _, _ = socket.recv_fds(control, PACKET_BYTES, 8)
    except OSError:  # reset: it exited with unread messages
        return None, []
    return (ForkRequest(**json.loads(packet)) if packet else None), descriptors


def _report_exited(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _send(control, {"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _send(control: socket.socket, message: dict[str, object]) -> None:
    try:
        control.send(json.dumps(message).encode())
    except OSError:  # the supervisor has exited; the next read notices
        return


def _become(request: ForkRequest, descriptors: Sequence[int], server: int) -> list[str]:
    """Set up the requested process, as launch.py does for a program; returns its arguments."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(descriptors[_OUTPUT], 1)
    os.dup2(descriptors[_OUTPUT], 2)
    os.close(descriptors[_OUTPUT])
    begin_session(request.folder)
    os.environ.update(request.environment)
    os.environ["OPSLOG_READY_FD"] = str(descriptors[_READY])
    time.tzset()
    arguments = list(request.arguments)
    for listening in descriptors[_READY + 1 :]:
        arguments += ["--fd", str(listening)]
    setproctitle(" ".join([sys.executable, "-P", "-m", "opslog", *arguments]))
    die_with_parent(signal.SIGKILL, server)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, DEFERRED)
    return arguments


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
