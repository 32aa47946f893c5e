"""Kills at random moments: some rounds of what `make test-faults-long` does two hundred times.

F1 to F10, F13, F15 of the fault list; the seed is printed and can be given to `make` as SEED.
"""

import random

import pytest

from tests.faults.rounds import CLEAN, SETTINGS, play, verify
from tests.support.product import Product

pytestmark = pytest.mark.slow

ROUNDS = 3


def test_rounds_of_kills_break_no_promise():
    seed = random.SystemRandom().randrange(1, 10**6)
    print(f"seed {seed}")
    with Product.running(**SETTINGS) as product:
        sums, bad = play(product, ROUNDS, seed)
        verified = verify(product)

    assert bad == []
    assert sum(each.kills for each in sums.values()) >= ROUNDS
    assert verified == CLEAN
