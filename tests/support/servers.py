"""Real servers for tests: started on first use, stopped with the test run however it ends.

The kernel ends a server whose test run was killed (opslog/system/launch.py); the folder that such a run
left behind is removed by the next one.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from opslog.embedded.postgres import EmbeddedPostgres
from opslog.embedded.server import Server, silent
from opslog.embedded.valkey import EmbeddedValkey
from opslog.system.processes import account_for, can, is_alive, start

_FOLDER = "opslog-test-"
_PASSWORD = "test"
_MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 2 * 2**30
"""Free space needed for servers without fsync: copying a database takes 8 ms, on disk 200."""

NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
"""For tests that do not simulate power failures: several times faster."""
_SMALL = {
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "min_wal_size": "80MB",
    "max_connections": "60",
    "max_locks_per_transaction": "256",
    "dynamic_shared_memory_type": "mmap",  # in the data folder, hence swept with it
    "autovacuum_naptime": "5min",  # a test that needs a vacuum starts one
}


class RunningServer:
    """One server that a test may stop, kill and start again; its address stays the same."""

    def __init__(self, server: Server, log: Path) -> None:
        self.server = server
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the server's first process."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start it; returns when it responds."""
        self.server.prepare(silent)
        with self.log.open("ab") as output:
            self.process = start(self.server.command(), output=output)
        while not self.server.is_ready(self.process.pid):
            if self.process.poll() is not None:
                raise RuntimeError(
                    f"the server ended at its start:\n{self.log.read_text()[-2000:]}"
                )
            try:
                self.process.wait(0.01)
            except subprocess.TimeoutExpired:
                continue

    def stop(self) -> None:
        """Clean shutdown: clients are disconnected, everything is on disk."""
        self._end(self.server.stop_signal)

    def kill(self) -> None:
        """Like a crash; the next start has to recover."""
        self._end(self.server.quick_signal)

    def _end(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait()
            self.process = None


class PostgresServer(RunningServer):
    """PostgreSQL with one superuser, `opslog`."""

    server: EmbeddedPostgres

    @property
    def dsn(self) -> str:
        """Its first database, as superuser."""
        return self.server.dsn


class ValkeyServer(RunningServer):
    """Valkey on a private socket."""

    server: EmbeddedValkey

    @property
    def url(self) -> str:
        """With its password."""
        return self.server.url


@contextmanager
def postgres_server(
    *, durable: bool, extra: Mapping[str, str] | None = None
) -> Iterator[PostgresServer]:
    """A separate PostgreSQL; `durable` uses fsync, for tests that kill it."""
    settings = {**_SMALL, **({} if durable else NOT_DURABLE), **(extra or {})}
    with _folder(_base(durable=durable)) as folder:
        server = EmbeddedPostgres(
            folder / "postgres",
            _PASSWORD,
            account=account_for(""),
            extra=settings,
        )
        yield from _running(PostgresServer(server, folder / "postgres.log"))


@contextmanager
def valkey_server() -> Iterator[ValkeyServer]:
    """A separate Valkey."""
    with _folder(_base(durable=True)) as folder:
        server = EmbeddedValkey(
            folder / "valkey",
            _PASSWORD,
            account=account_for(""),
        )
        yield from _running(ValkeyServer(server, folder / "valkey.log"))


def _running(server):
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _base(*, durable: bool) -> Path:
    """Where folders of tests are made: in memory where nothing has to survive and there is room.

    On disk at a place that the servers' account can reach; a private TMPDIR of root is none.
    """
    account = account_for("")
    places = (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"))
    usual = next(place for place in places if account is None or can(account, "x", place))
    if durable or not os.access(_MEMORY, os.W_OK):
        return usual
    return _MEMORY if shutil.disk_usage(_MEMORY).free > _MEMORY_BYTES else usual


@contextmanager
def _folder(base: Path) -> Iterator[Path]:
    """A short path that unprivileged accounts can traverse, named after this process."""
    _sweep(base)
    folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-", dir=base))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(base: Path) -> None:
    """Remove the leftovers of killed test runs."""
    for left in base.glob(f"{_FOLDER}[0-9]*-*"):
        pid = int(left.name.removeprefix(_FOLDER).partition("-")[0])
        if not is_alive(pid):
            shutil.rmtree(left, ignore_errors=True)
