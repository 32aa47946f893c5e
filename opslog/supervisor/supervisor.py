"""`opslog up`: starts the processes in order, keeps them running, stops them in order.

    start    group by group, each when the previous one is ready   opslog/supervisor/roles.py
    keep     restart a process that exits, with back-off           opslog/supervisor/child.py
    reload   restart our own processes one by one                  opslog/supervisor/reload.py
    stop     receivers first, so that nothing comes in; then readers; then the servers

SIGTERM and SIGINT stop cleanly; a second one stops immediately. SIGHUP reloads; when opslog runs in
a terminal, closing it stops opslog cleanly.
"""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Sequence

from config.errors import OpslogError, SetupError
from opslog.supervisor.child import Child, FirstStartFailed
from opslog.supervisor.fork_client import ForkServer
from opslog.supervisor.log_stream import LogStream
from opslog.supervisor.roles import Role

EXIT_CODES = {signal.SIGTERM: 0, signal.SIGINT: 130, signal.SIGHUP: 0}
"""Signals that stop the supervisor, with its exit code."""
_SERVERS = ("valkey", "postgres")
_LAST_LINES_S = 5.0

_log = logging.getLogger("opslog.supervisor")


class Supervisor:
    """Runs groups of roles until a signal arrives or a first start fails."""

    def __init__(
        self,
        groups: Sequence[Sequence[Role]],
        stream: LogStream,
        *,
        stop_timeout_s: float,
        listeners: Sequence[socket.socket] = (),
        check: Callable[[], Sequence[str]] | None = None,
        fork_server: ForkServer | None = None,
    ) -> None:
        """Create a supervisor.

        Args:
            groups: each is started when the previous one is ready.
            stream: takes the log lines of all processes.
            stop_timeout_s: longest wait for a process to stop cleanly.
            listeners: closed when shutdown begins, so that new connections are refused.
            check: returns the settings that a SIGHUP changes, or raises for invalid ones;
                without it SIGHUP stops opslog.
            fork_server: makes our own processes; without it each is started as a program.
        """
        self.groups = [[Child(role, stream, fork_server) for role in group] for group in groups]
        self._fork_server = fork_server
        self._stop_timeout_s = stop_timeout_s
        self._listeners = listeners
        self._check = check
        self._reloading: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._end = asyncio.Event()
        self._code = 0

    async def run(self, on_ready: Callable[[], None]) -> int:
        """Run until stopped; returns the exit code. Calls `on_ready` when all are ready."""
        loop = asyncio.get_running_loop()
        for number in EXIT_CODES:
            loop.add_signal_handler(number, self._on_signal, number)
        if self._fork_server is not None:
            with contextlib.suppress(OSError):  # retried, and logged, with the first process
                self._fork_server.begin()
        try:
            await self._start_all(on_ready)
            await self._end.wait()
        finally:
            await self._stop_all()
            if self._fork_server is not None:
                self._fork_server.close()
            for number in EXIT_CODES:
                loop.remove_signal_handler(number)
        return self._code

    async def _start_all(self, on_ready: Callable[[], None]) -> None:
        for group in self.groups:
            for child in group:
                task = asyncio.create_task(child.run(), name=child.name)
                task.add_done_callback(self._on_done)
                self._tasks.append(task)
            await self._until_ready(group)
            if self._end.is_set():
                return
        on_ready()

    async def _until_ready(self, group: Sequence[Child]) -> None:
        """Wait until the group is ready or shutdown has begun."""
        waiting: list[asyncio.Task[object]] = [
            asyncio.create_task(_all_ready(group)),
            asyncio.create_task(self._end.wait()),
        ]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()

    def _on_done(self, task: asyncio.Task[None]) -> None:
        """Handle a finished task: its step is done, or its process cannot run at all."""
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        if isinstance(error, FirstStartFailed | SetupError):
            _log.error("%s", error)
        else:
            _log.error("supervision of %s failed", task.get_name(), exc_info=error)
        failed = error.code if isinstance(error, FirstStartFailed) else SetupError.exit_code
        self._code = failed if failed > 0 else 1
        self._end.set()

    def _on_signal(self, number: signal.Signals) -> None:
        if number is signal.SIGHUP and self._check is not None and not self._end.is_set():
            if self._reloading is None or self._reloading.done():
                self._reloading = asyncio.create_task(self._reload(self._check))
            return
        if self._end.is_set():
            _log.warning("%s again: stopping immediately", number.name)
            for child in self._children():
                child.stop_now()
            return
        self._code = EXIT_CODES[number]
        _log.info("%s: shutting down; send it again to stop immediately", number.name)
        self._end.set()

    async def _reload(self, check: Callable[[], Sequence[str]]) -> None:
        """Restart our own processes one at a time with the new settings; servers keep running."""
        try:
            changed = await asyncio.to_thread(check)
        except OpslogError as error:
            _log.error("SIGHUP: keeping the current settings: %s", error)
            return
        _log.info("SIGHUP: %s; restarting processes one by one", ", ".join(changed) or "no change")
        for child in self._children():
            if child.name not in _SERVERS and not child.role.is_step:
                await child.restart(self._stop_timeout_s)
        _log.info("SIGHUP: the new settings are in force")

    async def _stop_all(self) -> None:
        if self._reloading is not None:
            self._reloading.cancel()
        for listener in self._listeners:
            listener.close()
        for wave in stop_order(self._children()):
            await asyncio.gather(*(child.stop(self._stop_timeout_s) for child in wave))
        if self._tasks:  # they forward the last log lines
            await asyncio.wait(self._tasks, timeout=_LAST_LINES_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _children(self) -> list[Child]:
        return [child for group in self.groups for child in group]


async def _all_ready(group: Sequence[Child]) -> None:
    for child in group:
        await child.was_ready.wait()


def stop_order(children: Sequence[Child]) -> list[list[Child]]:
    """Groups to stop one after the other: receivers first, servers last."""
    receivers = [child for child in children if child.name.startswith("receiver")]
    servers = [child for name in _SERVERS for child in children if child.name == name]
    others = [child for child in children if child not in receivers and child not in servers]
    return [receivers, others, *([server] for server in servers)]
