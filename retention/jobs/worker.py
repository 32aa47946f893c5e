"""The RQ worker: runs tasks one at a time, each in its own process."""

import signal
from collections.abc import Callable
from types import FrameType

import redis
from rq import Worker
from rq.serializers import JSONSerializer

from retention.jobs.queue import QUEUE, TaskJob, queue_of


class TaskWorker(Worker):
    """A worker whose jobs can be interrupted at any point: SIGTERM does not wait for them."""

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Stop the running job first: it cancels its statement, and the next run resumes."""
        if self.horse_pid:
            self.kill_horse(signal.Signals(signum))
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def procline(self, message: str) -> None:
        """Keep the process title set by opslog/fork_server.py, so that tools find the process."""


def work(redis_url: str, notify_ready: Callable[[], None], *, queue: str = QUEUE) -> None:
    """Run jobs of a queue until SIGTERM."""
    connection = redis.Redis.from_url(redis_url)
    worker = TaskWorker(
        [queue_of(connection, queue)],
        connection=connection,
        job_class=TaskJob,
        serializer=JSONSerializer,
    )
    notify_ready()
    worker.work(logging_level="WARNING")
