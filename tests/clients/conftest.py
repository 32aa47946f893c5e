"""One product for the tests of a file; each test has a service name of its own in it."""

from collections.abc import Iterator

import pytest

from tests.support.product import Product


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """`opslog up`, ready."""
    with Product.running() as running:
        yield running
