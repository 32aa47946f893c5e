"""When each task is due: rq-scheduler with its habits tamed.

Entries have fixed ids and are there again at every start and every round, so a lost one (a crash
between its removal and its return, a flushed Redis) is back within one interval. What is put into
the queue is a job of its own, named after its time, so that two schedulers put it once and an
entry never dies with the result of a job. Its cron strings, which it reads in the process's time
zone whatever it is told, are not used: times of day are ours, in UTC.
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
"""Pause between looks; a scheduler that died is followed by another one after this and 10 s."""

_log = logging.getLogger(__name__)


def next_time(task: Task, at: str, now: datetime) -> datetime:
    """When a task is due after `now`; `at` is the time of day (UTC) of those that are daily.

    >>> next_time(TASKS["prune"], "03:00", datetime(2026, 1, 1, 3, tzinfo=UTC)).isoformat()
    '2026-01-02T03:00:00+00:00'
    """
    if task.every_s is not None:
        return now + timedelta(seconds=task.every_s)
    hour, minute = map(int, at.split(":"))
    today = now.astimezone(UTC).replace(hour=hour, minute=minute, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


class TaskScheduler(Scheduler):  # type: ignore[misc]
    """Knows the closed list of tasks and nothing else; its keys are not those of other people's."""

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
        """Put every task's entry where it belongs, in the place of what was there."""
        for task in TASKS.values():
            self._enter(task)
        for entry in self._entries():
            if entry not in TASKS:
                self.connection.zrem(self.scheduled_jobs_key, entry)

    def enqueue_jobs(self) -> object:
        """One round: bring back what is missing, then queue what is due."""
        known = self._entries()
        for name, task in TASKS.items():
            if name not in known or not TaskJob.exists(name, connection=self.connection):
                self._enter(task)
        return super().enqueue_jobs()

    def enqueue_job(self, job: Job) -> None:
        """Queue a due task, and set its next time."""
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
        """Ours: the library would import a class by a name that stands in Redis."""
        return queue_of(self.connection)

    def _entries(self) -> set[str]:
        return {entry.decode() for entry in self.connection.zrange(self.scheduled_jobs_key, 0, -1)}

    def _enter(self, task: Task) -> None:
        now = datetime.now(UTC)
        first = now if task.every_s is not None else next_time(task, self._at, now)
        # -1: an entry is no job that runs; it must not expire like one.
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
    """Put tasks into the queue when their time comes, until SIGTERM."""
    scheduler = TaskScheduler(redis.Redis.from_url(redis_url), settings, round_s)
    scheduler.register()
    notify_ready()
    scheduler.run()
