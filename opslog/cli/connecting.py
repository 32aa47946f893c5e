# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""How commands use the installation's database: started if needed, and migrated. Also tables."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from opslog.cli.options import echo_err
from opslog.client.record_lines import printable, readable_json
from opslog.installation.opening import open_installation

if TYPE_CHECKING:
    from opslog.installation.installation import Installation
    from storage.database.roles import Connection

T = TypeVar("T")


def with_connection(
    config: Path | None, work: "Callable[[Connection, Installation], Awaitable[T]]"
) -> T:
    """Run `work` with a connection of the owner role."""
    from opslog.wiring.database import connection, database
    from storage.database import migrate
    from storage.database.roles import DatabaseRole, take_role

    found = open_installation(config)

    async def run(dsn: str) -> T:
        async with connection(dsn) as conn:
            if not (await migrate.status(conn)).is_current:
                await migrate.up(conn)
            await take_role(conn, DatabaseRole.OWNER)
            return await work(conn, found)

    with database(found, echo_err) as dsn:
        return asyncio.run(run(dsn))


def with_dsn(config: Path | None, work: "Callable[[str, Installation], Awaitable[T]]") -> T:
    """Run `work` that opens its own connections."""
    from opslog.wiring.database import connection, database
    from storage.database import migrate

    found = open_installation(config)

    async def run(dsn: str) -> T:
        async with connection(dsn) as conn:
            if not (await migrate.status(conn)).is_current:
                await migrate.up(conn)
        return await work(dsn, found)

    with database(found, echo_err) as dsn:
        return asyncio.run(run(dsn))


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A text table; numbers are right-aligned.

    >>> print(table(["class", "rows"], [["info", 5], ["debug", 120]]))
    class  rows
    info      5
    debug   120
    """
    texts = [[_shown(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *texts, strict=True)]
    numeric = [
        bool(rows) and all(isinstance(row[at], int) for row in rows) for at in range(len(head))
    ]
    lines = [
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in [list(head), *texts]
    ]
    return "\n".join(lines)


def when(at: datetime | None) -> str:
    """A time to the minute."""
    return "-" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")


def as_json(value: object) -> str:
    """JSON output."""
    return readable_json(value)


def _shown(cell: object) -> str:
    return (
        f"{cell:,}"
        if isinstance(cell, int) and not isinstance(cell, bool)
        else printable(str(cell))
    )
