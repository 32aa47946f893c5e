"""The RQ worker: carries out tasks in a process of their own, one at a time."""

import signal
from collections.abc import Callable
from types import FrameType

import redis
from rq import Worker
from rq.serializers import JSONSerializer

from retention.jobs.queue import TaskJob, queue_of


class TaskWorker(Worker):
    """A worker whose jobs may be interrupted anywhere: on SIGTERM it does not wait for them."""

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """End the running job first: it cancels its statement, and the next run goes on there."""
        if self.horse_pid:
            self.kill_horse(signal.Signals(signum))
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def procline(self, message: str) -> None:
        """Keep the name that the process has (opslog/fork_server.py), for those who look for it."""


def work(redis_url: str, notify_ready: Callable[[], None]) -> None:
    """Carry out jobs until SIGTERM."""
    connection = redis.Redis.from_url(redis_url)
    worker = TaskWorker(
        [queue_of(connection)],
        connection=connection,
        job_class=TaskJob,
        serializer=JSONSerializer,
    )
    notify_ready()
    worker.work(logging_level="WARNING")
