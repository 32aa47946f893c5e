"""The supervisor's side of the fork server: start it, request processes, receive their exits."""

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from opslog.supervisor.fork_protocol import DEFERRED, PACKET_BYTES, ForkRequest
from opslog.system.processes import Command, start

_log = logging.getLogger("opslog.supervisor")
_STDERR = 2
_REPORT_EVERY_S = 5.0


class Forked:
    """A process created by the fork server."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        """Negative for a signal; None while it runs."""
        self._ended = asyncio.Event()

    async def wait(self) -> int:
        """Wait for its exit code."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Raises ProcessLookupError when it has ended."""
        if self.returncode is not None:
            raise ProcessLookupError(self.pid)
        os.kill(self.pid, number)

    def set_exited(self, code: int) -> None:
        """Record its exit."""
        self.returncode = code
        self._ended.set()


class ForkServer:
    """Creates opslog's processes; started with the first request, restarted after a crash."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        """`environment` is the server's; its processes inherit it, with their changes."""
        self._environment = environment
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._pending: list[asyncio.Future[Forked]] = []
        self._running: dict[int, Forked] = {}

    def begin(self) -> None:
        """Start it unless it runs, so that it preloads modules while the database starts."""
        if self._control is not None:
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = Command(
                name="fork server",
                program=(sys.executable, "-P", "-m", "opslog.fork_server", str(theirs.fileno())),
                folder=self._folder,
                environment=self._environment,
            )
            output = subprocess.DEVNULL if sys.stderr is None else _STDERR
            before = signal.pthread_sigmask(signal.SIG_BLOCK, DEFERRED)  # inherited, also by exec
            try:
                self._process = start(command, output=output, handed=[theirs.fileno()])
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        ours.setblocking(False)
        self._control = ours
        asyncio.get_running_loop().add_reader(ours, self._on_message)

    async def fork(
        self, arguments: Sequence[str], environment: Mapping[str, str], descriptors: Sequence[int]
    ) -> Forked:
        """Create a process `opslog ARGUMENTS` in its own session.

        Args:
            arguments: of the command line.
            environment: the complete environment.
            descriptors: its output, its readiness pipe, and optionally a listening socket.

        Raises:
            OSError: it could not be created; the next request may succeed.
        """
        self.begin()
        assert self._control is not None
        request = ForkRequest(
            tuple(arguments),
            {
                name: value
                for name, value in environment.items()
                if self._environment.get(name) != value
            },
            str(self._folder),
        )
        response: asyncio.Future[Forked] = asyncio.get_running_loop().create_future()
        socket.send_fds(self._control, [request.packet()], list(descriptors))
        self._pending.append(response)
        while not (await asyncio.wait({response}, timeout=_REPORT_EVERY_S))[0]:
            _log.info("fork server: still starting")
        return response.result()

    def _on_message(self) -> None:
        assert self._control is not None
        try:
            packet = self._control.recv(PACKET_BYTES)
        except BlockingIOError:
            return
        except OSError:  # reset: it exited with unread requests
            packet = b""
        if not packet:
            self._on_end()
            return
        message = json.loads(packet)
        if "ended" in message:
            forked = self._running.pop(message["ended"], None)
            if forked is not None:
                forked.set_exited(message["code"])
            return
        response = self._pending.pop(0)
        if "pid" in message:
            forked = self._running[message["pid"]] = Forked(message["pid"])
            response.set_result(forked)
        else:
            response.set_exception(OSError(f"a process could not be forked: {message['error']}"))

    def _on_end(self) -> None:
        """Handle its exit; the kernel kills the processes that it forked (launch.py)."""
        self.close()
        if self._running or self._pending:
            _log.error("the fork server exited; its processes are killed and will be restarted")
        for forked in self._running.values():
            forked.set_exited(-signal.SIGKILL)
        self._running.clear()
        for response in self._pending:
            response.set_exception(OSError("the fork server exited"))
        self._pending.clear()

    def close(self) -> None:
        """Stop it; processes still running are killed with it."""
        if self._control is not None:
            asyncio.get_running_loop().remove_reader(self._control)
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()  # it has no state to save, and may hang
            self._process.wait()
            self._process = None
