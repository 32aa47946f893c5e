"""Wrong clocks: set forward, set back, after a restart, on two machines."""

import pytest

from retention.safety.clock import CONFIRM_US, Reading, Trusted, judge

S = 1_000_000
MINUTE, HOUR, DAY = 60 * S, 3600 * S, 86400 * S
START = 1_780_000_000 * S


class Machine:
    """A machine with a settable clock, observed every half minute or on demand."""

    def __init__(self, boot: str = "a", wall_us: int = START) -> None:
        self.boot = boot
        self.wall_us = wall_us
        self.uptime_us = HOUR
        self.known: Trusted | None = None

    def passes(self, period_us: int, *, step_us: int = 30 * S) -> None:
        """Advance the time, with observations."""
        for _ in range(period_us // step_us):
            self.wall_us += step_us
            self.uptime_us += step_us
            self.observe()

    def observe(self) -> int:
        """The trusted time."""
        self.known = judge(self.known, Reading(self.boot, self.wall_us, self.uptime_us))
        return self.known.safe_us


@pytest.fixture
def machine() -> Machine:
    """A machine that has been observed for an hour."""
    made = Machine()
    made.observe()
    made.passes(HOUR)
    return made


def test_a_steady_clock_is_trusted(machine: Machine) -> None:
    assert machine.observe() == machine.wall_us


@pytest.mark.parametrize("leap", [DAY, 2 * HOUR, 5 * MINUTE, 400 * DAY])
def test_a_leap_forward_changes_nothing(machine: Machine, leap: int) -> None:
    true_us = machine.wall_us
    machine.wall_us += leap
    machine.observe()

    machine.passes(CONFIRM_US - HOUR, step_us=10 * MINUTE)

    assert machine.observe() == true_us + CONFIRM_US - HOUR
    assert machine.known.doubt is not None


def test_a_jump_followed_by_a_steady_day_is_trusted(machine: Machine) -> None:
    machine.wall_us += DAY
    machine.observe()

    machine.passes(CONFIRM_US, step_us=10 * MINUTE)

    assert machine.observe() == machine.wall_us
    assert machine.known.doubt is None


def test_a_second_jump_restarts_the_steady_day(machine: Machine) -> None:
    true_us = machine.wall_us
    machine.wall_us += DAY
    machine.passes(CONFIRM_US - HOUR, step_us=10 * MINUTE)
    machine.wall_us += DAY

    machine.passes(2 * HOUR, step_us=10 * MINUTE)

    assert machine.observe() == true_us + CONFIRM_US + HOUR


@pytest.mark.parametrize("leap", [DAY, HOUR])
def test_a_clock_set_back_is_trusted_immediately(machine: Machine, leap: int) -> None:
    machine.wall_us -= leap

    assert machine.observe() == machine.wall_us


def test_a_leap_that_is_taken_back_ends_the_doubt(machine: Machine) -> None:
    machine.wall_us += DAY
    machine.passes(HOUR)
    machine.wall_us -= DAY

    assert machine.observe() == machine.wall_us
    assert machine.known.doubt is None


def test_steering_is_no_leap(machine: Machine) -> None:
    machine.wall_us += 30 * S
    assert machine.observe() == machine.wall_us
    machine.uptime_us += 7 * DAY  # no observation for a week, and the clock gained 0.05 %
    machine.wall_us += 7 * DAY + 7 * DAY // 2000
    assert machine.observe() == machine.wall_us


def test_a_short_restart_is_no_leap_and_a_long_one_costs_a_day_at_most(machine: Machine) -> None:
    machine.boot, machine.uptime_us = "b", 10 * S
    machine.wall_us += 10 * MINUTE
    assert machine.observe() == machine.wall_us

    before = machine.wall_us
    machine.boot, machine.uptime_us = "c", 10 * S
    machine.wall_us += 7 * DAY
    assert machine.observe() == before
    machine.passes(CONFIRM_US, step_us=10 * MINUTE)
    assert machine.observe() == machine.wall_us


def test_two_machines_that_agree_observe_in_turn(machine: Machine) -> None:
    other = Machine("b", machine.wall_us)
    other.known = machine.known
    for _ in range(20):
        other.known = machine.known
        other.wall_us = machine.wall_us + 20 * S
        other.uptime_us += 30 * S
        assert other.observe() == other.wall_us
        machine.known = other.known
        machine.wall_us += 30 * S
        machine.uptime_us += 30 * S
        assert machine.observe() == machine.wall_us


def test_the_first_observation_has_nothing_to_compare_with() -> None:
    assert Machine().observe() == START
