"""The installation's database, for commands: the running one, or one started temporarily."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from config.errors import SetupError
from opslog.embedded.server import Progress, running
from opslog.installation.installation import Installation, is_listening
from opslog.system.lock import DataDirBusy, data_dir_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.database.roles import Connection

_START_PATIENCE_S = 60.0
_POLL_S = 0.1


class DatabaseUnavailable(SetupError):
    """The database of this installation does not answer."""

    code = "database_unavailable"
    title = "The database does not answer"
    exit_code = 75


@contextmanager
def database(installation: Installation, report: Progress) -> "Iterator[str]":
    """A DSN of a running database, valid within the block.

    A bundled PostgreSQL that is not running is started, and stopped after the block.
    """
    if not installation.has_own_postgres:
        yield installation.database_dsn()
        return
    installation.make_folders()
    try:
        with (
            data_dir_lock(installation.data_dir, installation.run_dir),
            running(installation.postgres, report=report),
        ):
            yield installation.database_dsn()
    except DataDirBusy:  # another opslog runs or starts it
        _wait_for_socket(installation)
        yield installation.database_dsn()


@asynccontextmanager
async def connection(dsn: str) -> "AsyncIterator[Connection]":
    """One connection as the DSN's login. Raises DatabaseUnavailable."""
    import asyncpg  # noqa: PLC0415 - loaded only by commands that need it

    try:
        conn = await asyncpg.connect(dsn, timeout=10)
    except (OSError, TimeoutError, asyncpg.PostgresConnectionError) as error:
        raise DatabaseUnavailable(
            f"the database does not answer: {type(error).__name__}"
        ) from error
    except asyncpg.CannotConnectNowError as error:
        raise DatabaseUnavailable(f"the database cannot take connections now: {error}") from error
    except asyncpg.PostgresError as error:
        raise SetupError(f"the database refuses the login ({error.sqlstate}): {error}") from error
    except ValueError as error:
        raise SetupError(f"database_url is not a valid PostgreSQL address: {error}") from None
    try:
        yield conn
    finally:
        await conn.close()


def _wait_for_socket(installation: Installation) -> None:
    deadline = time.monotonic() + _START_PATIENCE_S
    while not is_listening(installation.postgres.socket):
        if time.monotonic() > deadline:
            raise DatabaseUnavailable(
                "another opslog is using the data directory, but its PostgreSQL does not respond; "
                "check its log"
            )
        time.sleep(_POLL_S)
