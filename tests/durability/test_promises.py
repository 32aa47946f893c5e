"""Durability: real processes are killed, and acknowledged records are stored exactly once."""

import signal
import time

import pytest

from tests.support.product import Product
from tests.support.product_records import numbered
from tests.support.senders import Senders, check_exactly_once, numbered_body

pytestmark = pytest.mark.slow


def stored(product: Product, run: str) -> list[tuple[int, int]]:
    return numbered(product, run)


def check(product: Product, senders: Senders) -> None:
    product.wait(lambda: senders.acknowledged <= set(stored(product, senders.run)), 60)
    check_exactly_once(senders, stored(product, senders.run))


def test_a_record_survives_the_receiver_killed_right_after_its_200():
    with Product.running() as product:
        for n in range(5):
            status, _, _ = product.export(numbered_body("kill", 0, n, 1))
            product.kill("receiver-0")
            assert status == 200

        product.wait(lambda: len(stored(product, "kill")) >= 5, 60)

        assert sorted(stored(product, "kill")) == [(0, n) for n in range(5)]


# How often each process reaches the place before it dies there: a place that every request passes
# must be rarer than one that a transaction passes, or the supervisor's pauses eat the test's time.
STAGES = {
    "recv.body": 100,
    "spool.before_append": 100,
    "spool.before_fsync": 100,
    "spool.after_fsync": 100,
    "ack.sent": 100,
    "writer.mid_copy": 20,
    "writer.before_commit": 20,
    "writer.after_commit": 20,
    "spool.before_unlink": 3,
}


@pytest.mark.parametrize("place", STAGES)
def test_killed_at_every_stage_nothing_is_lost_or_doubled(place):
    with Product.running(
        OPSLOG_FAILPOINTS=f"{place}=kill@{STAGES[place]}", OPSLOG_SPOOL__FILE_BYTES="65536"
    ) as product:
        with Senders(product.otlp_url, "stage", clients=4, batch=20) as senders:
            product.wait(lambda: "killed by SIGKILL" in product.log.read_text(), 90)
            count = len(senders.acknowledged)
            product.wait(lambda: len(senders.acknowledged) > count + 200, 90)

        check(product, senders)


def test_a_minute_without_postgresql_is_invisible_to_senders(durable_postgres):
    with Product.running(OPSLOG_DATABASE_URL=durable_postgres.dsn) as product:
        with Senders(product.otlp_url, "away", batch=50, pause_s=0.05) as senders:
            product.wait(lambda: len(senders.acknowledged) > 1000, 30)
            durable_postgres.stop()
            before = len(senders.acknowledged)
            time.sleep(60)
            during = len(senders.acknowledged) - before
            status, _, body = product.request("/readyz")
            durable_postgres.start()

        assert during > 10_000
        assert set(senders.statuses) == {200}
        assert status in {200, 503}
        assert b"database" in body
        check(product, senders)


def test_the_whole_installation_killed_and_restarted():
    with Product.running() as product:
        with Senders(product.otlp_url, "house", clients=4) as senders:
            product.wait(lambda: len(senders.acknowledged) > 2000, 30)
            product.kill_all()
            product.start()
            product.wait(lambda: product.process is not None, 1)
            count = len(senders.acknowledged)
            product.wait(lambda: len(senders.acknowledged) > count + 1000, 30)

        check(product, senders)


def test_postgresql_killed_under_load():
    with Product.running() as product:
        with Senders(product.otlp_url, "pgkill", clients=4) as senders:
            for _ in range(3):
                count = len(senders.acknowledged)
                product.wait(lambda: len(senders.acknowledged) > count + 1000, 60)  # noqa: B023
                product.kill("postgres")

        assert set(senders.statuses) == {200}
        check(product, senders)


def test_sigterm_under_load_loses_nothing_and_exits_with_zero():
    with Product.running() as product:
        with Senders(product.otlp_url, "term", clients=4) as senders:
            product.wait(lambda: len(senders.acknowledged) > 2000, 30)
            assert product.stop() == 0
        product.start()

        check(product, senders)


def test_sigterm_to_a_single_receiver_is_handled_by_the_next():
    with Product.running() as product:
        with Senders(product.otlp_url, "roll", clients=4) as senders:
            product.wait(lambda: len(senders.acknowledged) > 1000, 30)
            product.kill("receiver-0", signal.SIGTERM)
            count = len(senders.acknowledged)
            product.wait(lambda: len(senders.acknowledged) > count + 1000, 60)

        check(product, senders)
