"""Scheduler, queue and worker with a real Valkey: each task once, and nothing but tasks."""

import json
import os
import pickle
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest
import redis
from rq import Queue
from rq.job import Job

from config.settings import RetentionSettings
from retention.jobs.queue import TASKS, JobRefused, TaskJob, put, queue_of
from retention.jobs.schedule import TaskScheduler
from retention.jobs.worker import TaskWorker
from tests.integration.retention.processes import process
from tests.integration.retention.test_expiry import ago, closed, states
from tests.support.waiting import until

KEY = TaskScheduler.scheduled_jobs_key


@pytest.fixture
def line(valkey, monkeypatch):
    """A connection, in a time zone where rq-scheduler's own daily jobs would be wrong."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    with redis.Redis.from_url(valkey.url) as connection:
        yield connection
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def scheduler(line) -> TaskScheduler:
    """One that has registered its tasks."""
    made = TaskScheduler(line, RetentionSettings())
    made.register()
    return made


def burst(line, *, quiet=True) -> None:
    """Run the queued jobs in this process."""
    worker = TaskWorker([queue_of(line)], connection=line, job_class=TaskJob)
    worker.log.disabled = quiet
    worker.work(burst=True, logging_level="CRITICAL")


def due(line, name: str, *, ago_s: float = 1.0) -> None:
    """Make a task due."""
    line.zadd(KEY, {name: time.time() - ago_s})


def waiting(line) -> list[str]:
    """Job ids in the queue."""
    return queue_of(line).job_ids


def test_every_task_is_registered_with_its_time(line, scheduler) -> None:
    at = datetime.fromtimestamp(line.zscore(KEY, "prune"), UTC)

    assert {entry.decode() for entry in line.zrange(KEY, 0, -1)} == set(TASKS)
    assert (at.hour, at.minute) == (3, 0)
    assert timedelta(0) < at - datetime.now(UTC) <= timedelta(days=1)


def test_the_time_of_day_is_a_setting(line) -> None:
    TaskScheduler(line, RetentionSettings(at="21:45")).register()

    at = datetime.fromtimestamp(line.zscore(KEY, "prune"), UTC)
    assert (at.hour, at.minute) == (21, 45)


def test_registering_again_changes_nothing(line, scheduler) -> None:
    before = line.zscore(KEY, "prune")

    TaskScheduler(line, RetentionSettings()).register()

    assert line.zcard(KEY) == len(TASKS)
    assert line.zscore(KEY, "prune") == before


def test_nothing_of_a_job_is_pickle(line, scheduler) -> None:
    """rq-scheduler has no setting for it; the Job class makes it JSON."""
    due(line, "prune")
    scheduler.enqueue_jobs()

    for key in line.keys("rq:job:*"):
        data = line.hget(key, "data")
        name, instance, args, kwargs = json.loads(zlib_free(data))
        assert name in {task.function for task in TASKS.values()}
        assert (instance, args, kwargs) == (None, [], {})


def zlib_free(data: bytes) -> bytes:
    """RQ compresses what it keeps."""
    import zlib

    return zlib.decompress(data)


def test_a_due_task_is_queued_once_and_its_next_time_is_set(line, scheduler) -> None:
    due(line, "prune")
    other = TaskScheduler(line, RetentionSettings())

    scheduler.enqueue_jobs()
    other.enqueue_jobs()

    assert len([job for job in waiting(line) if job.startswith("prune-")]) == 1
    assert line.zscore(KEY, "prune") > time.time()


def test_two_schedulers_that_see_the_same_time_queue_it_once(line, scheduler) -> None:
    """Even if one of them was paused beyond its lock."""
    at = time.time() - 5
    for _ in range(2):
        line.zadd(KEY, {"prune": at})
        TaskScheduler(line, RetentionSettings()).enqueue_jobs()

    assert len([job for job in waiting(line) if job.startswith("prune-")]) == 1


def test_a_task_that_waits_is_not_queued_again(line, scheduler) -> None:
    """After a night without a worker, maintenance does not run a thousand times."""
    for round_ in range(5):
        due(line, "tend", ago_s=10 - round_)
        scheduler.enqueue_jobs()

    assert len([job for job in waiting(line) if job.startswith("tend-")]) == 1


@pytest.mark.parametrize("lost", ["the entry", "the job", "everything"])
def test_what_was_lost_is_back_with_the_next_round(line, scheduler, lost: str) -> None:
    if lost == "the entry":
        line.zrem(KEY, "prune")
    elif lost == "the job":
        line.delete("rq:job:prune")
    else:
        line.flushall()

    scheduler.enqueue_jobs()

    assert line.zscore(KEY, "prune") > time.time()
    assert TaskJob.exists("prune", connection=line)


def test_entries_of_others_are_not_carried_out(line, scheduler) -> None:
    Queue("opslog", connection=line).enqueue_call("os.getpid", job_id="theirs")
    line.delete("rq:queue:opslog")
    due(line, "theirs")

    scheduler.enqueue_jobs()

    assert "theirs" not in waiting(line)
    assert line.zscore(KEY, "theirs") is None


def test_pickled_jobs_are_refused(line, tmp_path) -> None:
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    job = Queue("opslog", connection=line).enqueue_call("opslog.jobs.tend", job_id="evil")
    line.hset(job.key, "data", pickle.dumps(("opslog.jobs.tend", None, (Evil(),), {})))

    burst(line)

    assert not (tmp_path / "owned").exists()
    assert TaskJob.fetch("evil", connection=line).is_failed


@pytest.mark.parametrize(
    ("function", "arguments"),
    [("os.mkdir", ["{folder}"]), ("opslog.jobs.tend", ["x"]), ("opslog.jobs._run", []),
     ("shutil.rmtree", ["{folder}"])],
)  # fmt: skip
def test_functions_that_are_not_in_the_list_are_refused(
    line, tmp_path, function: str, arguments: list[str]
) -> None:
    target = tmp_path / "owned"
    filled = [argument.format(folder=target) for argument in arguments]
    queue = queue_of(line)
    queue.enqueue_call(function, args=tuple(filled), job_id="evil")

    burst(line)

    assert not target.exists()
    job = TaskJob.fetch("evil", connection=line)
    assert job.is_failed
    with pytest.raises(JobRefused):
        assert job.func


def test_callbacks_are_not_called(line, tmp_path) -> None:
    queue_of(line).enqueue_call("os.getpid", job_id="evil")
    line.hset("rq:job:evil", "failure_callback_name", "os.abort")
    line.hset("rq:job:evil", "webhooks", '[{"url": "http://127.0.0.1:1/"}]')

    job = TaskJob.fetch("evil", connection=line)

    assert job.failure_callback is None
    assert job.webhooks == []
    burst(line)
    assert TaskJob.fetch("evil", connection=line).is_failed


async def test_a_stored_segment_passes_scheduler_queue_and_worker(
    database, owner_pool, writer_pool, valkey, tmp_path
) -> None:
    """The whole way with real processes: it is packed, and what is due goes."""
    gone = await closed(writer_pool, level=0, at=ago(days=8))
    stays = await closed(writer_pool, level=3, at=ago(days=8))

    with (
        process("worker", database, valkey, tmp_path / "a"),
        process("worker", database, valkey, tmp_path / "b"),
        process("packer", database, valkey, tmp_path / "e"),
        process("packer", database, valkey, tmp_path / "f"),
        process("scheduler", database, valkey, tmp_path / "c"),
        process("scheduler", database, valkey, tmp_path / "d"),
    ):

        async def is_done() -> bool:
            now = await states(owner_pool)
            return now[gone] == "dropped" and now[stays] == "packed"

        await until(is_done, within_s=60)
    runs = await owner_pool.fetch("SELECT asked_by, outcome FROM retention_runs")
    assert [tuple(row) for row in runs] == [("catching up", "done")]


async def test_a_stopping_worker_does_not_wait_for_its_job(  # noqa: PLR0917
    database, owner_pool, writer_pool, valkey, tmp_path, line
) -> None:
    """The job is cancelled, and what it held is free at once."""
    segment = await closed(writer_pool, level=3, at=ago(days=8))
    slow = {"OPSLOG_FAILPOINTS": "pack.before_write=sleep:0.5"}
    with process("packer", database, valkey, tmp_path / "a", **slow) as packer:
        put(line, TASKS["pack"], "now")

        async def is_packing() -> bool:
            return await owner_pool.fetchval(
                "SELECT claimed_until IS NOT NULL FROM segments WHERE segment = $1", segment
            )

        await until(is_packing, within_s=60)
        packer.send_signal(signal.SIGTERM)
        packer.wait(10)
    now = (await states(owner_pool))[segment]
    assert now in {"closed", "packed"}

    await owner_pool.execute("UPDATE segments SET claimed_until = NULL")
    with process("packer", database, valkey, tmp_path / "b"):
        put(line, TASKS["pack"], "again")

        async def is_packed() -> bool:
            return (await states(owner_pool))[segment] == "packed"

        await until(is_packed, within_s=60)


def test_jobs_of_the_plain_class_are_read_as_ours(line) -> None:
    """Whatever class put it there, ours reads it."""
    put(line, TASKS["prune"], "x")

    assert TaskJob.fetch("prune-x", connection=line).func.__name__ == "prune"
    with pytest.raises(Exception):  # noqa: B017 - whatever rq raises for JSON read as pickle
        assert Job.fetch("prune-x", connection=line).func_name
