"""The product as its users run it: `opslog up` in a folder of its own, on free ports.

    with Product.running() as product:
        product.token("ADMIN"); product.get("/api/v1/logs"); product.kill("receiver-0")

The process group dies with the test run (launch.py's PR_SET_PDEATHSIG holds for its children).
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from config.loading.load import load
from opslog.installation.installation import Installation
from tests.support.databases import run

START_TIMEOUT_S = 120.0


class Product:
    """One `opslog up`."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.log = folder / "log"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OPSLOG_")},
            "OPSLOG_DATA_DIR": str(self.data_dir),
            "OPSLOG_OTLP__PORT": "0",
            "OPSLOG_API__PORT": "0",
            "OPSLOG_LOG__FORMAT": "text",
            **settings,
        }
        self.python = sys.executable
        """The interpreter, whose environment holds the opslog that runs."""
        self.process: subprocess.Popen[bytes] | None = None
        self.otlp_url = ""
        self.api_url = ""
        self._tokens: dict[str, str] = {}

    @classmethod
    @contextmanager
    def running(cls, **settings: str) -> Iterator["Product"]:
        """A running product; stopped and removed at the end."""
        folder = Path(tempfile.mkdtemp(prefix="opslog-test-up-"))
        folder.chmod(0o711)
        product = cls(folder, settings)
        try:
            product.start()
            yield product
        finally:
            product.stop()
            shutil.rmtree(folder, ignore_errors=True)

    def start(self) -> None:
        """Return when `opslog up` has opened its ports and is ready."""
        running = self.data_dir / "run" / "opslog.json"
        running.unlink(missing_ok=True)  # one that was killed has left it there
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [self.python, "-P", "-m", "opslog", "up"],
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                preexec_fn=_die_with_us,  # noqa: PLW1509 - one prctl, nothing that locks
            )
        self.wait(lambda: self._ended() or running.exists(), START_TIMEOUT_S)
        if self._ended():
            raise RuntimeError(f"opslog up ended at its start:\n{self.tail()}")
        said = json.loads(running.read_text())
        self.otlp_url, self.api_url = said["otlp_url"], said["api_url"]
        # The next start must come back to the same addresses, as a service's would.
        self.environment["OPSLOG_OTLP__PORT"] = self.otlp_url.rpartition(":")[2]
        self.environment["OPSLOG_API__PORT"] = self.api_url.rpartition(":")[2]

    def stop(self) -> int | None:
        """Shut down cleanly; the exit code."""
        process, self.process = self.process, None
        if process is None:
            return None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait(10)

    def kill_all(self, *, stopped: int | None = None) -> None:
        """SIGKILL to the supervisor; all other processes must end with it."""
        assert self.process is not None
        pids = self.pids()
        self.process.kill()
        self.process.wait(10)
        if stopped is not None:  # a process that is stopped does not end before it continues
            os.kill(stopped, signal.SIGCONT)
        self.process = None
        self.wait(lambda: not any(_alive(pid) for pid in pids), 30)

    def pids(self, name: str = "") -> list[int]:
        """Processes of opslog, or those whose command line contains `name`."""
        assert self.process is not None
        found, todo = [], [self.process.pid]
        parent_of = parents()
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += [child for child, parent in parent_of.items() if parent == pid]
        return [pid for pid in found[1:] if name in command_of(pid)]

    def find(self, name: str) -> int | None:
        """The process of a role (`receiver-0`, `query`, `postgres`, `valkey`, …); None without."""
        wanted = {
            "postgres": lambda line: "postgres" in line and " -D" in line,
            "valkey": lambda line: "valkey-server" in line,
        }.get(
            name, lambda line: f"opslog {name.split('-', maxsplit=1)[0]}" in line and name in line
        )
        found = [pid for pid in self.pids() if wanted(command_of(pid))]
        return min(found, default=None)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to one process once it exists; its pid."""
        pid = self.wait(lambda: self.find(name), 30)
        os.kill(pid, number)
        return pid

    def command(self, *arguments: str, check: bool = True) -> str:
        """Standard output of `opslog ARGUMENTS` on this installation."""
        done = self.run(*arguments)
        if check and done.returncode:
            raise RuntimeError(f"opslog {arguments}: {done.returncode}\n{done.stderr}")
        return done.stdout

    def run(self, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """`opslog ARGUMENTS` on this installation; may fail."""
        return subprocess.run(
            [self.python, "-P", "-m", "opslog", *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )

    def token(self, role: str = "ADMIN") -> str:
        """A token of a role, created once."""
        if role not in self._tokens:
            self._tokens[role] = self.command("token", "--role", role).strip()
        return self._tokens[role]

    def get(self, path: str, role: str = "ADMIN") -> Any:
        """The JSON response of the API."""
        status, _, body = self.request(
            path, headers={"Authorization": f"Bearer {self.token(role)}"}
        )
        assert status == 200, (status, body[:500])
        return json.loads(body)

    def request(
        self,
        path: str,
        *,
        base: str = "",
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
        method: str | None = None,
        timeout: float = 30,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body, whatever the status."""
        request = urllib.request.Request(
            (base or self.api_url) + path, data=data, headers=headers or {}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return response.status, dict(response.headers), response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read()

    def export(
        self, body: bytes, signal_name: str = "logs", content_type: str = "application/x-protobuf"
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one OTLP body."""
        return self.request(
            f"/v1/{signal_name}",
            base=self.otlp_url,
            data=body,
            headers={"Content-Type": content_type},
        )

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query with the installation's own login; waits for the database."""
        end = time.monotonic() + 30
        while True:
            try:
                return run(_fetch(self.installation.database_dsn(), query))
            except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError):
                assert time.monotonic() < end, "the database does not come back"
                time.sleep(0.1)

    @property
    def installation(self) -> Installation:
        """Paths, secrets and servers of this product."""
        return Installation(load(self.environment).settings)

    def tail(self, lines: int = 60) -> str:
        """The end of the product's own log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    @staticmethod
    def wait(condition: Callable[[], Any], timeout_s: float = 30.0) -> Any:
        """Wait for a true value of the condition; AssertionError on a timeout."""
        end = time.monotonic() + timeout_s
        while not (value := condition()):
            assert time.monotonic() < end, f"did not happen within {timeout_s} s"
            time.sleep(0.02)
        return value

    @property
    def is_running(self) -> bool:
        """Whether `opslog up` is running."""
        return self.process is not None and not self._ended()

    def _ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None


async def _fetch(dsn: str, query: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


def _die_with_us() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def parents() -> dict[int, int]:
    """Each process's parent."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            found[int(entry.name)] = int(
                (entry / "stat").read_text().rpartition(")")[2].split(None, 2)[1]
            )
        except OSError:
            continue
    return found


def command_of(pid: int) -> str:
    """The command line of a process; empty if it has exited."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
