"""A receiver with default settings for each test that uses the fixture."""

import pytest

from tests.contract.otlp.server import running


@pytest.fixture
async def receiver():
    """Default settings, no key, a sink in memory."""
    async with running() as receiver:
        yield receiver
