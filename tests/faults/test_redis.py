"""Redis unavailable at the start and later: ingest, queries and live tail do not need it.

F44 of the fault list; a lost schedule (F48): tests/integration/retention/test_queue.py.
"""

import pytest

from tests.support.faults import more, settle
from tests.support.product import Product
from tests.support.senders import Senders
from tests.support.servers import valkey_server

pytestmark = pytest.mark.slow


def test_nothing_but_the_queue_needs_redis():
    with (
        valkey_server() as valkey,
        Product.running(OPSLOG_REDIS_URL=valkey.url) as product,
        Senders(product.otlp_url, "redis", clients=4, pause_s=0.02) as senders,
    ):
        more(product, senders)
        valkey.kill()
        more(product, senders, 2000)
        assert product.get("/api/v1/logs?limit=3")["data"]
        assert product.request("/readyz")[0] == 200
        product.wait(lambda: b"Redis has been unavailable" in product.request("/readyz")[2], 30)
        valkey.start()
        more(product, senders)
        product.wait(lambda: b"Redis has been unavailable" not in product.request("/readyz")[2], 60)
        senders.stop()
        assert set(senders.statuses) == {200}
        settle(product, senders)


def test_it_starts_while_redis_is_unavailable():
    with valkey_server() as valkey:
        valkey.stop()
        with Product.running(OPSLOG_REDIS_URL=valkey.url) as product:
            with Senders(product.otlp_url, "without", clients=4, pause_s=0.02) as senders:
                more(product, senders)
                assert product.get("/api/v1/logs?limit=3")["data"]
                assert b"Redis" in product.wait(lambda: product.request("/readyz")[2], 30)
            settle(product, senders)
            valkey.start()
            done = "SELECT count(*) FROM ledger_checks"  # the hourly job, due at once
            product.wait(lambda: product.sql(done)[0][0] > 0, 60)
