"""What query processes share: limits hold over all of them, logouts are known at once."""

import os
import subprocess
import sys

import pytest

from query.auth.sessions import SharedEnds
from query.auth.shared_state import SharedState, slot
from query.errors import TooManyQueries
from storage.access.session_ends import SessionEnd


@pytest.fixture
def pair(tmp_path):
    """Two processes, as far as the file can tell."""
    return [SharedState.open(tmp_path / "state", number, 2) for number in range(2)]


def taken(state, key, limit):
    """Take slots until one is refused; how many there were."""
    count = 0
    while state.take(key, limit) is not None:
        count += 1
    return count


def test_a_limit_holds_over_all_processes_whoever_takes_the_slots(pair):
    one, other = pair
    places = [one.take("t", 6) for _ in range(5)]

    assert taken(other, "t", 6) == 1
    assert one.take("t", 6) is None
    one.give_back(places[2])
    assert taken(other, "t", 6) == 1
    assert taken(other, "another token", 6) == 6


def test_a_slot_is_free_after_its_block_however_it_ends(pair):
    for state in pair:
        with pytest.raises(KeyError), slot(state, "t", 1, "refused"):
            raise KeyError
    with (
        slot(pair[0], "t", 1, "first"),
        pytest.raises(TooManyQueries, match="second"),
        slot(pair[1], "t", 1, "second"),
    ):
        pass


def test_slots_of_a_killed_process_count_no_longer(tmp_path, pair):
    code = (
        "import os, sys; from pathlib import Path; from query.auth.shared_state import SharedState\n"
        "state = SharedState.open(Path(sys.argv[1]), 1, 2); state.take('t', 2); state.take('t', 2)\n"
        "print('taken', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "state")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout.readline() == b"taken\n"
        while_it_runs = pair[0].take("t", 2)
        process.kill()
        process.wait()

        assert while_it_runs is None
        assert taken(pair[0], "t", 2) == 2


def test_a_successor_starts_without_the_slots_of_its_predecessor(tmp_path, pair):
    assert taken(pair[1], "t", 3) == 3
    again = SharedState.open(tmp_path / "state", 1, 2)

    assert pair[0].take("t", 1) is not None
    assert taken(again, "u", 3) == 3


def test_a_logout_is_known_in_all_processes_at_once(tmp_path, pair):
    class Stored:
        def __init__(self):
            self.ends = {}

        def ended_s(self, token):
            return self.ends.get(token, 0.0)

        def end(self, token, end):
            self.ends[token] = end.ended_s

    one, other = (SharedEnds(Stored(), state) for state in pair)
    one.end("t", SessionEnd(5.0, 9.0))
    assert (one.ended_s("t"), other.ended_s("t"), other.ended_s("u")) == (5.0, 5.0, 0.0)

    for number in range(255):
        other.end(f"t{number}", SessionEnd(7.0, 9.0))
    assert one.ended_s("t0") == 7.0
    # It stays in force while a process that was killed starts again.
    SharedState.open(tmp_path / "state", 0, 2)
    assert SharedEnds(Stored(), pair[1]).ended_s("t") == 5.0


def test_limits_that_are_divided_are_rounded_up(pair):
    assert [pair[0].share(limit) for limit in (1, 8, 9)] == [1, 4, 5]
    assert SharedState.alone().share(8) == 8


def test_the_process_with_most_connections_knows_it(pair):
    one, other = pair
    assert not one.has_most_connections

    one.note_connections(2)
    other.note_connections(1)

    assert one.has_most_connections
    assert not other.has_most_connections


def test_the_file_is_private_and_never_cut(tmp_path, pair):
    path = tmp_path / "state"
    size = path.stat().st_size

    SharedState.open(path, 0, 1)

    assert path.stat().st_size == size
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.getpid() == int(pair[0]._own["pid"])
