"""Questions to PostgreSQL: run within a time limit, cancelled when the asker goes away.

A Session is one question: one connection for its statements, one deadline over all of them. When
its task is cancelled, asyncpg cancels the running statement on the server. What goes wrong comes
out as an error of this file or of errors.py, never as PostgreSQL's own words.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from config.errors import BadInput, OpslogError, Unavailable
from storage.database.connection import Connection
from storage.errors import DatabaseAway

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    from storage.database.pool import Pool

Row: TypeAlias = "asyncpg.Record"


@dataclass(slots=True)
class Spent:
    """Time that questions have spent in the database."""

    seconds: float = 0.0


DATABASE_TIME: ContextVar[Spent | None] = ContextVar("opslog_database_time", default=None)
"""Where the time of one request's statements is summed; whoever wants to know sets it."""

CONNECTION_WAIT_S = 2.0
"""Longest wait for a free connection; ingest has its own, so it never stands behind us."""


class QuestionTooSlow(Unavailable):
    """The question ran into its time limit; a narrower one (time range, fields) may pass."""

    code = "question_too_slow"
    title = "The question took longer than it may"
    retry_after_s = 1

    def __init__(self, limit_s: float | None = None) -> None:
        after = "" if limit_s is None else f" after {limit_s:g} s"
        super().__init__(f"stopped{after}; narrow the time range or add a field to search by")


class DatabaseBusy(Unavailable):
    """All connections are taken by other questions."""

    code = "database_busy"
    title = "All database connections are in use"


class DatabaseRefused(OpslogError):
    """PostgreSQL refused a statement of ours: a defect; its words are in opslog's own log."""

    code = "database_refused"
    title = "The database refused a statement"


class LeafGone(Unavailable):
    """A segment was dropped while it was asked; the catalogue's copy has to be read again."""

    code = "segment_gone"
    title = "A segment was dropped while it was read"
    retry_after_s = 1


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and its arguments; values are only ever arguments."""

    text: str
    arguments: tuple[object, ...] = ()


class Session:
    """One question's connection and what is left of its time."""

    def __init__(
        self, connection: Connection, limit_s: float, *, keeps_plans: bool = False
    ) -> None:
        self._connection = connection
        self.keeps_plans = keeps_plans
        """Whether statements are planned once, whatever their values."""
        self._limit_s = limit_s
        self._deadline_s = time.monotonic() + limit_s

    async def rows(self, statement: Statement, *, limit_s: float | None = None) -> list[Row]:
        """All rows of the statement, which may take `limit_s` of the time that is left."""
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise QuestionTooSlow(self._limit_s)
        if limit_s is not None:
            left_s = min(left_s, limit_s)
        begin_s = time.perf_counter()
        try:
            with _translated(self._limit_s):
                return await self._connection.fetch(
                    statement.text, *statement.arguments, timeout=left_s
                )
        finally:
            spent = DATABASE_TIME.get()
            if spent is not None:
                spent.seconds += time.perf_counter() - begin_s


class Reader:
    """Opens sessions on the pools of the role that can only select."""

    def __init__(self, pool: "Pool", *, limit_s: float, lookups: "Pool | None" = None) -> None:
        self._pool = pool
        self._lookups = lookups
        self.limit_s = limit_s
        """Longest that one question may take in all."""

    @asynccontextmanager
    async def session(self, *, is_lookup: bool = False) -> AsyncIterator[Session]:
        """A connection for one question. Raises DatabaseBusy when none gets free in time.

        With `is_lookup` it is one that keeps plans (storage/database/pool.py), if there is one.
        """
        keeps_plans = is_lookup and self._lookups is not None
        pool = self._lookups if is_lookup and self._lookups is not None else self._pool
        with _translated(self.limit_s):
            try:
                connection = await pool.acquire(timeout=CONNECTION_WAIT_S)
            except TimeoutError as error:
                raise DatabaseBusy("no database connection got free in time") from error
        try:
            yield Session(connection, self.limit_s, keeps_plans=keeps_plans)
        finally:
            # Shielded: a cancelled question must still hand back its connection.
            await asyncio.shield(_release(pool, connection))

    async def rows(self, statement: Statement) -> list[Row]:
        """All rows of a question of one statement."""
        async with self.session() as session:
            return await session.rows(statement)


async def _release(pool: "Pool", connection: "PoolConnectionProxy[asyncpg.Record]") -> None:
    await pool.release(connection)


class _translated:  # noqa: N801 - reads as the word it is: `with _translated(...)`
    """Turns what asyncpg raises into errors that say what a client may do."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, OpslogError):
            return
        if isinstance(error, asyncpg.QueryCanceledError | TimeoutError):
            raise QuestionTooSlow(self._limit_s) from error
        if isinstance(error, asyncpg.UndefinedTableError):
            raise LeafGone("a segment of this question no longer exists") from error
        if isinstance(error, asyncpg.InvalidRegularExpressionError):
            raise BadInput("the regular expression is not valid", where="q") from error
        if isinstance(error, _AWAY):
            raise DatabaseAway("the database does not answer") from error
        if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
            raise DatabaseRefused("a statement of opslog was refused") from error


_AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InternalClientError,  # what a connection says that broke in the middle of something
)


@dataclass(frozen=True, slots=True)
class Stream:
    """Resource and scope of a stream as canonical JSON, and their schema URLs."""

    resource: str
    scope: str
    resource_schema_url: str = ""
    scope_schema_url: str = ""


NO_STREAM = Stream("{}", '{"name": "", "version": ""}')
"""For a record whose stream is missing."""

_STREAMS = """
SELECT stream_id, resource::text, scope::text, resource_schema_url, scope_schema_url
  FROM log_streams
 WHERE stream_id = ANY($1)
"""


class Streams:
    """Resource and scope by stream id; rows of log_streams never change, so they are kept."""

    def __init__(self, *, most: int = 10_000) -> None:
        self._kept: OrderedDict[int, Stream] = OrderedDict()
        self._most = most

    async def of(self, session: Session, stream_ids: Iterable[int]) -> dict[int, Stream]:
        """The streams with these ids; asks only for those that it does not know yet."""
        wanted = set(stream_ids)
        missing = [stream_id for stream_id in wanted if stream_id not in self._kept]
        fresh: dict[int, Stream] = {}
        if missing:
            rows = await session.rows(Statement(_STREAMS, (missing,)))
            fresh = {row[0]: Stream(row[1], row[2], row[3], row[4]) for row in rows}
        found = {}
        for stream_id in wanted:
            if stream_id in fresh:
                found[stream_id] = fresh[stream_id]
            elif stream_id in self._kept:
                self._kept.move_to_end(stream_id)
                found[stream_id] = self._kept[stream_id]
            else:
                found[stream_id] = NO_STREAM
        self._keep(fresh)
        return found

    def _keep(self, fresh: dict[int, Stream]) -> None:
        self._kept.update(fresh)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
