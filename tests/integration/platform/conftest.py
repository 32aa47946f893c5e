"""Folders and accounts for tests of the bundled servers."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from opslog.system.processes import Account, account_for
from tests.support.servers import NOT_DURABLE


@pytest.fixture
def home() -> Iterator[Path]:
    """A short path that an unprivileged account can traverse."""
    folder = Path(tempfile.mkdtemp(prefix="opslog-test-p-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def account() -> Account | None:
    """The account of the servers here."""
    return account_for("")


@pytest.fixture
def shelf() -> Path:
    """Copies of programs for accounts that cannot read ours, shared by all tests."""
    return Path(tempfile.gettempdir()) / "opslog-test-programs"


@pytest.fixture
def small() -> dict[str, str]:
    """Settings that make a cluster quick and small."""
    return {**NOT_DURABLE, "shared_buffers": "32MB", "max_locks_per_transaction": "64"}


@pytest.fixture
def system_python() -> str:
    """An interpreter that every account can run; the test's own may be in a private home."""
    found = "/usr/bin/python3"
    probe = "import sys; sys.exit(sys.version_info < (3, 11))"
    if shutil.which(found) is None or os.system(f'{found} -c "{probe}"') != 0:
        pytest.skip("no Python 3.11 that all accounts can run")
    return found


@pytest.fixture
def only_root() -> None:
    """For tests that change accounts."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
