"""The fork server: creates our processes from preloaded modules, and reports their exits."""

import asyncio
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opslog.fork_server import ForkRequest, serve
from opslog.supervisor.fork_client import Forked, ForkServer
from opslog.system.processes import is_alive
from tests.integration.platform.waiting import until
from tests.support.product import parents

WAITS = ("scheduler",)
"""A process that keeps running: it waits for a missing Redis."""
WITHIN_S = 60.0


class Made:
    """A forked process, and our ends of its pipes."""

    def __init__(self, forked: Forked, output: int, ready: int) -> None:
        self.forked = forked
        self.output = output
        self.ready = ready

    async def said(self) -> str:
        """Its complete output, once it has exited."""
        with os.fdopen(self.output, closefd=False) as pipe:
            return await asyncio.to_thread(pipe.read)

    async def until_ready(self) -> None:
        """Wait until it is ready."""
        received = await asyncio.wait_for(asyncio.to_thread(os.read, self.ready, 100), WITHIN_S)
        assert received == b"READY=1\n"


class Maker:
    """A fork server and its processes."""

    def __init__(self, folder: Path) -> None:
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OPSLOG_")},
            "OPSLOG_DATA_DIR": str(folder / "data"),
            "OPSLOG_REDIS_URL": "redis://127.0.0.1:1/0",
        }
        self.server = ForkServer(self.environment, folder)
        self._pipes: list[int] = []

    async def make(self, *arguments: str, **environment: str) -> Made:
        """A process with pipes."""
        output, writes = os.pipe()
        ready, says = os.pipe()
        self._pipes += [output, ready]
        try:
            forked = await self.server.fork(
                arguments, {**self.environment, **environment}, (writes, says)
            )
        finally:
            os.close(writes)
            os.close(says)
        return Made(forked, output, ready)

    async def server_pid(self) -> int:
        """PID of the current server."""
        made = await self.make(*WAITS)
        parent = parents()[made.forked.pid]
        made.forked.send_signal(signal.SIGKILL)
        await made.forked.wait()
        return parent

    def close(self) -> None:
        """End everything."""
        self.server.close()
        for descriptor in self._pipes:
            os.close(descriptor)


@pytest.fixture
async def maker(tmp_path):
    """A server in a temporary folder; its processes end with it."""
    made = Maker(tmp_path)
    yield made
    made.close()


async def test_a_forked_process_runs_the_requested_command(maker):
    """Its arguments, output and exit code are those of a started program."""
    version, wrong = await asyncio.gather(maker.make("version"), maker.make("no-such-command"))

    assert (await version.said()).startswith("opslog ")
    assert await version.forked.wait() == 0
    assert "No such command" in await wrong.said()
    assert await wrong.forked.wait() == 2


async def test_it_works_where_many_files_are_open(maker):
    """The supervisor has descriptors that select(2) does not support."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # as `opslog up` does
    many = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        version = await maker.make("version")
        assert await version.forked.wait() == 0
    finally:
        for descriptor in many:
            os.close(descriptor)


async def test_it_has_its_own_name_session_and_environment(maker, tmp_path):
    """So that it can be found, ended with its children, and configured."""
    made = await maker.make(*WAITS, OPSLOG_PROCESS="number-five", TZ="Pacific/Auckland")
    await made.until_ready()

    pid = made.forked.pid
    command = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()
    assert command == f"{sys.executable} -P -m opslog scheduler"
    assert os.getsid(pid) == pid
    assert Path(f"/proc/{pid}/cwd").readlink() == tmp_path
    made.forked.send_signal(signal.SIGTERM)
    assert await made.forked.wait() == -signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        made.forked.send_signal(signal.SIGTERM)
    said = await made.said()
    assert "waiting for Redis" in said


async def test_the_server_has_one_thread_and_outlives_signals_that_end_others(maker):
    """Forking is only safe with one thread; it ignores a SIGTERM to the whole group."""
    maker.server.begin()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        maker.server._process.send_signal(number)
    server = await maker.server_pid()
    assert server == maker.server._process.pid

    assert len(list(Path(f"/proc/{server}/task").iterdir())) == 1
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(server, number)
    assert await maker.server_pid() == server


async def test_a_killed_server_takes_its_processes_along_and_the_next_request_starts_another(maker):
    """Their exit is reported like any other."""
    server = await maker.server_pid()
    made = await maker.make(*WAITS)
    await made.until_ready()

    os.kill(server, signal.SIGKILL)

    assert await asyncio.wait_for(made.forked.wait(), WITHIN_S) == -signal.SIGKILL
    await asyncio.to_thread(until, lambda: not is_alive(made.forked.pid))
    assert await (await maker.make("version")).forked.wait() == 0
    assert await maker.server_pid() != server


async def test_requests_that_a_dying_server_has_not_read_fail(maker):
    """The supervisor does not wait for them for ever."""
    server = await maker.server_pid()
    os.kill(server, signal.SIGSTOP)
    request = asyncio.create_task(maker.make("version"))
    await asyncio.sleep(0.1)

    os.kill(server, signal.SIGKILL)

    with pytest.raises(OSError, match="the fork server exited"):
        await asyncio.wait_for(request, WITHIN_S)


async def test_a_missing_folder_is_reported_in_the_process_s_own_output(maker, tmp_path):
    """So that it is in the log."""
    (tmp_path / "gone").mkdir()
    maker.server._folder = tmp_path / "gone"
    maker.server.begin()
    await asyncio.sleep(0.5)
    (tmp_path / "gone").rmdir()

    made = await maker.make("version")

    assert "No such file or directory" in await made.said()
    assert await made.forked.wait() == 1


async def test_a_server_that_hangs_does_not_keep_anybody_from_ending(maker):
    """It is killed, since it has no state to save."""
    server = await maker.server_pid()
    os.kill(server, signal.SIGSTOP)

    maker.server.close()

    assert not is_alive(server)


async def test_the_end_of_the_server_ends_what_is_left(maker):
    """Nothing outlives its supervisor."""
    made = await maker.make(*WAITS)
    await made.until_ready()

    maker.server.close()

    await asyncio.to_thread(until, lambda: not is_alive(made.forked.pid))


@pytest.fixture
def kept_signals() -> Iterator[None]:
    """Restores the signal handling that `serve` changes."""
    handler = signal.getsignal(signal.SIGCHLD)
    yield
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, handler)


def test_a_failed_fork_is_reported(monkeypatch, kept_signals):
    """The server continues."""

    def no_memory() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", no_memory)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.send(ForkRequest(("version",), {}, "/").packet())
        ours.shutdown(socket.SHUT_WR)

        assert serve(theirs) is None

        assert json.loads(ours.recv(1000)) == {"error": "Resource temporarily unavailable"}
