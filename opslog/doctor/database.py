"""Checks of the database and of retention for `opslog doctor`, if the database is running.

It is not started for this, and nothing in it is changed.
"""

import asyncio
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime

import asyncpg

from config.errors import SetupError
from config.settings import Settings
from config.units import size_text
from opslog.doctor.finding import Finding
from opslog.installation.installation import Installation
from retention.reporting.status import Status, status_of
from storage.database import migrate
from storage.database.pool import DatabaseRole, connect
from storage.database.statements import statement

_LEAST_LOCKS = 1024
_OLD_TRANSACTION_S = 3600
_WRAPAROUND = 1_000_000_000
"""Half of the two billion transactions: autovacuum should have frozen rows long before."""
_LONG_BACKLOG_S = 3600
_SOON_DAYS = 14


def examine(installation: Installation) -> Iterator[Finding]:
    """Run all checks."""
    yield from asyncio.run(_check(installation))


_NOT_RUNNING = Finding("the bundled database is not running; opslog up starts it")


async def _check(installation: Installation) -> list[Finding]:
    if installation.has_own_postgres and not installation.data_dir.exists():
        return [_NOT_RUNNING]  # never started, and a check must not create the first folder
    try:
        connection = await connect(
            installation.database_dsn(), DatabaseRole.READER, name="opslog-doctor"
        )
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
        if installation.has_own_postgres:
            return [_NOT_RUNNING]
        return [
            Finding(
                f"the database does not respond ({type(error).__name__})",
                "accepted records wait in the spool until it responds",
                "check database_url, the network, and the server's log",
                is_problem=True,
            )
        ]
    try:
        return await _of_database(connection, installation)
    finally:
        await connection.close()


async def _of_database(
    connection: "asyncpg.Connection[asyncpg.Record]", installation: Installation
) -> list[Finding]:
    facts = await connection.fetchrow(statement("doctor_facts"))
    assert facts is not None
    found = [Finding(f"PostgreSQL {facts['version']}, {size_text(facts['size'])}")]
    try:
        pending = (await migrate.status(connection)).pending
    except SetupError as error:
        return [*found, Finding(str(error), "", "see docs/troubleshooting/database.md", True)]
    if pending:
        names = ", ".join(migration.name for migration in pending)
        return [*found, Finding(f"missing migrations: {names}", "", "opslog migrate up")]
    found += _of_server(facts)
    status = await status_of(connection, installation.settings, datetime.now(UTC))
    found += _of_retention(status, installation.settings)
    found += _of_growth(facts, installation)
    return found


def _of_server(facts: asyncpg.Record) -> Iterator[Finding]:
    if facts["locks"] < _LEAST_LOCKS:
        yield Finding(
            f"max_locks_per_transaction is {facts['locks']}",
            "a query over all segments needs about ten locks per segment",
            f"set it to {_LEAST_LOCKS} and restart PostgreSQL",
        )
    if facts["oldest_s"] is not None and facts["oldest_s"] > _OLD_TRANSACTION_S:
        yield Finding(
            f"a transaction has been open for {facts['oldest_s'] / 3600:.0f} h",
            "until it ends, leaves of expired and of packed segments cannot be dropped",
            "find it in pg_stat_activity and end it",
        )
    if facts["age"] > _WRAPAROUND:
        yield Finding(
            f"the oldest row is {facts['age']:,} transactions old",
            "at two billion PostgreSQL stops accepting writes",
            "check that autovacuum runs; VACUUM FREEZE the tables with the highest age in pg_class",
            is_problem=True,
        )
    if facts["unsafe"]:
        yield Finding(
            f"disabled in PostgreSQL: {facts['unsafe']}",
            "a power failure can corrupt the database and lose acknowledged records",
            "enable it and reload PostgreSQL",
            is_problem=True,
        )
    if facts["letters"]:
        yield Finding(
            "the system's collation version differs from the database's",
            "text indexes may miss rows",
            "REINDEX DATABASE, then ALTER DATABASE … REFRESH COLLATION VERSION",
            is_problem=True,
        )


def _of_retention(status: Status, settings: Settings) -> Iterator[Finding]:
    for problem in status.problems:
        yield Finding(problem, "", "opslog retention status, opslog retention run")
    backlog = status.backlog
    if backlog.seconds > _LONG_BACKLOG_S:
        yield Finding(
            f"{backlog.rows:,} rows waiting to be packed, {backlog.seconds / 3600:.1f} h of work",
            "until then they need ten times the disk space",
            "check that a packer runs; raise storage.pack_workers, or add cores",
        )
    rows = sum(each.rows for each in status.classes)
    yield Finding(f"{rows:,} records in {sum(each.segments for each in status.classes)} segments")
    if (
        settings.storage.max_bytes
        and settings.storage.max_bytes < 4 * settings.storage.segment_bytes
    ):
        yield Finding(
            "storage.max_bytes is smaller than four segments",
            "open segments cannot be dropped, so the store may stay above the limit",
            "raise it, or lower storage.segment_bytes",
        )


def _of_growth(facts: asyncpg.Record, installation: Installation) -> Iterator[Finding]:
    """When the disk will be full at the rate of the last day."""
    if not installation.has_own_postgres or not facts["day_rows"]:
        return
    folder = installation.postgres.socket.parent
    free = shutil.disk_usage(folder).free
    a_day = facts["day_rows"] * (facts["disk_per_row"] or 1_100.0)
    days = free / a_day
    text = f"{size_text(round(a_day))} stored in the last day, {size_text(free)} free"
    if days > _SOON_DAYS:
        yield Finding(text)
        return
    yield Finding(
        f"{text}: full in {days:.0f} days unless as much expires",
        "a full disk stops the database; the spool buffers records until it is full, too",
        "see opslog retention plan; shorten a rule, set storage.max_bytes, or add disk space",
    )
