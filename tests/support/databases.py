"""Fresh databases, copied from a migrated template in a few milliseconds."""

import asyncio
import itertools
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from storage.database import migrate

T = TypeVar("T")
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Database:
    """A database for one test."""

    name: str
    dsn: str
    """As the superuser that created it."""

    @property
    def owner_dsn(self) -> str:
        """As opslog_owner."""
        return self.as_role("opslog_owner")

    def as_role(self, role: str) -> str:
        """A DSN whose sessions begin as `role`."""
        return f"{self.dsn}&role={role}"


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine without a running event loop, in session fixtures."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


def named(dsn: str, database: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


async def statement(dsn: str, *statements: str) -> None:
    """Run statements one after the other on a connection of their own."""
    conn = await asyncpg.connect(dsn)
    try:
        for text in statements:
            await conn.execute(text)
    finally:
        await conn.close()


async def migrated(dsn: str) -> None:
    """Bring one database up to date."""
    conn = await asyncpg.connect(dsn)
    try:
        await migrate.up(conn)
    finally:
        await conn.close()


def make_template(server_dsn: str) -> str:
    """An empty, migrated database to copy; returns its name."""
    run(statement(server_dsn, "CREATE DATABASE opslog_template"))
    run(migrated(named(server_dsn, "opslog_template")))
    return "opslog_template"


@contextmanager
def fresh_database(server_dsn: str, template: str = "template0") -> Iterator[Database]:
    """A separate database, dropped at the end even if it has connections."""
    name = f"test_{next(_numbers)}"
    run(statement(server_dsn, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
    try:
        yield Database(name, named(server_dsn, name))
    finally:
        run(statement(server_dsn, f"DROP DATABASE {name} WITH (FORCE)"))
