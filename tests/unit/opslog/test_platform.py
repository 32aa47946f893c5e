"""Sizes, roles, streams: the parts that need no server."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from config.process import machine, telemetry
from config.settings import Settings
from opslog.embedded.postgres_conf import conf_text, memory_settings
from opslog.installation.installation import Installation
from opslog.supervisor.log_stream import LogStream
from opslog.supervisor.roles import child_environment, process_groups
from opslog.system import launch
from opslog.system.processes import Command, is_alive, start

GIB = 2**30


@pytest.mark.parametrize(
    ("memory", "buffers", "work"), [(GIB, "128MB", "4MB"), (16 * GIB, "2048MB", "16MB")]
)
def test_postgresql_is_sized_after_the_machine(memory, buffers, work):
    """An eighth of the memory for pages, since it shares the machine."""
    sizes = memory_settings(memory, 2)

    assert (sizes["shared_buffers"], sizes["work_mem"]) == (buffers, work)
    assert memory_settings(2**20, 1)["shared_buffers"] == "64MB"
    assert memory_settings(1024 * GIB, 64)["shared_buffers"] == "8192MB"


def test_configuration_values_are_quoted():
    """Quotes and backslashes of a path do not end the value."""
    text = conf_text(Path("/a'b\\c\"d"), {"work_mem": "1MB"})

    assert "unix_socket_directories = '\"/a''b\\\\c\"\"d\"'" in text
    assert text.count("work_mem") - text.count("maintenance_work_mem") == 1
    assert "work_mem = '1MB'" in text


def test_the_machine_has_memory_and_cores():
    """From the kernel, within the container's limit."""
    assert machine.memory_bytes() > 2**26
    assert 1 <= machine.cores() <= (os.cpu_count() or 1)


def test_process_groups_omit_external_servers(tmp_path):
    """With external servers, only opslog's processes remain, each with its descriptor."""
    settings = Settings(
        data_dir=tmp_path,
        database_url="postgresql://h/d",
        redis_url="redis://h",
        otlp={"receivers": 2},
        api={"workers": 2},
    )

    groups = process_groups(Installation(settings), {}, otlp_fd=7, api_fd=8)

    assert [[role.name for role in group] for group in groups] == [
        [],
        ["migrate"],
        ["receiver-0", "receiver-1"],
        ["query-0", "query-1", "worker", "scheduler"],
    ]
    assert groups[2][0].descriptors == (7,)
    assert [role.descriptors for role in groups[3]] == [(8,), (8,), (), ()]
    assert groups[1][0].is_step
    assert Installation(Settings()).receiver_names[0] == "receiver-0"


def test_children_get_what_was_decided(tmp_path):
    """The same directory, file, log format, and UTC."""
    installation = Installation(Settings(data_dir=tmp_path))

    environment = child_environment(installation, tmp_path / "o.toml", as_json=True)

    assert environment["OPSLOG_DATA_DIR"] == str(tmp_path)
    assert environment["OPSLOG_CONFIG"] == str(tmp_path / "o.toml")
    assert environment["OPSLOG_LOG__FORMAT"] == "json"
    assert environment["TZ"] == "UTC"
    assert "OPSLOG_CONFIG" not in child_environment(installation, None, as_json=False)


class Blocked(io.StringIO):
    """A terminal paused with Ctrl-S."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def write(self, text: str) -> int:
        self.go_on.wait(10)
        return super().write(text)


def test_a_blocked_terminal_blocks_nobody(monkeypatch):
    """Lines beyond the limit are dropped and counted."""
    monkeypatch.setattr("opslog.supervisor.log_stream.MAX_WAITING_LINES", 10)
    target = Blocked()
    stream = LogStream(target, as_json=False)

    began = time.monotonic()
    for number in range(100):
        stream.take("query", f"line {number}")
    assert time.monotonic() - began < 1
    target.go_on.set()
    while stream._lines.qsize():
        time.sleep(0.01)
    stream.take("query", "later")
    stream.close()

    assert "log lines dropped" in target.getvalue()
    assert target.getvalue().endswith("later\n")


def test_a_closed_log_reader_stops_no_server():
    """`opslog up | head`."""
    target = io.StringIO()
    stream = LogStream(target, as_json=True)
    target.close()

    stream.write("hello\n")
    stream.close()


def test_a_command_gets_its_folder_and_nothing_of_ours(tmp_path):
    """Environment, working directory, its own session, private files."""
    code = "import os; print(sorted(os.environ), os.getcwd(), os.getsid(0) == os.getpid(), os.umask(0))"
    command = Command("test", (sys.executable, "-I", "-S", "-c", code), tmp_path, {"LC_ALL": "C"})

    with start(command, output=subprocess.PIPE) as process:
        said = process.stdout.read().decode()

    assert said == f"['LC_ALL'] {tmp_path} True 63\n"


def test_a_command_whose_parent_is_gone_already_does_not_begin(tmp_path):
    """The kernel would never signal it."""
    arguments = [str(int(signal.SIGKILL)), "1", "-1", "-1", str(tmp_path), "/bin/echo", "began"]
    done = subprocess.run(
        [sys.executable, "-I", "-S", launch.__file__, *arguments],
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (1, b"")


def test_a_zombie_is_not_alive():
    """It has exited and waits to be reaped."""
    process = subprocess.Popen(["/bin/true"])
    while Path(f"/proc/{process.pid}/stat").read_text().split()[2] != "Z":
        time.sleep(0.01)

    assert not is_alive(process.pid)
    process.wait()
    assert not is_alive(process.pid)
    assert is_alive(os.getpid())


def test_metrics_of_all_processes_are_added_up(tmp_path):
    """Two processes count; a third one shows the sum; a dead one's gauge is removed."""
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from config.process import telemetry\n"
        "from opslog.supervisor.metrics import PROCESS_READY, PROCESS_STARTS\n"
        "if sys.argv[1] == 'show':\n"
        "    print(telemetry.exposition().decode())\n"
        "else:\n"
        "    PROCESS_STARTS.labels('query').inc()\n"
        "    PROCESS_READY.labels(sys.argv[1]).set(1)\n"
        "    if sys.argv[1] == 'gone':\n"
        "        telemetry.mark_process_dead(os.getpid())\n"
    )

    def run(word: str, environment: dict[str, str]) -> str:
        return subprocess.run(
            [sys.executable, "-c", code, word],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    telemetry.share_between_processes(tmp_path / "m")
    shared = {telemetry.MULTIPROCESS_VARIABLE: os.environ.pop(telemetry.MULTIPROCESS_VARIABLE)}
    run("here", shared)
    run("gone", shared)

    said = run("show", shared)
    assert 'opslog_process_starts_total{process="query"} 2.0' in said
    assert 'opslog_process_ready{process="gone"}' not in said
    assert 'opslog_process_starts_total{process="query"}' not in run("show", {})
