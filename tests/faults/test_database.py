"""PostgreSQL in every state in which it cannot be written to: invisible to senders, no loss.

F12, F14, F34, F35, F36 of the fault list, each under load from four senders that send a tenth of
their requests twice (F62).
"""

import asyncio
import os
import signal
from contextlib import asynccontextmanager, suppress

import asyncpg
import pytest

from tests.faults.rounds import backend_of_writer
from tests.support.databases import run
from tests.support.faults import more, settle

pytestmark = pytest.mark.slow


def check(product, senders):
    """Every request got a 200, and everything is healthy."""
    senders.stop()
    assert set(senders.statuses) == {200}
    settle(product, senders)


@asynccontextmanager
async def superuser(product):
    connection = await asyncpg.connect(product.installation.database_dsn())
    try:
        yield connection
    finally:
        await connection.close()


async def execute(product, *statements):
    async with superuser(product) as connection:
        for text in statements:
            await connection.execute(text)


def reasons(product):
    """The text of /readyz, whatever its status."""
    return product.request("/readyz")[2].decode()


def test_one_of_its_processes_is_killed(product, senders):
    os.kill(product.wait(lambda: backend_of_writer(product)), signal.SIGKILL)
    more(product, senders, 3000)

    check(product, senders)


def test_it_is_restarted_cleanly(product, senders):
    before = product.kill("postgres", signal.SIGINT)  # "fast": sessions are cut off
    product.wait(lambda: product.find("postgres") not in {None, before}, 60)
    more(product, senders, 1000)

    check(product, senders)


def test_it_is_read_only(product, senders):
    switch = "ALTER SYSTEM SET default_transaction_read_only = on"
    run(execute(product, switch, "SELECT pg_reload_conf()"))
    try:
        product.wait(lambda: "read-only transaction" in reasons(product), 30)
        more(product, senders, 2000)
    finally:
        run(
            execute(
                product,
                "SET default_transaction_read_only = off",
                "ALTER SYSTEM RESET default_transaction_read_only",
                "SELECT pg_reload_conf()",
            )
        )

    check(product, senders)
    product.wait(lambda: "read-only" not in reasons(product), 30)


async def take_all(dsn):
    """Open connections until none is left."""
    taken = []
    with suppress(asyncpg.TooManyConnectionsError):
        while True:
            taken.append(await asyncpg.connect(dsn))
    return taken


OURS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE application_name LIKE 'opslog%'
"""


def test_all_its_connections_are_used_up(product, senders):
    async def use_up():
        dsn = product.installation.database_dsn()
        taken = await take_all(dsn)
        while await taken[0].fetchval(OURS):  # one of ours may be quicker than the taker
            taken += await take_all(dsn)
        count = len(senders.acknowledged)
        await asyncio.to_thread(product.wait, lambda: "unavailable for" in reasons(product), 30)
        await asyncio.sleep(1)
        for connection in taken:
            await connection.close()
        return len(senders.acknowledged) - count

    assert run(use_up()) > 500
    check(product, senders)


def test_a_table_is_locked_manually(product, senders):
    async def hold():
        async with superuser(product) as connection, connection.transaction():
            await connection.execute("LOCK TABLE ingest_batches IN ACCESS EXCLUSIVE MODE")
            count = len(senders.acknowledged)
            await asyncio.sleep(6)  # longer than lock_timeout
            return len(senders.acknowledged) - count, await asyncio.to_thread(reasons, product)

    acknowledged, said = run(hold())

    assert acknowledged > 2000
    assert "lock timeout" in said
    check(product, senders)


def test_a_second_receiver_on_the_same_spool_is_rejected(product, senders):
    """F31: the error names the owner; the first one is not disturbed."""
    first = product.find("receiver-0")
    port = product.environment["OPSLOG_OTLP__PORT"]
    product.environment["OPSLOG_OTLP__PORT"] = "0"
    try:
        done = product.run("receiver", "--name", "receiver-0")
    finally:
        product.environment["OPSLOG_OTLP__PORT"] = port

    assert done.returncode == 75
    assert f"is in use by process {first}" in done.stderr
    check(product, senders)
