"""One supervised process: start, watch, restart with back-off, stop."""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Protocol

from config.process import telemetry
from config.process.clock import monotonic_s
from opslog.supervisor.fork_client import ForkServer
from opslog.supervisor.log_stream import LogStream
from opslog.supervisor.metrics import PROCESS_READY, PROCESS_STARTS
from opslog.supervisor.roles import TRY_AGAIN, Role

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_AFTER_S = 60.0
"""A process that ran this long is restarted with the shortest delay."""
_POLL_S = 0.05
_REPORT_EVERY_S = 5.0
_KILL_PATIENCE_S = 10.0
_LINE_BYTES = 65536
_NO_PROCESS = 71
"""Exit code for a process that could not be created (sysexits.h, EX_OSERR)."""

_log = logging.getLogger("opslog.supervisor")


class Process(Protocol):
    """A running process, however it was created."""

    pid: int

    @property
    def returncode(self) -> int | None:
        """Negative for a signal; None while it runs."""

    async def wait(self) -> int:
        """Wait for its exit code."""

    def send_signal(self, number: int) -> None:
        """Raises ProcessLookupError when it has ended."""


class FirstStartFailed(Exception):
    """A process exited before it was ready for the first time: a configuration error."""

    def __init__(self, name: str, code: int) -> None:
        super().__init__(
            f"{name} failed to start ({exit_text(code)}); its last log lines are above"
        )
        self.code = code


class Child:
    """A role and its current process."""

    def __init__(
        self, role: Role, stream: LogStream, fork_server: ForkServer | None = None
    ) -> None:
        self.role = role
        self._fork_server = fork_server
        self.name = role.name
        self.was_ready = asyncio.Event()
        """Set once it has been ready; for a step: done, or to be retried later."""
        self._stream = stream
        self._process: Process | None = None
        self._ready_now = asyncio.Event()
        self._stop = asyncio.Event()
        self._is_restarting = False
        self._pause_s = FIRST_PAUSE_S

    @property
    def pid(self) -> int | None:
        """Of the current process."""
        return self._process.pid if self._process else None

    async def run(self) -> None:
        """Keep the process running until `stop`; a step returns when done.

        Raises FirstStartFailed.
        """
        while not self._stop.is_set():
            began = monotonic_s()
            await asyncio.to_thread(self.role.prepare, self._log_progress)
            if self._stop.is_set():
                return
            code = await self._run_once()
            if self._stop.is_set() or (self.role.is_step and code == 0):
                self.was_ready.set()
                return
            if self.role.is_step and code == TRY_AGAIN:
                self.was_ready.set()
            if not self.was_ready.is_set():
                raise FirstStartFailed(self.name, code)
            if self._is_restarting:
                self._is_restarting = False
                continue
            await self._pause(code, monotonic_s() - began)

    async def stop(self, patience_s: float) -> None:
        """Stop cleanly; after `patience_s` send the quick signal, finally SIGKILL."""
        self._stop.set()
        await self._end(patience_s)

    async def restart(self, patience_s: float) -> None:
        """Stop the process as `stop` does; returns when its replacement is ready."""
        if self._stop.is_set() or self._process is None:  # it is starting anyway
            return
        self._is_restarting = True
        self._ready_now.clear()
        await self._end(patience_s)
        await self._ready_now.wait()

    async def _end(self, patience_s: float) -> None:
        for number, wait_s in (
            (self.role.stop_signal, patience_s),
            (self.role.quick_signal, _KILL_PATIENCE_S),
            (signal.SIGKILL, _KILL_PATIENCE_S),
        ):
            process = self._process
            if process is None:
                return
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), wait_s)
                return
            _log.warning("%s did not stop within %g s", self.name, wait_s)

    def stop_now(self) -> None:
        """Stop with the quick signal, also if a clean stop is in progress."""
        self._stop.set()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(self.role.quick_signal)

    async def _run_once(self) -> int:
        """Run one process from start to exit; its exit code, negative for a signal."""
        output, writes = os.pipe()
        ready, ready_writer = os.pipe()
        try:
            process = await self._start(writes, ready_writer)
        except OSError as error:
            _log.error("cannot create the process %s: %s", self.name, error)
            os.close(output)
            os.close(ready)
            return _NO_PROCESS
        finally:
            os.close(writes)
            os.close(ready_writer)
        self._process = process
        PROCESS_STARTS.labels(self.name).inc()
        if self._stop.is_set():  # requested while it was being created
            self.stop_now()
        watch = asyncio.create_task(self._watch(process, ready))
        try:
            await self._forward_lines(process, output)
            return await process.wait()
        finally:
            watch.cancel()
            os.close(ready)
            self._process = None
            self._ready_now.clear()
            PROCESS_READY.labels(self.name).set(0)
            telemetry.mark_process_dead(process.pid)
            await self._end_leftovers(process.pid)

    async def _start(self, output: int, ready: int) -> Process:
        """Fork it if it is one of ours, else start it as a program."""
        role = self.role
        command = await asyncio.to_thread(role.command)
        if self._fork_server is not None and role.arguments:
            handed = (output, ready, *role.descriptors)
            return await self._fork_server.fork(role.arguments, command.environment, handed)
        environment = {**command.environment, "OPSLOG_READY_FD": str(ready)}
        return await asyncio.create_subprocess_exec(
            *command.arguments(),
            env=environment if role.is_ready is None else dict(command.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(*role.descriptors, ready),
        )

    async def _watch(self, process: Process, reader: int) -> None:
        """Wait until it is ready, logging progress if that takes long."""
        next_report_s = monotonic_s() + _REPORT_EVERY_S
        os.set_blocking(reader, False)
        while not self._is_ready(process.pid, reader):
            await asyncio.sleep(_POLL_S)
            if monotonic_s() > next_report_s:
                self._log_progress("still starting")
                next_report_s += _REPORT_EVERY_S
        PROCESS_READY.labels(self.name).set(1)
        self._ready_now.set()
        self.was_ready.set()
        _log.info("%s is ready (process %d)", self.name, process.pid)

    def _is_ready(self, pid: int, reader: int) -> bool:
        if self.role.is_ready is not None:
            return self.role.is_ready(pid)
        try:
            return b"READY=1" in os.read(reader, 256)
        except BlockingIOError:
            return False

    async def _forward_lines(self, process: Process, output: int) -> None:
        """Forward log lines until every holder of its output has closed it. Splits huge lines."""
        exited = asyncio.create_task(process.wait())
        async with _lines(output) as lines:
            while True:
                line = asyncio.create_task(_line(lines))
                await asyncio.wait({line, exited}, return_when=asyncio.FIRST_COMPLETED)
                if not line.done():  # it exited, but another process holds its output open
                    await self._end_leftovers(process.pid)
                text = await line
                if not text:
                    exited.cancel()
                    return
                self._stream.take(self.name, text.decode("utf-8", "backslashreplace").rstrip("\n"))

    async def _end_leftovers(self, pid: int) -> None:
        end_session(pid)
        await asyncio.to_thread(self.role.clear, self._log_progress)

    async def _pause(self, code: int, ran_s: float) -> None:
        self._pause_s = FIRST_PAUSE_S if ran_s > STEADY_AFTER_S else self._pause_s
        _log.error("%s exited (%s), restarting in %g s", self.name, exit_text(code), self._pause_s)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), self._pause_s)
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    def _log_progress(self, line: str) -> None:
        _log.info("%s: %s", self.name, line)


@contextlib.asynccontextmanager
async def _lines(output: int) -> AsyncIterator[asyncio.StreamReader]:
    """A reader of the pipe, which is closed afterwards."""
    reader = asyncio.StreamReader(limit=_LINE_BYTES)
    pipe = os.fdopen(output, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        yield reader
    finally:
        transport.close()


async def _line(output: asyncio.StreamReader) -> bytes:
    try:
        return await output.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await output.readexactly(error.consumed)


def exit_text(code: int) -> str:
    """How a process exited, as text."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def end_session(session: int) -> None:
    """Kill the processes left in a session: jobs of a worker, helpers of a server."""
    for pid in _members(session):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _members(session: int) -> Iterator[int]:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            yield int(entry.name)
