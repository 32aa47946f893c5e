"""What `opslog doctor` says of the database and of retention, when the database answers.

It is not started for the question, and nothing is changed in it.
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
"""Transactions of two billion: autovacuum has long been at work, or cannot."""
_LONG_BACKLOG_S = 3600
_SOON_DAYS = 14


def examine(installation: Installation) -> Iterator[Finding]:
    """All of it."""
    yield from asyncio.run(_look(installation))


_NOT_RUNNING = Finding("the bundled database does not run; opslog up starts it")


async def _look(installation: Installation) -> list[Finding]:
    if installation.has_own_postgres and not installation.data_dir.exists():
        return [_NOT_RUNNING]  # nothing was ever started, and a look must not make the first folder
    try:
        connection = await connect(
            installation.database_dsn(), DatabaseRole.READER, name="opslog-doctor"
        )
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
        if installation.has_own_postgres:
            return [_NOT_RUNNING]
        return [
            Finding(
                f"the database does not answer ({type(error).__name__})",
                "accepted records wait in the spool until it does",
                "see database_url, the network, and the server's own log",
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
        return [*found, Finding(f"the database lacks {names}", "", "opslog migrate up")]
    found += _of_server(facts)
    status = await status_of(connection, installation.settings, datetime.now(UTC))
    found += _of_retention(status, installation.settings)
    found += _of_growth(facts, installation)
    return found


def _of_server(facts: asyncpg.Record) -> Iterator[Finding]:
    if facts["locks"] < _LEAST_LOCKS:
        yield Finding(
            f"max_locks_per_transaction is {facts['locks']}",
            "a question over all segments needs about ten locks for each",
            f"set it to {_LEAST_LOCKS} and restart PostgreSQL",
        )
    if not facts["has_trigrams"]:
        yield Finding(
            "pg_trgm is neither installed in the database nor to be had",
            "words are searched by reading segments instead of an index",
            "as a superuser: CREATE EXTENSION pg_trgm (package postgresql-contrib)",
        )
    if facts["oldest_s"] is not None and facts["oldest_s"] > _OLD_TRANSACTION_S:
        yield Finding(
            f"a transaction has been open for {facts['oldest_s'] / 3600:.0f} h",
            "while it is, expired segments cannot be dropped and sealed ones not frozen",
            "find it in pg_stat_activity and end it",
        )
    if facts["age"] > _WRAPAROUND:
        yield Finding(
            f"the oldest row is {facts['age']:,} transactions old",
            "at two billion PostgreSQL stops taking writes",
            "see that autovacuum runs; VACUUM FREEZE the tables that pg_class names",
            is_problem=True,
        )
    if facts["unsafe"]:
        yield Finding(
            f"switched off in PostgreSQL: {facts['unsafe']}",
            "a power cut may damage the database, and takes records that were acknowledged",
            "switch it on and reload PostgreSQL",
            is_problem=True,
        )
    if facts["letters"]:
        yield Finding(
            "the system orders letters otherwise than when the database was made",
            "its indexes of texts may not find what is there",
            "REINDEX DATABASE, then ALTER DATABASE … REFRESH COLLATION VERSION",
            is_problem=True,
        )


def _of_retention(status: Status, settings: Settings) -> Iterator[Finding]:
    for problem in status.problems:
        yield Finding(problem, "", "opslog retention status, opslog retention run")
    backlog = status.backlog
    if backlog.seconds > _LONG_BACKLOG_S:
        yield Finding(
            f"{backlog.rows:,} rows wait to be sealed, {backlog.seconds / 3600:.1f} h of work",
            "words are searched slowly in them",
            "see that a worker runs; more cores, or storage.no_trigrams for more classes",
        )
    rows = sum(each.rows for each in status.classes)
    yield Finding(f"{rows:,} records in {sum(each.segments for each in status.classes)} segments")
    if (
        settings.storage.max_bytes
        and settings.storage.max_bytes < 4 * settings.storage.segment_bytes
    ):
        yield Finding(
            "storage.max_bytes is smaller than four segments",
            "open segments cannot be dropped, so the store may stay above it",
            "raise it, or lower storage.segment_bytes",
        )


def _of_growth(facts: asyncpg.Record, installation: Installation) -> Iterator[Finding]:
    """When the disk is full at the pace of the last day."""
    if not installation.has_own_postgres or not facts["day_rows"]:
        return
    folder = installation.postgres.socket.parent
    free = shutil.disk_usage(folder).free
    a_day = facts["day_rows"] * (facts["disk_per_row"] or 1_100.0)
    days = free / a_day
    text = f"{size_text(round(a_day))} came in a day, {size_text(free)} are free"
    if days > _SOON_DAYS:
        yield Finding(text)
        return
    yield Finding(
        f"{text}: full in {days:.0f} days unless as much goes",
        "a full disk stops the database; the spool takes over until it is full, too",
        "opslog retention plan shows what goes; shorten a rule, set storage.max_bytes, add disk",
    )
