"""Fixtures of the fault suite: a whole product per module, each test under load of its own.

A test breaks one thing, mends it, and leaves the product as it found it, so that any of them can
run alone and in any order.
"""

import itertools
from collections.abc import Iterator

import pytest

from tests.support.product import Product
from tests.support.senders import Senders

_runs = itertools.count(1)


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """`opslog up`, with small files and segments so that both change under the load."""
    with Product.running(
        OPSLOG_SPOOL__FILE_BYTES="1048576", OPSLOG_STORAGE__SEGMENT_ROWS="20000"
    ) as running:
        yield running


@pytest.fixture
def senders(product: Product) -> Iterator[Senders]:
    """Four senders at work, with some hundred records acknowledged; a tenth is sent twice."""
    run = f"fault-{next(_runs)}"
    with Senders(product.otlp_url, run, clients=4, pause_s=0.02, resend=0.1) as made:
        product.wait(lambda: len(made.acknowledged) > 300, 60)
        yield made
