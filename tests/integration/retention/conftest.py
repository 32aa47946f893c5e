"""What all tests of retention need."""

import pytest

from tests.support.databases import statement


@pytest.fixture(autouse=True)
async def may_install_extensions(database):
    """What migrating grants; a copied database has lost it."""
    await statement(database.dsn, f"GRANT CREATE ON DATABASE {database.name} TO opslog_owner")
