"""The supervisor with real processes: order, restarts, exits, and no leftovers."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opslog.system.processes import is_alive
from tests.integration.platform.waiting import until

ROOT = Path(__file__).parents[3]


class Group:
    """A running supervisor, and what its processes wrote down."""

    def __init__(self, folder: Path, plan: str, *options: str) -> None:
        self.folder = folder
        self.log = folder / "log"
        program = [sys.executable, "-m", "tests.integration.platform.process_group"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*program, str(folder), plan, *options], cwd=ROOT, stderr=log
            )

    @property
    def events(self) -> list[str]:
        """What happened, in order."""
        path = self.folder / "events"
        return path.read_text().splitlines() if path.exists() else []

    def pids(self, name: str = "") -> list[int]:
        """Of all processes that ever started, or of those with a name, in order."""
        path = self.folder / "pids"
        pairs = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [int(pid) for called, pid in pairs if name in ("", called)]

    def until_ready(self) -> None:
        """Until the supervisor says that all are."""
        until(lambda: "ready" in self.events or self.process.poll() is not None)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal and waits; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(20)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Group]]:
    """Starts a group; whatever is left of it is killed."""
    groups: list[Group] = []

    def factory(plan: str, *options: str) -> Group:
        groups.append(Group(tmp_path, plan, *options))
        return groups[-1]

    yield factory
    for group in groups:
        group.process.kill()
        group.process.wait()
        for pid in group.pids():
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_each_group_waits_for_the_one_before(start):
    """`ready` comes last; within a group the order is free."""
    group = start("postgres,receiver-0 receiver-1,query")

    group.until_ready()

    events = group.events
    assert events[0] == "start postgres"
    assert set(events[1:3]) == {"start receiver-0", "start receiver-1"}
    assert events[3:] == ["start query", "ready"]


def test_it_ends_receivers_first_and_postgres_last(start):
    """Nothing comes in any more while the rest is being stored."""
    group = start("postgres valkey,receiver-0,query,worker")
    group.until_ready()

    code = group.end()

    endings = [event for event in group.events if event.startswith("end")]
    assert code == 0
    assert endings[0] == "end receiver-0"
    assert set(endings[1:3]) == {"end query", "end worker"}
    assert endings[3:] == ["end valkey", "end postgres"]


def test_ctrl_c_ends_in_order_too(start):
    """With the exit code that shells expect."""
    group = start("postgres,receiver-0")
    group.until_ready()

    assert group.end(signal.SIGINT) == 130
    assert group.events[-2:] == ["end receiver-0", "end postgres"]


def test_a_killed_process_is_started_again(start):
    """With a word about it in the log."""
    group = start("receiver-0,query")
    group.until_ready()

    os.kill(group.pids("query")[0], signal.SIGKILL)
    until(lambda: len(group.pids("query")) == 2)

    assert is_alive(group.pids("receiver-0")[0])
    assert "query exited (killed by SIGKILL), restarting in 0.5 s" in group.log.read_text()


def test_the_pause_grows_with_each_quick_end(start):
    """So that a process that cannot run does not use up the machine."""
    group = start("query")
    group.until_ready()

    for number in range(1, 3):
        os.kill(group.pids("query")[-1], signal.SIGKILL)
        until(lambda wanted=number + 1: len(group.pids("query")) == wanted)

    assert "restarting in 0.5 s" in group.log.read_text()
    assert "restarting in 1 s" in group.log.read_text()


def test_a_process_that_does_not_end_is_ended(start):
    """After stop_timeout_s, which is 1.5 s here."""
    group = start("stubborn")
    group.until_ready()

    assert group.end() == 0
    assert not is_alive(group.pids("stubborn")[0])
    assert "stubborn did not stop within 1.5 s" in group.log.read_text()


def test_a_second_signal_ends_at_once(start):
    """Without waiting for anybody."""
    group = start("stubborn,receiver-0")
    group.until_ready()
    group.process.send_signal(signal.SIGTERM)
    until(lambda: "ignored stubborn" in group.events or "end receiver-0" in group.events)

    group.end()

    assert "SIGTERM again: stopping immediately" in group.log.read_text()
    assert not any(is_alive(pid) for pid in group.pids())


def test_a_failing_first_start_stops_all_processes(start):
    """With the exit code and the last lines of the one that could not start."""
    group = start("postgres,broken,query")

    assert group.process.wait(20) == 78
    assert group.events[-1] == "end postgres"
    assert "start query" not in group.events
    log = group.log.read_text()
    assert "the disk is not there" in log
    assert "broken failed to start (exit code 78); its last log lines are above" in log


def test_a_step_that_must_wait_holds_nobody_up(start):
    """Receivers accept telemetry although the database is unavailable."""
    group = start("later,receiver-0")

    group.until_ready()
    assert group.events.index("start receiver-0") < group.events.index("ready")
    until(lambda: group.events.count("start later") == 3)

    assert group.end() == 0


def test_nothing_is_left_of_a_killed_supervisor(start):
    """Kill -9: the kernel kills the children."""
    group = start("postgres,receiver-0,stubborn,query")
    group.until_ready()
    pids = group.pids()

    group.process.kill()
    group.process.wait()

    assert len(pids) == 4
    until(lambda: not any(is_alive(pid) for pid in pids), 5)


def test_leftovers_of_a_process_end_with_it(start):
    """A job of a worker whose process was killed."""
    group = start("parent")
    group.until_ready()
    grandchild = group.pids("grandchild")[0]

    os.kill(group.pids("parent")[0], signal.SIGKILL)

    until(lambda: not is_alive(grandchild), 5)


def test_a_terminal_sees_one_stream_with_names(start):
    """Escape sequences are made visible; a huge line does no harm."""
    group = start("loud")
    group.until_ready()
    group.end()

    lines = group.log.read_text().splitlines()
    assert "loud        plain" in lines
    assert "loud        \\x1b[31mred" in lines
    assert max(map(len, lines)) < 10_000


def test_a_machine_sees_one_json_object_a_line(start):
    """JSON lines are passed on; others are wrapped, with their level."""
    group = start("loud", "json")
    group.until_ready()
    group.end()

    parsed = [json.loads(line) for line in group.log.read_text().splitlines()]
    assert {"message": "json"} in parsed
    assert any(line.get("process") == "loud" and line["message"] == "plain" for line in parsed)
    assert any(line.get("level") == "ERROR" and line["message"] == "ERROR:  bad" for line in parsed)
