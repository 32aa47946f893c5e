"""The servers of the tests: gone with the test run, however it ends."""

import signal
import subprocess
import sys
from pathlib import Path

import redis

from opslog.system.processes import is_alive
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
KILLED_RUN = """
import os, signal

def test_killed_while_servers_run(database, valkey, postgres, capfd):
    with capfd.disabled():
        print("PIDS", postgres.pid, valkey.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_a_killed_test_run_leaves_no_server_behind(tmp_path: Path) -> None:
    (tmp_path / "killed.py").write_text(KILLED_RUN)
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "tests.conftest"]
    run = subprocess.run(
        [*pytest, "--rootdir", ROOT, "-c", ROOT / "pyproject.toml", tmp_path / "killed.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == -signal.SIGKILL, run.stdout + run.stderr
    line = next(line for line in run.stdout.splitlines() if "PIDS" in line)
    pids = [int(word) for word in line.split("PIDS")[1].split()]
    await until(lambda: not any(is_alive(pid) for pid in pids))


async def test_each_test_has_a_database_of_its_own(database, postgres) -> None:
    assert database.dsn != postgres.dsn


def test_valkey_is_empty_for_each_test(valkey) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")


def test_valkey_is_empty_for_the_next_test_as_well(valkey) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")
