"""The worker, packer and scheduler processes: rq in the main thread, a monitor in a second one.

rq needs the main thread for its signals and forks a process per job, so health, metrics and the
listener for confirmed purges run in a thread with its own event loop. That thread also runs
retention while Redis is unavailable.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import asyncpg
import redis.asyncio

from config.process import logs
from config.process.health import OK, Check, Finding, State
from config.process.machine import disable_memory_dumps
from config.settings import Settings
from opslog.installation.installation import Installation
from opslog.installation.redis_address import check_redis
from opslog.wiring.health import serving
from opslog.wiring.packs import check_of_packs
from retention.jobs.maintain import maintain
from retention.jobs.queue import PACK_QUEUE, TASKS, put
from retention.reporting import metrics
from retention.reporting.status import status_of
from storage import failpoints
from storage.database.dedicated import DedicatedConnection, pause
from storage.database.pool import DatabaseRole
from storage.ledger.accounting.checks import check_when_due, newest_check
from storage.ledger.metrics import note_check

_log = logging.getLogger(__name__)

POLL_S = 10.0
FALLBACK_AFTER_S = 300.0
"""After Redis has been unavailable this long, maintenance runs without the queue."""
CHANNEL = "opslog_retention"
_START_PATIENCE_S = 20.0
_END_PATIENCE_S = 10.0
_REDIS_POLL_S = 0.5


class Monitor:
    """The second thread of the worker: health checks, metrics, notifications, fallback."""

    def __init__(self, settings: Settings, installation: Installation, redis_url: str) -> None:
        self._settings = settings
        self._dsn = installation.database_dsn()
        self._spools = installation.spool_root
        self._redis = redis.asyncio.Redis.from_url(redis_url)
        self._redis_url = redis_url
        self._dedicated = DedicatedConnection(
            self._dsn, DatabaseRole.READER, name="opslog-worker", task="watching retention"
        )
        self._problems: list[str] = []
        self._ledger_problem = ""
        self._redis_away_since: float | None = None
        self._wake = asyncio.Event()

    def checks(self) -> dict[str, Check]:
        """The checks of /readyz of this process."""
        return {
            "database": self._check_database,
            "queue": self._check_queue,
            "retention": self._check_retention,
            "accounting": self._check_balance,
            "packs": check_of_packs(self._dsn, self._settings),
        }

    async def run(self) -> None:
        """Poll until cancelled."""
        await asyncio.gather(self._dedicated.run(self._watch), self._watch_redis())

    async def _watch(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        await connection.add_listener(CHANNEL, self._on_notification)
        connection.add_termination_listener(lambda _: self._wake.set())
        while True:
            self._wake.clear()
            found = await status_of(connection, self._settings, datetime.now(UTC))
            self._problems = found.problems
            metrics.update(found)
            await self._report_balance(connection)
            self._dedicated.succeeded()
            await pause(self._wake, POLL_S)

    async def _report_balance(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        last = await newest_check(connection)
        if last is not None:
            note_check(last.began_at.timestamp(), len(last.differences))
            self._ledger_problem = last.problem(datetime.now(UTC))

    def _on_notification(self, *_: object) -> None:
        """Queue maintenance at once: a purge was confirmed."""
        mark = f"order-{time.time_ns()}"
        asyncio.get_running_loop().run_in_executor(None, self._put, mark)

    def _put(self, mark: str) -> None:
        with (
            suppress(redis.RedisError),  # the next scheduled run will do it
            redis.Redis.from_url(self._redis_url) as line,
        ):
            put(line, TASKS["tend"], mark)

    async def _watch_redis(self) -> None:
        """Detect that Redis is unavailable, and run maintenance without it if that lasts."""
        while True:
            try:
                await self._redis.ping()
                self._redis_away_since = None
            except (redis.RedisError, OSError):
                self._redis_away_since = self._redis_away_since or time.monotonic()
                if time.monotonic() - self._redis_away_since > FALLBACK_AFTER_S:
                    await self._maintain_without_redis()
            await asyncio.sleep(POLL_S)

    async def _maintain_without_redis(self) -> None:
        try:
            await maintain(self._dsn, self._settings, packs=True)
            await check_when_due(self._dsn, self._spools, self._settings.packs_dir)
        except (
            OSError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
        ) as error:
            _log.warning("maintenance failed: %s: %s", type(error).__name__, error)

    async def _check_database(self) -> Finding:
        problem = self._dedicated.problem
        return Finding(State.DEGRADED, problem) if problem else OK

    async def _check_queue(self) -> Finding:
        if self._redis_away_since is None:
            return OK
        away_s = time.monotonic() - self._redis_away_since
        return Finding(
            State.DEGRADED,
            f"Redis has been unavailable for {away_s:.0f} s; after {FALLBACK_AFTER_S:.0f} s"
            " retention runs without it",
        )

    async def _check_retention(self) -> Finding:
        return Finding(State.DEGRADED, "; ".join(self._problems)) if self._problems else OK

    async def _check_balance(self) -> Finding:
        problem = self._ledger_problem
        return Finding(State.DEGRADED, problem) if problem else OK


def run_worker(
    settings: Settings, health_port: int | None, notify_ready: Callable[[], None]
) -> None:
    """Run the RQ worker until stopped."""
    from retention.jobs.worker import work  # noqa: PLC0415 - rq is slow to import; receivers do not need it

    installation = _begin(settings)
    url = installation.redis_url()

    def monitor() -> tuple[Mapping[str, Check], Awaitable[None]]:
        found = Monitor(settings, installation, url)
        return found.checks(), found.run()

    with _background(installation, "worker", health_port, monitor):
        _await_redis(url, notify_ready)
        work(url, notify_ready)


def run_packer(
    settings: Settings, name: str, health_port: int | None, notify_ready: Callable[[], None]
) -> None:
    """Run a packer until stopped: an RQ worker with a queue of its own."""
    from retention.jobs.worker import work  # noqa: PLC0415 - as above

    installation = _begin(settings)
    url = installation.redis_url()
    checks = {"packs": check_of_packs(installation.database_dsn(), settings)}

    def monitor() -> tuple[Mapping[str, Check], Awaitable[None]]:
        return checks, asyncio.sleep(float("inf"))

    with _background(installation, name, health_port, monitor):
        _await_redis(url, notify_ready)
        work(url, notify_ready, queue=PACK_QUEUE)


def run_scheduler(
    settings: Settings, health_port: int | None, notify_ready: Callable[[], None]
) -> None:
    """Run the scheduler until stopped."""
    from retention.jobs.schedule import schedule  # noqa: PLC0415 - as above

    installation = _begin(settings)

    def monitor() -> tuple[Mapping[str, Check], Awaitable[None]]:
        return {}, asyncio.sleep(float("inf"))

    with _background(installation, "scheduler", health_port, monitor):
        _await_redis(installation.redis_url(), notify_ready)
        schedule(installation.redis_url(), settings.retention, notify_ready)


def _await_redis(url: str, notify_ready: Callable[[], None]) -> None:
    """Return when Redis responds. Until then this process counts as ready and waits.

    A missing queue must neither prevent the start nor cause a restart loop.
    """
    is_reported = False
    while True:
        try:
            with redis.Redis.from_url(url) as line:
                line.ping()
        except redis.BusyLoadingError:
            pass  # it is loading its file
        except redis.ConnectionError as error:
            if isinstance(error, redis.AuthenticationError):
                raise
            if not is_reported:
                _log.warning("waiting for Redis, which does not respond: %s", error)
                notify_ready()
                is_reported = True
        else:
            return
        time.sleep(_REDIS_POLL_S)


def _begin(settings: Settings) -> Installation:
    disable_memory_dumps()
    check_redis(settings)
    logs.set_up(settings.log)
    failpoints.configure(os.environ.get("OPSLOG_FAILPOINTS", ""))
    installation = Installation(settings)
    installation.make_folders()
    return installation


@contextmanager
def _background(
    installation: Installation,
    name: str,
    port: int | None,
    monitor: Callable[[], tuple[Mapping[str, Check], Awaitable[None]]],
) -> Iterator[None]:
    """Serve health and run what `monitor` returns, in a thread within the block."""
    loop = asyncio.new_event_loop()
    listening = threading.Event()
    stop = asyncio.Event()

    async def run() -> None:
        checks, work = monitor()
        async with serving(installation, name, checks, port):
            listening.set()
            task = asyncio.ensure_future(work)
            await stop.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    thread = threading.Thread(
        target=lambda: loop.run_until_complete(run()), name="monitor", daemon=True
    )
    thread.start()
    listening.wait(_START_PATIENCE_S)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(_END_PATIENCE_S)
