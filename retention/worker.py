"""The RQ worker and the scheduler: who carries out jobs, and who puts them into the queue."""

import logging
from collections.abc import Callable

import redis
from rq import Queue, Worker
from rq_scheduler import Scheduler

QUEUE = "opslog"
SCHEDULE_EVERY_S = 30

_log = logging.getLogger(__name__)


def work(redis_url: str, say_ready: Callable[[], None]) -> None:
    """Carry out jobs until SIGTERM; a job that runs then is finished first."""
    connection = redis.Redis.from_url(redis_url)
    worker = Worker([Queue(QUEUE, connection=connection)], connection=connection)
    say_ready()
    worker.work(logging_level="WARNING")


def schedule(redis_url: str, say_ready: Callable[[], None]) -> None:
    """Put jobs into the queue when their time comes, until SIGTERM."""
    connection = redis.Redis.from_url(redis_url)
    scheduler = Scheduler(queue_name=QUEUE, connection=connection, interval=SCHEDULE_EVERY_S)
    say_ready()
    scheduler.run()
