"""The fork server: it has our modules loaded and becomes our other processes by forking itself.

    python -P -m opslog.fork_server CONTROL_FD

    supervisor (forks.py)       fork server                  receiver, query, worker, scheduler
    request, descriptors    ──►    fork                   ──►   become: session, output, environment
    {"pid": …}           ◄──                                 then `opslog ARGUMENTS`
    {"ended": …, "code"} ◄──    waitpid                ◄──   ends

So the modules are in memory once and not once a process, and a process that was killed is at work
again without loading them. One message is one packet (SOCK_SEQPACKET) of JSON; descriptors come
with it (unix(7), SCM_RIGHTS). The server has one thread, which makes forking sound, and ends when
the supervisor is gone; what it forked ends with it.
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
"""What our processes are made of; each brings what it needs along."""
_OUTPUT, _READY = 0, 1
"""Places of the descriptors that come with each request; a listening socket may follow."""


def main(control: socket.socket) -> None:
    """Serve until the supervisor is gone; in a forked process, be it until its end."""
    disable_memory_dumps()
    for name in PRELOADED:
        importlib.import_module(name)
    loop_factory()
    gc.collect()
    gc.freeze()  # a collection in a forked process must not write into pages that all share
    arguments = serve(control)
    if arguments is None:
        return
    from opslog.__main__ import main as opslog  # noqa: PLC0415 - loaded above, with the rest

    sys.argv = [str(Path(__file__).with_name("__main__.py")), *arguments]
    opslog()


def serve(control: socket.socket) -> list[str] | None:
    """Returns in each process that it forks: its arguments; in the server at its end: None."""
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    waiting = select.poll()  # select(2) knows no descriptor above 1023
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
        except OSError as error:  # no room for another process
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
    """A request and its descriptors; none when the supervisor is gone."""
    try:
        packet, descriptors, _, _ = socket.recv_fds(control, PACKET_BYTES, 8)
    except OSError:  # reset: it did not read all that it was told
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
    except OSError:  # the supervisor is gone, which the next read shows
        return


def _become(request: ForkRequest, descriptors: Sequence[int], server: int) -> list[str]:
    """Be the wished process, as launch.py makes a program; the arguments to go on with."""
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
