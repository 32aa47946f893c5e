"""The supervisor with real processes: order, restarts, endings, and nothing left behind."""

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


class House:
    """A running supervisor, and what its processes wrote down."""

    def __init__(self, folder: Path, plan: str, *options: str) -> None:
        self.folder = folder
        self.log = folder / "log"
        program = [sys.executable, "-m", "tests.integration.platform.house"]
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
def start(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Starts a house; whatever is left of it is killed."""
    houses: list[House] = []

    def factory(plan: str, *options: str) -> House:
        houses.append(House(tmp_path, plan, *options))
        return houses[-1]

    yield factory
    for house in houses:
        house.process.kill()
        house.process.wait()
        for pid in house.pids():
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_each_group_waits_for_the_one_before(start):
    """`ready` comes last; within a group the order is free."""
    house = start("postgres,receiver-0 receiver-1,query")

    house.until_ready()

    events = house.events
    assert events[0] == "start postgres"
    assert set(events[1:3]) == {"start receiver-0", "start receiver-1"}
    assert events[3:] == ["start query", "ready"]


def test_it_ends_receivers_first_and_postgres_last(start):
    """Nothing comes in any more while the rest is being stored."""
    house = start("postgres valkey,receiver-0,query,worker")
    house.until_ready()

    code = house.end()

    endings = [event for event in house.events if event.startswith("end")]
    assert code == 0
    assert endings[0] == "end receiver-0"
    assert set(endings[1:3]) == {"end query", "end worker"}
    assert endings[3:] == ["end valkey", "end postgres"]


def test_ctrl_c_ends_in_order_too(start):
    """With the exit code that shells expect."""
    house = start("postgres,receiver-0")
    house.until_ready()

    assert house.end(signal.SIGINT) == 130
    assert house.events[-2:] == ["end receiver-0", "end postgres"]


def test_a_killed_process_is_started_again(start):
    """With a word about it in the log."""
    house = start("receiver-0,query")
    house.until_ready()

    os.kill(house.pids("query")[0], signal.SIGKILL)
    until(lambda: len(house.pids("query")) == 2)

    assert is_alive(house.pids("receiver-0")[0])
    assert "query ended (killed by SIGKILL) and is started again in 0.5 s" in house.log.read_text()


def test_the_pause_grows_with_each_quick_end(start):
    """So that a process that cannot run does not use up the machine."""
    house = start("query")
    house.until_ready()

    for number in range(1, 3):
        os.kill(house.pids("query")[-1], signal.SIGKILL)
        until(lambda wanted=number + 1: len(house.pids("query")) == wanted)

    assert "started again in 0.5 s" in house.log.read_text()
    assert "started again in 1 s" in house.log.read_text()


def test_a_process_that_does_not_end_is_ended(start):
    """After stop_timeout_s, which is 1.5 s here."""
    house = start("stubborn")
    house.until_ready()

    assert house.end() == 0
    assert not is_alive(house.pids("stubborn")[0])
    assert "stubborn did not end within 1.5 s" in house.log.read_text()


def test_a_second_signal_ends_at_once(start):
    """Without waiting for anybody."""
    house = start("stubborn,receiver-0")
    house.until_ready()
    house.process.send_signal(signal.SIGTERM)
    until(lambda: "ignored stubborn" in house.events or "end receiver-0" in house.events)

    house.end()

    assert "SIGTERM again: ending at once" in house.log.read_text()
    assert not any(is_alive(pid) for pid in house.pids())


def test_a_set_up_that_cannot_work_ends_the_house(start):
    """With the exit code and the last lines of the one that could not start."""
    house = start("postgres,broken,query")

    assert house.process.wait(20) == 78
    assert house.events[-1] == "end postgres"
    assert "start query" not in house.events
    log = house.log.read_text()
    assert "the disk is not there" in log
    assert "broken ended at its start (exit code 78); its last lines are above" in log


def test_a_step_that_must_wait_holds_nobody_up(start):
    """A database that is away: receivers take telemetry all the same."""
    house = start("later,receiver-0")

    house.until_ready()
    assert house.events.index("start receiver-0") < house.events.index("ready")
    until(lambda: house.events.count("start later") == 3)

    assert house.end() == 0


def test_nothing_is_left_of_a_killed_supervisor(start):
    """Kill -9: the kernel tells the children, and they have no say."""
    house = start("postgres,receiver-0,stubborn,query")
    house.until_ready()
    pids = house.pids()

    house.process.kill()
    house.process.wait()

    assert len(pids) == 4
    until(lambda: not any(is_alive(pid) for pid in pids), 5)


def test_what_a_process_left_behind_goes_with_it(start):
    """A job of a worker whose process was killed."""
    house = start("parent")
    house.until_ready()
    grandchild = house.pids("grandchild")[0]

    os.kill(house.pids("parent")[0], signal.SIGKILL)

    until(lambda: not is_alive(grandchild), 5)


def test_a_terminal_sees_one_stream_with_names(start):
    """Escapes are shown, not obeyed; a giant line does no harm."""
    house = start("loud")
    house.until_ready()
    house.end()

    lines = house.log.read_text().splitlines()
    assert "loud        plain" in lines
    assert "loud        \\x1b[31mred" in lines
    assert max(map(len, lines)) < 10_000


def test_a_machine_sees_one_json_object_a_line(start):
    """Lines that are JSON already pass as they are; others are wrapped, with their level."""
    house = start("loud", "json")
    house.until_ready()
    house.end()

    parsed = [json.loads(line) for line in house.log.read_text().splitlines()]
    assert {"message": "json"} in parsed
    assert any(line.get("process") == "loud" and line["message"] == "plain" for line in parsed)
    assert any(line.get("level") == "ERROR" and line["message"] == "ERROR:  bad" for line in parsed)
