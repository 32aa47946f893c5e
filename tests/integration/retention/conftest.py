"""Shared by all tests of retention."""

import pytest

from tests.support.databases import statement


@pytest.fixture(autouse=True)
async def may_install_extensions(database):
    """Granted by migrations; copied databases have lost it."""
    await statement(database.dsn, f"GRANT CREATE ON DATABASE {database.name} TO opslog_owner")
