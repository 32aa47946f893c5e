"""A receiver whose event loop is blocked reports where, and serves other requests afterwards.

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
        log = product.log.read_text()
        assert "event loop blocked for 5 s at: fire (" in log
        assert "pipeline.py" in log
        settle(product, senders)
