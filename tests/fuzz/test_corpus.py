"""Regression tests from fuzzing: seeds, and every input that reached new code."""

import pytest

from tests.fuzz import corpus
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS, try_input


@pytest.mark.parametrize("target", range(len(TARGETS)))
def test_everything_found_so_far_meets_the_requirements(target):
    """Only rejections, unaffected neighbours, rows that PostgreSQL accepts."""
    inputs = [data for data in (*seeds(), *corpus.read()) if data and data[0] % 10 == target]

    for data in inputs:
        try_input(data)

    assert inputs
