"""The clock jumps by a day, both ways, under load: records are stored and packed once, and verified.

F49 of the fault list. Its effect on retention: tests/unit/retention/safety/test_clock.py.
"""

import struct
from pathlib import Path

import pytest

from tests.support.faults import more, settle
from tests.support.product import Product
from tests.support.product_records import records
from tests.support.senders import Senders

pytestmark = pytest.mark.slow

SHIM = Path(__file__).parent / "shims" / "clock"
PACKING = {"OPSLOG_STORAGE__SEGMENT_ROWS": "1000", "OPSLOG_STORAGE__PACK_MAX_LAG_S": "0"}
"""Segments are packed all the time."""
DAY_NS, HOUR_NS = 86_400 * 10**9, 3600 * 10**9


def test_the_clock_jumps_by_a_day_under_load(tmp_path):
    clock = tmp_path / "clock"

    def leap(offset_ns):
        with clock.open("r+b") as file:
            file.write(struct.pack("<q", offset_ns))

    clock.write_bytes(bytes(8))
    settings = {"PYTHONPATH": str(SHIM), "TEST_CLOCK": str(clock), **PACKING}
    with (
        Product.running(**settings) as product,
        Senders(product.otlp_url, "clock", clients=4, pause_s=0.02, resend=0.1) as senders,
    ):
        more(product, senders)
        before = segments(product)
        for offset_ns in (DAY_NS, -DAY_NS, -HOUR_NS, 0):
            leap(offset_ns)
            more(product, senders, 2000)
            if offset_ns == -DAY_NS:  # a receiver that begins in the past
                product.kill("receiver-0")
                more(product, senders, 1000)
        senders.stop()
        assert {status for status in senders.statuses if isinstance(status, int)} == {200}
        settle(product, senders)
        product.wait(lambda: packed(product) >= 5, 120)
        days = {received.date() for (received,) in records(product, "clock", "received_at")}
        assert len(days) >= 3, "the shim was not at work"
        assert before <= segments(product), "the leap has dropped something"
        settle(product, senders)
        said = product.command("verify")
        assert "integrity: holds" in said
        assert "completeness: holds" in said


def packed(product):
    """How many segments are packed."""
    return product.sql("SELECT count(*) FROM segments WHERE state = 'packed'")[0][0]


def segments(product):
    """Numbers of the segments that have rows."""
    found = product.sql("SELECT segment FROM segments WHERE state NOT IN ('dropped', 'retiring')")
    return {row[0] for row in found}
