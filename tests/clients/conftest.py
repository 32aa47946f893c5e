"""One running opslog per test file; each test has a separate service name."""

from collections.abc import Iterator

import pytest

from tests.support.product import Product


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """`opslog up`, ready."""
    with Product.running() as running:
        yield running
