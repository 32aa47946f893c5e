"""Full disks, of the spool and of the database: 503 or waiting, never a false 200.

F24, F26, F27 of the fault list, under load from several senders.
"""

import pytest

from opslog.system.processes import account_for
from tests.support.databases import named, run, statement
from tests.support.disks import Ballast, small_disk
from tests.support.faults import more, settle
from tests.support.product import Product
from tests.support.senders import Senders

pytestmark = pytest.mark.slow

REFUSED = 503


def check(product, senders):
    senders.stop()
    assert set(senders.statuses) <= {200, REFUSED}
    settle(product, senders)


def refusals(senders):
    return senders.statuses.get(REFUSED, 0)


def test_the_disk_of_the_spool_is_full(durable_postgres):
    """First the reserve is kept free while the database is unavailable, then the disk is full."""
    with (
        small_disk(24) as disk,
        Product.running(
            OPSLOG_DATABASE_URL=durable_postgres.dsn,
            OPSLOG_SPOOL__DIRECTORY=str(disk),
            OPSLOG_SPOOL__FILE_BYTES=str(2**20),
            OPSLOG_SPOOL__MIN_FREE_BYTES=str(4 * 2**20),
        ) as product,
        Senders(product.otlp_url, "full", clients=4, batch=200) as senders,
    ):
        more(product, senders)
        durable_postgres.stop()
        product.wait(lambda: refusals(senders) > 20, 60)
        acknowledged = len(senders.acknowledged)
        # While a process restarts, it is reported as missing, or there is space for a moment.
        product.wait(lambda: b"exports get 503" in product.request("/readyz")[2], 30)
        product.wait(lambda: refusals(senders) > 40, 60)
        assert len(senders.acknowledged) <= acknowledged + 4 * senders.batch
        durable_postgres.start()
        more(product, senders, 5000)
        check(product, senders)


def test_writes_to_the_spool_fail_in_the_middle():
    """Others fill the disk, so that a write to the spool fails in the middle."""
    with (
        small_disk(24) as disk,
        Product.running(
            OPSLOG_SPOOL__DIRECTORY=str(disk),
            OPSLOG_SPOOL__FILE_BYTES=str(2**20),
            OPSLOG_SPOOL__MIN_FREE_BYTES="0",
        ) as product,
        Senders(product.otlp_url, "enospc", clients=4, batch=200) as senders,
    ):
        ballast = Ballast(disk)
        for _ in range(3):
            more(product, senders)
            count = refusals(senders)
            ballast.fill()
            product.wait(lambda: refusals(senders) > count + 5, 60)  # noqa: B023
            ballast.drop()
            more(product, senders, 2000)
        check(product, senders)
        assert b"No space left" in product.log.read_bytes()


def test_the_disk_of_the_database_is_full(durable_postgres):
    """Rows wait in the spool until there is space again, without further action."""
    with small_disk(80, account_for("")) as disk:
        run(
            statement(
                durable_postgres.dsn,
                f"CREATE TABLESPACE small LOCATION '{disk}'",
                "CREATE DATABASE small TABLESPACE small",
            )
        )
        dsn = named(durable_postgres.dsn, "small")
        ballast = Ballast(disk)
        with (
            Product.running(OPSLOG_DATABASE_URL=dsn) as product,
            Senders(product.otlp_url, "pgfull", clients=4, batch=100) as senders,
        ):
            more(product, senders)
            ballast.fill(leave_bytes=2**20)
            product.wait(lambda: b"No space left" in product.request("/readyz")[2], 60)
            more(product, senders, 5000)
            ballast.drop()
            senders.stop()
            assert set(senders.statuses) == {200}
            settle(product, senders)


def test_the_spool_has_reached_its_limit(durable_postgres):
    """PostgreSQL is unavailable until the spool is full: 503, and recovery afterwards."""
    with (
        Product.running(
            OPSLOG_DATABASE_URL=durable_postgres.dsn,
            OPSLOG_SPOOL__FILE_BYTES=str(2**20),
            OPSLOG_SPOOL__MAX_BYTES=str(8 * 2**20),
        ) as product,
        Senders(product.otlp_url, "limit", clients=4, batch=200) as senders,
    ):
        more(product, senders)
        durable_postgres.kill()
        product.wait(lambda: refusals(senders) > 20, 60)
        durable_postgres.start()
        more(product, senders, 5000)
        check(product, senders)
