"""Simulated power failures: unsynced data is lost, but nothing that was acknowledged.

F28 and F29 of the fault list: at random moments under load from several senders.
"""

import random

import pytest

from tests.support.faults import more, settle
from tests.support.power import Diary, cut_power, diary_settings
from tests.support.product import Product
from tests.support.senders import Senders

pytestmark = pytest.mark.slow


def test_what_was_acknowledged_survives_power_cuts(tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # pytest shows it when the test fails
    chance = random.Random(seed)
    diary = tmp_path / "diary"
    with (
        Product.running(OPSLOG_SPOOL__FILE_BYTES="131072", **diary_settings(diary)) as product,
        Senders(product.otlp_url, "power", clients=8, pause_s=0.01, resend=0.1) as senders,
    ):
        taken = []
        # A removed file comes back by chance only: a few more cuts where two did not show it.
        while len(taken) < 2 or (len(taken) < 8 and not any(each["ghosts"] for each in taken)):
            more(product, senders, chance.randint(500, 4000))
            taken.append(cut_power(product, diary, chance))
            product.start()
        more(product, senders)
        senders.stop()
        settle(product, senders)
        assert Diary.read(diary).sizes, "the shim was not at work"
        assert sum(each["ghosts"] for each in taken), "no removed file came back"
