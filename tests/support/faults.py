"""What every fault test asks afterwards: nothing lost, nothing twice, nothing invented, balanced.

with Product.running() as product, Senders(...) as senders:
    …                                    # break something
verdict = settle(product, senders)       # raises when a promise was broken
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from storage.database.pool import DatabaseRole, connect
from storage.ledger.accounting.balance import Balance, balance
from tests.support.databases import run
from tests.support.product import Product
from tests.support.senders import RETRIED, STORED, Senders

listeners: list[Callable[["Verdict"], None]] = []
"""Told of each verdict, good or bad: tests/faults/conftest.py makes a table of them."""


@dataclass
class Verdict:
    """How it was after a fault."""

    acknowledged: int
    stored: int
    lost: int
    twice: int
    unsent: int
    refused: int
    """Requests that were answered with what no sender tries again."""
    differences: list[str]
    """Of `opslog ledger check`."""
    drained_s: float
    """From the question until everything acknowledged was stored."""
    silence_s: float
    """The longest time in which no request was accepted: how long it took to be ready again."""

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.twice or self.unsent or self.refused or self.differences)


def balance_of(product: Product) -> Balance:
    """What `opslog ledger check` looks at."""

    async def ask() -> Balance:
        house = product.installation
        connection = await connect(house.database_dsn(), DatabaseRole.READER, name="faults")
        try:
            return await balance(connection, house.spool_root)
        finally:
            await connection.close()

    return run(ask())


def judge(product: Product, senders: Senders, *, within_s: float = 60.0) -> Verdict:
    """Wait until what was acknowledged is stored, at most `within_s`; then count."""
    began = time.monotonic()
    question = STORED.format(run=senders.run)
    acknowledged = set(senders.acknowledged)
    while True:
        rows = product.sql(question)
        stored = set(rows)
        drained_s = time.monotonic() - began
        if acknowledged <= stored or drained_s > within_s:
            break
        time.sleep(0.1)
    return Verdict(
        acknowledged=len(acknowledged),
        stored=len(rows),
        lost=len(acknowledged - stored),
        twice=len(rows) - len(stored),
        unsent=sum(n >= senders.sent.get(client, 0) for client, n in stored),
        refused=sum(
            count
            for status, count in senders.statuses.items()
            if isinstance(status, int) and status != 200 and status not in RETRIED
        ),
        differences=balance_of(product).differences,
        drained_s=drained_s,
        silence_s=longest_silence(senders),
    )


def longest_silence(senders: Senders) -> float:
    """Seconds between two answers 200, whoever got them."""
    ends = sorted(end for _, end in senders.accepted)
    return max((after - before for before, after in pairwise(ends)), default=0.0)


def settle(product: Product, senders: Senders, *, within_s: float = 60.0) -> Verdict:
    """`judge`, and AssertionError unless all is well."""
    verdict = judge(product, senders, within_s=within_s)
    for tell in listeners:
        tell(verdict)
    assert verdict.acknowledged, f"nothing was acknowledged: {senders.statuses}"
    assert verdict.is_good, f"{verdict}\n{product.tail()}"
    return verdict


def ready_after(senders: Senders, moment_s: float, *, within_s: float = 90.0) -> float:
    """Seconds from `moment_s` (time.monotonic) to the first 200 for a request begun after it."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if (accepted := senders.accepted_after(moment_s)) is not None:
            return accepted - moment_s
        time.sleep(0.02)
    raise AssertionError(f"no request was accepted within {within_s} s: {senders.statuses}")


def more(product: Product, senders: Senders, records: int = 500, *, within_s: float = 60.0) -> None:
    """Wait until that many further records are acknowledged."""
    count = len(senders.acknowledged)
    product.wait(lambda: len(senders.acknowledged) >= count + records, within_s)
