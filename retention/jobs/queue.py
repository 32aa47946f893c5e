"""The queue between scheduler and worker: JSON instead of pickle, and a closed list of jobs.

Anyone who can write to Redis can enqueue jobs, so a job may only name one of TASKS: no arguments,
no callbacks, no webhooks, no imports by a name read from Redis. In addition, Redis is on a private
socket or behind a password.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

QUEUE = "opslog"
PACK_QUEUE = "opslog-pack"
"""Of the packers, so that packing and other tasks do not wait for each other."""
DAY_S = 86400


@dataclass(frozen=True, slots=True)
class Task:
    """A recurring job."""

    name: str
    function: str
    """Import path for the worker; stored in Redis, so it must stay the same across releases."""
    every_s: int | None
    """Interval; None: once a day at retention.at."""
    timeout_s: int
    queue: str = QUEUE


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("prune", "opslog.jobs.prune", None, 3600),
        Task("tend", "opslog.jobs.tend", 30, 7200),
        Task("merge", "opslog.jobs.merge", 6 * 3600, 7200),
        Task("check", "opslog.jobs.check", 3600, 7200),
        Task("pack", "opslog.jobs.pack", 10, 7200, PACK_QUEUE),
    )
}
_FUNCTIONS = frozenset(task.function for task in TASKS.values())


class JobRefused(Exception):
    """A job in the queue is not on the list of tasks."""


class TaskJob(Job):
    """A job of the closed list; always JSON, whatever serializer a library passes."""

    def __init__(
        self,
        id: str | None = None,  # noqa: A002 - the library's name
        connection: Any = None,
        serializer: object = None,  # noqa: ARG002 - rq-scheduler passes none, which means pickle
    ) -> None:
        super().__init__(id, connection=connection, serializer=JSONSerializer)

    def restore(self, raw_data: Any) -> None:
        """Load it from Redis, ignoring callbacks and webhooks."""
        forbidden = ("success_callback_name", "failure_callback_name", "stopped_callback_name")
        allowed = {
            name: value
            for name, value in raw_data.items()
            if name.decode() not in {*forbidden, "webhooks"}
        }
        super().restore(allowed)

    @property
    def func(self) -> Callable[[], object]:
        """The function of the task. Raises JobRefused for anything else."""
        if self.func_name not in _FUNCTIONS or self.instance or self.args or self.kwargs:
            raise JobRefused(f"job {self.id} is not one of {', '.join(sorted(_FUNCTIONS))}")
        function: Callable[[], object] = super().func
        return function


def queue_of(connection: "redis.Redis", name: str = QUEUE) -> Queue:
    """A queue, for scheduler, worker and packers alike."""
    return Queue(name, connection=connection, job_class=TaskJob, serializer=JSONSerializer)


def put(connection: "redis.Redis", task: Task, mark: str) -> bool:
    """Queue a task once per `mark`; False if it was already queued for it.

    A task is not queued while the same task is already waiting.
    """
    job_id = f"{task.name}-{mark}"
    queue = queue_of(connection, task.queue)
    if any(waiting.startswith(f"{task.name}-") for waiting in queue.job_ids):
        return False
    if not connection.set(f"opslog:claimed:{job_id}", 1, nx=True, ex=2 * DAY_S):
        return False
    queue.enqueue_call(
        task.function,
        job_id=job_id,
        timeout=task.timeout_s,
        result_ttl=DAY_S,
        failure_ttl=7 * DAY_S,
    )
    return True
