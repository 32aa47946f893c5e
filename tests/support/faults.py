"""Checks after every fault: nothing lost, duplicated or invented, and the ledger is balanced.

with Product.running() as product, Senders(...) as senders:
    …                                    # inject a fault
verdict = settle(product, senders)       # raises on a violation
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from storage.database.pool import DatabaseRole, connect
from storage.ledger.accounting.balance import Balance, balance
from storage.packs.store import store_at
from tests.support.databases import run
from tests.support.product import Product
from tests.support.product_records import numbered
from tests.support.senders import RETRIED, Senders

listeners: list[Callable[["Verdict"], None]] = []
"""Receives every verdict: tests/faults/conftest.py makes a table of them."""


@dataclass
class Verdict:
    """The outcome of a fault."""

    acknowledged: int
    stored: int
    lost: int
    twice: int
    unsent: int
    refused: int
    """Requests with a response after which no sender retries."""
    differences: list[str]
    """Of `opslog ledger check`."""
    drained_s: float
    """From the start of the check until everything acknowledged was stored."""
    silence_s: float
    """The longest time without an accepted request, until it was ready again."""

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.twice or self.unsent or self.refused or self.differences)


def balance_of(product: Product) -> Balance:
    """The balance, as computed by `opslog ledger check`."""

    async def read() -> Balance:
        installation = product.installation
        connection = await connect(installation.database_dsn(), DatabaseRole.READER, name="faults")
        try:
            store = store_at(installation.packs_dir)
            return await balance(connection, installation.spool_root, store)
        finally:
            await connection.close()

    return run(read())


def judge(product: Product, senders: Senders, *, within_s: float = 60.0) -> Verdict:
    """Wait at most `within_s` until everything acknowledged is stored; then count."""
    began = time.monotonic()
    acknowledged = set(senders.acknowledged)
    while True:
        rows = numbered(product, senders.run)
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
    """Seconds between two 200 responses of any sender."""
    ends = sorted(end for _, end in senders.accepted)
    return max((after - before for before, after in pairwise(ends)), default=0.0)


def settle(product: Product, senders: Senders, *, within_s: float = 60.0) -> Verdict:
    """`judge`, with an AssertionError on any problem."""
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
