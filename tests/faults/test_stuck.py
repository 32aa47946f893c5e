"""A receiver whose event loop is stuck reports where, and serves other requests afterwards.

F64 of the fault list. A loop that stays stuck: tests/unit/opslog/wiring/test_watchdog.py.
"""

import pytest

from tests.support.faults import more, settle
from tests.support.product import Product
from tests.support.senders import Senders

pytestmark = pytest.mark.slow


def test_a_stuck_loop_is_reported_with_its_stack():
    with (
        Product.running(OPSLOG_FAILPOINTS="recv.body=sleep:7@40") as product,
        Senders(product.otlp_url, "stuck", clients=4, pause_s=0.02) as senders,
    ):
        product.wait(lambda: "the event loop runs again" in product.log.read_text(), 60)
        more(product, senders)
        senders.stop()
        said = product.log.read_text()
        assert "the event loop is stuck since 5 s: fire (" in said
        assert "pipeline.py" in said
        settle(product, senders)
