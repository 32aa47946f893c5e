"""Queries to PostgreSQL: limited in time, cancelled when the client disconnects.

A Session serves one query: one deadline for all its statements, and a connection for each of them
while it runs, so that none is held while packs are read or a response is rendered. Callers get
connections in turn (fairness.py). When a task is cancelled, asyncpg cancels its statement on the
server.
Failures are raised as an error of this module or of errors.py, never with PostgreSQL's own message.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg

from config.errors import BadInput, OpslogError, Unavailable
from storage.database.connection import Connection
from storage.database.fairness import FairQueue
from storage.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    from storage.database.pool import Pool

Row: TypeAlias = "asyncpg.Record | dict[str, Any]"
"""Of a statement, or of a pack (query/planning/packed/values.py)."""


@dataclass(slots=True)
class Spent:
    """Where the time of a request went."""

    seconds: float = 0.0
    """Statements of PostgreSQL."""
    packs_s: float = 0.0
    """Reading packs."""
    queue_s: float = 0.0
    """Waiting for a connection, or for a thread that reads packs."""
    render_s: float = 0.0
    """Writing the response."""


SPENT: ContextVar[Spent | None] = ContextVar("opslog_spent", default=None)
"""The times of the current request; collected if the caller sets it."""


def spent_ms() -> dict[str, float]:
    """Milliseconds of the current request by stage, of those that took time."""
    spent = SPENT.get() or Spent()
    stages = {
        "db": spent.seconds,
        "packs": spent.packs_s,
        "queue": spent.queue_s,
        "render": spent.render_s,
    }
    return {name: round(taken_s * 1000, 2) for name, taken_s in stages.items() if taken_s}


@contextmanager
def spent_on(part: str) -> Iterator[None]:
    """Add the time of the block to a field of `Spent`."""
    begin_s = time.perf_counter()
    try:
        yield
    finally:
        spent = SPENT.get()
        if spent is not None:
            setattr(spent, part, getattr(spent, part) + time.perf_counter() - begin_s)


CONNECTION_WAIT_S = 2.0
"""Maximum wait for a free connection; ingest has its own pool, so queries never block it."""


class QueryTimeout(Unavailable):
    """The query reached its time limit; a narrower one (time range, fields) may succeed."""

    code = "query_timeout"
    title = "The query timed out"
    retry_after_s = 1

    def __init__(self, limit_s: float | None = None) -> None:
        after = "" if limit_s is None else f" after {limit_s:g} s"
        super().__init__(f"query timed out{after}; narrow the time range or filter by a field")


class DatabaseBusy(Unavailable):
    """All connections are in use by other queries."""

    code = "database_busy"
    title = "All database connections are in use"


class DatabaseRefused(OpslogError):
    """PostgreSQL rejected a statement: a bug in opslog; the message is in opslog's own log."""

    code = "database_refused"
    title = "The database rejected a statement"


class LeafGone(Unavailable):
    """A segment was dropped while it was queried; the catalogue must be reloaded."""

    code = "segment_gone"
    title = "A segment was dropped while it was read"
    retry_after_s = 1


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and its arguments; values are always passed as arguments."""

    text: str
    arguments: tuple[object, ...] = ()


Lease: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]
"""A connection for one statement. Raises DatabaseBusy."""


class Session:
    """The remaining time of one query, and the source of its connections."""

    def __init__(self, lease: Lease, limit_s: float, *, keeps_plans: bool = False) -> None:
        self._lease = lease
        self.keeps_plans = keeps_plans
        """Whether statements are planned once, whatever their values."""
        self._limit_s = limit_s
        self._deadline_s = time.monotonic() + limit_s

    @classmethod
    def on(cls, connection: Connection, limit_s: float) -> "Session":
        """A session on a connection of the caller."""
        return cls(lambda: nullcontext(connection), limit_s)

    @property
    def deadline_s(self) -> float:
        """When the query's time is over, on the monotonic clock."""
        return self._deadline_s

    async def rows(self, statement: Statement, *, limit_s: float | None = None) -> list[Row]:
        """All rows of the statement, within the remaining time and at most `limit_s`.

        Raises DatabaseBusy when no connection becomes free in time.
        """
        self._left_s()
        with _translated(self._limit_s):
            async with self._lease() as connection:
                left_s = self._left_s()
                if limit_s is not None:
                    left_s = min(left_s, limit_s)
                arguments = statement.arguments
                with spent_on("seconds"):
                    return [*await connection.fetch(statement.text, *arguments, timeout=left_s)]

    def _left_s(self) -> float:
        """The remaining time. Raises QueryTimeout."""
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise QueryTimeout(self._limit_s)
        return left_s


class _Connections:
    """The connections of a pool, given to callers in turn."""

    def __init__(self, pool: "Pool") -> None:
        size = pool.get_max_size()
        self._pool = pool
        # One caller's slow statements must not hold all connections.
        self._queue = FairQueue(size, reserved=max(size // 4, 1))

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Connection]:
        begin_s = time.monotonic()
        try:
            with spent_on("queue_s"):
                caller = await self._queue.enter(CONNECTION_WAIT_S)
        except TimeoutError as error:
            raise DatabaseBusy("no database connection became free in time") from error
        try:
            left_s = max(begin_s + CONNECTION_WAIT_S - time.monotonic(), 0)
            try:
                connection = await self._pool.acquire(timeout=left_s)
            except TimeoutError as error:
                raise DatabaseBusy("no database connection became free in time") from error
            try:
                yield connection
            finally:
                # Shielded: a cancelled query must still return its connection.
                await asyncio.shield(_release(self._pool, connection))
        finally:
            self._queue.leave(caller)


class Reader:
    """Opens sessions on the pools of the read-only role."""

    def __init__(self, pool: "Pool", *, limit_s: float, lookups: "Pool | None" = None) -> None:
        self._pool = _Connections(pool)
        self._lookups = _Connections(lookups) if lookups is not None else None
        self.limit_s = limit_s
        """Total time limit of one query."""

    @asynccontextmanager
    async def session(self, *, is_lookup: bool = False) -> AsyncIterator[Session]:
        """The time of one query, from now on; it holds a connection during statements only.

        With `is_lookup` its connections are of the pool that keeps plans
        (storage/database/pool.py), if any.
        """
        keeps_plans = is_lookup and self._lookups is not None
        pool = self._lookups if is_lookup and self._lookups is not None else self._pool
        yield Session(pool.lease, self.limit_s, keeps_plans=keeps_plans)

    async def rows(self, statement: Statement) -> list[Row]:
        """All rows of a query of one statement."""
        async with self.session() as session:
            return await session.rows(statement)


async def _release(pool: "Pool", connection: "PoolConnectionProxy[asyncpg.Record]") -> None:
    await pool.release(connection)


class _translated:  # noqa: N801 - reads like a function: `with _translated(...)`
    """Translates asyncpg's exceptions into errors for the client."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, OpslogError):
            return
        if isinstance(error, asyncpg.QueryCanceledError | TimeoutError):
            raise QueryTimeout(self._limit_s) from error
        if isinstance(error, asyncpg.UndefinedTableError):
            raise LeafGone("a segment of this query no longer exists") from error
        if isinstance(error, asyncpg.InvalidRegularExpressionError):
            raise BadInput("the regular expression is not valid", where="q") from error
        if isinstance(error, _UNAVAILABLE):
            raise DatabaseUnavailable("the database does not respond") from error
        if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
            raise DatabaseRefused("a statement of opslog was rejected") from error


_UNAVAILABLE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InternalClientError,  # raised when a connection breaks in the middle of an operation
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


def _stream(row: Row) -> Stream:
    urls = row["resource_schema_url"], row["scope_schema_url"]
    return Stream(row["resource"], row["scope"], *urls)


_STREAMS = """
SELECT stream_id, resource::text AS resource, scope::text AS scope,
       resource_schema_url, scope_schema_url
  FROM log_streams
 WHERE stream_id = ANY($1)
"""


class Streams:
    """Resource and scope by stream id; rows of log_streams never change, so they are cached."""

    def __init__(self, *, most: int = 10_000) -> None:
        self._cache: OrderedDict[int, Stream] = OrderedDict()
        self._most = most

    async def of(self, session: Session, stream_ids: Iterable[int]) -> dict[int, Stream]:
        """The streams with these ids; queries only those that are not cached."""
        wanted = set(stream_ids)
        missing = [stream_id for stream_id in wanted if stream_id not in self._cache]
        fresh: dict[int, Stream] = {}
        if missing:
            rows = await session.rows(Statement(_STREAMS, (missing,)))
            fresh = {row["stream_id"]: _stream(row) for row in rows}
        found = {}
        for stream_id in wanted:
            if stream_id in fresh:
                found[stream_id] = fresh[stream_id]
            elif stream_id in self._cache:
                self._cache.move_to_end(stream_id)
                found[stream_id] = self._cache[stream_id]
            else:
                found[stream_id] = NO_STREAM
        self._store(fresh)
        return found

    def _store(self, fresh: dict[int, Stream]) -> None:
        self._cache.update(fresh)
        while len(self._cache) > self._most:
            self._cache.popitem(last=False)
