"""When each task is due: rq-scheduler with fixed entries and UTC times.

Entries have fixed ids and are restored at every start and in every round, so a lost one (a crash
between removal and re-insertion, a flushed Redis) is back within one interval. Each queued job has
its own id, derived from its due time, so two schedulers queue it only once and an entry never
expires with a job's result. rq-scheduler's cron strings are not used, because it always reads them
in the process's time zone; times of day are computed here, in UTC.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import redis
from rq.job import Job
from rq_scheduler import Scheduler

from config.settings import RetentionSettings
from retention.jobs.queue import QUEUE, TASKS, Task, TaskJob, put, queue_of

ROUND_S = 10
"""Interval between rounds; a standby takes over a dead scheduler after this plus 10 s."""

_log = logging.getLogger(__name__)


def next_time(task: Task, at: str, now: datetime) -> datetime:
    """When a task is next due after `now`; `at` is the time of day (UTC) of daily tasks.

    >>> next_time(TASKS["prune"], "03:00", datetime(2026, 1, 1, 3, tzinfo=UTC)).isoformat()
    '2026-01-02T03:00:00+00:00'
    """
    if task.every_s is not None:
        return now + timedelta(seconds=task.every_s)
    hour, minute = map(int, at.split(":"))
    today = now.astimezone(UTC).replace(hour=hour, minute=minute, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


class TaskScheduler(Scheduler):  # type: ignore[misc]
    """Schedules the closed list of tasks only, under Redis keys of its own."""

    scheduler_key = "opslog:scheduler"
    scheduler_lock_key = "opslog:scheduler:lock"
    scheduled_jobs_key = "opslog:scheduler:tasks"
    redis_scheduler_namespace_prefix = "opslog:scheduler:instance:"

    def __init__(
        self, connection: "redis.Redis", settings: RetentionSettings, round_s: int = ROUND_S
    ) -> None:
        super().__init__(
            queue_name=QUEUE, connection=connection, interval=round_s, job_class=TaskJob
        )
        self._at = settings.at

    def register(self) -> None:
        """Write every task's entry, and remove entries of unknown tasks."""
        for task in TASKS.values():
            self._enter(task)
        for entry in self._entries():
            if entry not in TASKS:
                self.connection.zrem(self.scheduled_jobs_key, entry)

    def enqueue_jobs(self) -> object:
        """One round: restore missing entries, then queue due tasks."""
        known = self._entries()
        for name, task in TASKS.items():
            if name not in known or not TaskJob.exists(name, connection=self.connection):
                self._enter(task)
        return super().enqueue_jobs()

    def enqueue_job(self, job: Job) -> None:
        """Queue a due task, and schedule its next run."""
        task = TASKS.get(job.id)
        if task is None:
            self.connection.zrem(self.scheduled_jobs_key, job.id)
            return
        due = self.connection.zscore(self.scheduled_jobs_key, job.id)
        mark = datetime.fromtimestamp(due or 0, UTC).strftime("%Y%m%dT%H%M%S")
        if put(self.connection, task, mark):
            _log.debug("queued %s for %s", task.name, mark)
        following = next_time(task, self._at, datetime.now(UTC))
        self.connection.zadd(self.scheduled_jobs_key, {job.id: following.timestamp()})

    def get_queue_for_job(self, job: Job) -> object:  # noqa: ARG002 - the library's signature
        """Our queue; the library would import a class by a name read from Redis."""
        return queue_of(self.connection)

    def _entries(self) -> set[str]:
        return {entry.decode() for entry in self.connection.zrange(self.scheduled_jobs_key, 0, -1)}

    def _enter(self, task: Task) -> None:
        now = datetime.now(UTC)
        first = now if task.every_s is not None else next_time(task, self._at, now)
        # -1: an entry never runs as a job, so it must not expire like one.
        self.schedule(
            first.replace(tzinfo=None),
            task.function,
            id=task.name,
            timeout=task.timeout_s,
            result_ttl=-1,
        )


def schedule(
    redis_url: str,
    settings: RetentionSettings,
    notify_ready: Callable[[], None],
    *,
    round_s: int = ROUND_S,
) -> None:
    """Queue tasks when they are due, until SIGTERM."""
    scheduler = TaskScheduler(redis.Redis.from_url(redis_url), settings, round_s)
    scheduler.register()
    notify_ready()
    scheduler.run()
