"""What fuzzing has found, tried again: seeds, and every input that reached something new."""

import pytest

from tests.fuzz import corpus
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS, try_input


@pytest.mark.parametrize("target", range(len(TARGETS)))
def test_everything_found_so_far_keeps_the_promises(target):
    """Only refusals, neighbours kept, rows that PostgreSQL takes."""
    inputs = [data for data in (*seeds(), *corpus.read()) if data and data[0] % 10 == target]

    for data in inputs:
        try_input(data)

    assert inputs
