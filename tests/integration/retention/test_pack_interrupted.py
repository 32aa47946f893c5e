"""Packing that cannot go on: a full disk, a stop, another packer at the same files, a strange clock."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from config.settings import Settings, StorageSettings
from retention.packing import pack as packing
from retention.packing.pack import NotClosed, pack_segment
from retention.packing.rewriting import build, packed_source
from retention.packing.run import pack_all
from retention.packing.streams import streams_of
from storage import failpoints
from storage.database.locks import PACK_SPACE
from storage.packs.errors import WritingCancelled
from storage.packs.index.bloom import NAME
from storage.packs.store import PackStore, store_at
from storage.packs.writer import PackWriter
from tests.integration.retention.test_expiry import ago, closed, leaves, states
from tests.support.disks import Ballast, small_disk
from tests.support.keeping import close, keep, keep_many, ns_of
from tests.support.killed_jobs import ROOT, count, proved, tidy
from tests.support.packing import pack, stored
from tests.support.records import make_record
from tests.support.waiting import until

SOON_S = 3.0
"""A cancelled writer has ended: one block takes less than a tenth of a second."""


async def large(pool, rows: int = 20_000) -> int:
    """A closed segment whose packing takes seconds."""
    at = ago(days=1)
    async with pool.acquire() as conn:
        for begin in range(0, rows, 2000):
            records = [
                make_record(
                    created_unix_ns=ns_of(at) + n,
                    message=f"order {n} of many, paid by {n * 7919}",
                    metadata=b'{"attributes": {"n": %d, "text": "%s"}}' % (n, b"x" * (n % 97)),
                )
                for n in range(begin, begin + 2000)
            ]
            await keep(conn, *records, at=at)
        return await close(conn, "info")


def files_of(store: PackStore) -> set[str]:
    """Names of all files of packs of class info."""
    folder = store.directory / "info"
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    return names - {NAME}


async def test_a_disk_that_is_full_at_any_point_leaves_the_segment_as_it_was(
    database, owner_pool, writer_pool, caplog
):
    """A real file system with a little more space each time, until the pack fits."""
    with small_disk(12) as disk:
        chosen = Settings(storage=StorageSettings(packs_dir=disk / "packs"))
        segment = await large(writer_pool, 4000)
        assert (await pack(database, chosen)).segments  # the size that it needs
        store = store_at(chosen.packs_dir)
        expected = await stored(owner_pool, "batch_id", "position", "message", store=store)
        second = await large(writer_pool, 4000)
        ballast, refused, left = Ballast(disk), 0, 0
        while True:
            ballast.fill(leave_bytes=left)
            done = await pack(database, chosen)
            if done.segments:
                break
            ballast.drop()
            refused += 1
            left += 192 * 1024
            assert (done.failed, (await states(owner_pool))[second]) == (1, "closed")
            assert "No space left on device" in done.note
            assert files_of(store) == {f"{segment}.parquet", f"{segment}.idx"}
            assert second in await leaves(owner_pool)
            assert (await pack(database, chosen)).segments == 0  # not at once
            await owner_pool.execute("UPDATE segments SET claimed_until = now() - interval '1 s'")
        ballast.drop()
        rows = await stored(owner_pool, "batch_id", "position", "message", store=store)
    assert refused > 4
    assert "No space left on device" in caplog.text
    assert (await states(owner_pool))[second] == "packed"
    assert set(expected) < set(rows)
    assert len(rows) == len(set(rows)) == 2 * len(expected)


@pytest.mark.parametrize("place", ["pack.before_sync", "pack.before_rename", "pack.between_files"])
@pytest.mark.parametrize("code", ["enospc", "eio"])
async def test_an_error_of_the_disk_at_any_place_leaves_the_segment_as_it_was(
    database, owner_pool, writer_pool, place, code
):
    segment = await closed(writer_pool, at=ago(days=1), rows=60)
    failpoints.configure(f"{place}={code}")
    try:
        done = await pack(database)
    finally:
        failpoints.configure("")

    assert (done.segments, done.failed) == (0, 1)
    assert place in done.note
    assert (await states(owner_pool))[segment] == "closed"
    assert await count(owner_pool) == (60, 60)
    await owner_pool.execute("UPDATE segments SET claimed_until = now() - interval '1 s'")
    assert (await pack(database)).segments == 1
    await tidy(owner_pool)
    await proved(database)


async def begun(store: PackStore, segment: int) -> None:
    """Return when the file of a pack is being written."""
    path = store.directory / "info" / f"{segment}.parquet.tmp"

    async def is_written() -> bool:
        return path.exists() and path.stat().st_size > 0

    await until(is_written)


async def test_a_packer_that_is_cancelled_ends_soon_and_leaves_nothing(
    database, owner_pool, writer_pool, store
):
    segment = await large(writer_pool)
    task = asyncio.create_task(pack_all(database.dsn, Settings(), yields=False))
    await begun(store, segment)

    began_s = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert time.monotonic() - began_s < SOON_S
    assert files_of(store) == set()
    assert (await states(owner_pool))[segment] == "closed"
    assert (await pack(database)).segments == 1  # at once
    assert await count(owner_pool) == (20_000, 20_000)
    await tidy(owner_pool)


async def test_a_second_cancellation_still_waits_for_the_writer(database, writer_pool, store):
    segment = await large(writer_pool)
    task = asyncio.create_task(pack_all(database.dsn, Settings(), yields=False))
    await begun(store, segment)

    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert files_of(store) == set()


PROGRAM = "from opslog.jobs import pack; print(pack(), flush=True)"


@pytest.mark.slow
async def test_sigterm_ends_the_job_of_a_packer_soon(database, owner_pool, writer_pool, store):
    segment = await large(writer_pool)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OPSLOG_DATABASE_URL": database.dsn,
        "OPSLOG_DATA_DIR": str(Path.cwd() / "data"),
        "OPSLOG_STORAGE__PACKS_DIR": str(store.directory),
        "OPSLOG_STORAGE__PACK_MAX_LAG_S": "0",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE
    )
    await begun(store, segment)

    began_s = time.monotonic()
    process.send_signal(signal.SIGTERM)
    said, _ = await asyncio.to_thread(process.communicate, timeout=30)

    assert time.monotonic() - began_s < SOON_S
    assert (process.returncode, said) == (0, b"interrupted\n")
    assert files_of(store) == set()
    assert (await pack(database)).segments == 1
    assert await count(owner_pool) == (20_000, 20_000)


@pytest.mark.parametrize("is_merge", [False, True])
async def test_a_rewrite_that_is_cancelled_ends_soon_and_leaves_nothing(
    database, owner_pool, writer_pool, store, is_merge
):
    segment = await large(writer_pool)
    await pack(database)
    async with owner_pool.acquire() as conn:
        source = await packed_source(conn, store, segment, deadline_s=time.monotonic() + 9)
        dropped = None if is_merge else (lambda _, block: [0])
        task = asyncio.create_task(build(conn, store, [source], dropped))
        await asyncio.sleep(0.3)
        assert not task.done()

        began_s = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert time.monotonic() - began_s < SOON_S
    assert files_of(store) == {f"{segment}.parquet", f"{segment}.idx"}


async def test_a_cancelled_writer_does_nothing_more(tmp_path):
    writer = PackWriter(tmp_path, 1, "info", lambda _: {})
    writer.cancel()

    for work in (lambda: writer.feed(b""), lambda: writer.add([], []), writer.go_on):
        with pytest.raises(WritingCancelled):
            work()
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


async def test_a_packer_without_its_session_cannot_spoil_the_pack_of_the_next_one(
    database, owner_pool, writer_pool, store
):
    """It goes on writing the same files, because it has not noticed yet."""
    segment = await closed(writer_pool, at=ago(days=1), rows=60)
    store.make_folder("info")
    async with owner_pool.acquire() as conn:
        lost = PackWriter(store.directory / "info", segment, "info", streams_of(conn))
    still_open = [
        path.open("wb")
        for path in (
            store.directory / "info" / f"{segment}.{end}.tmp" for end in ("parquet", "idx")
        )
    ]

    assert (await pack(database)).segments == 1
    for file in still_open:
        file.write(b"of the lost one")
        file.close()
    lost.abandon()

    assert await count(owner_pool) == (60, 60)
    await tidy(owner_pool)
    await proved(database)


async def test_who_comes_too_late_leaves_the_pack_of_the_other(
    database, owner_pool, writer_pool, store, monkeypatch
):
    """It has lost its lock without noticing, and finds the segment packed when it commits."""
    segment = await closed(writer_pool, at=ago(days=1), rows=60)
    before = packing._commit

    async def later(connection, *given):
        async with owner_pool.acquire() as other:
            monkeypatch.setattr(packing, "_commit", before)
            await pack_segment(other, store, segment)
        await before(connection, *given)

    monkeypatch.setattr(packing, "_commit", later)
    async with owner_pool.acquire() as conn:
        with pytest.raises(NotClosed, match="was changed"):
            await pack_segment(conn, store, segment)

    assert (await states(owner_pool))[segment] == "packed"
    assert await count(owner_pool) == (60, 60)
    await pack(database)
    await tidy(owner_pool)
    await proved(database)


@pytest.mark.parametrize("name", ["closed_at", "claimed_until"])
async def test_a_clock_that_was_set_back_does_not_delay_packing(
    database, owner_pool, writer_pool, name
):
    """Times that lie a day ahead; also the future of a claim by a packer that was killed."""
    segment = await closed(writer_pool, at=ago(days=1), rows=60)
    await owner_pool.execute(f"UPDATE segments SET {name} = now() + interval '1 day'")

    assert (await pack(database)).segments == 1
    assert (await states(owner_pool))[segment] == "packed"


async def test_a_clock_that_was_set_forward_does_not_take_a_segment_from_its_packer(
    database, owner_pool, writer_pool
):
    """The lease has passed; the lock of the packer still protects the segment."""
    segment = await closed(writer_pool, at=ago(days=1), rows=60)
    await owner_pool.execute("UPDATE segments SET claimed_until = now() - interval '1 day'")
    async with owner_pool.acquire() as other:
        await other.execute("SELECT pg_advisory_lock($1, $2)", PACK_SPACE, segment)
        assert (await pack(database)).segments == 0
        await other.execute("SELECT pg_advisory_unlock_all()")
    assert (await states(owner_pool))[segment] == "closed"
    await owner_pool.execute("UPDATE segments SET claimed_until = NULL")
    assert (await pack(database)).segments == 1


async def test_records_of_any_time_are_packed(database, owner_pool, writer_pool):
    """created_at a day ahead, a day behind, at both ends of what a record can have."""
    now = ns_of(ago(days=0))
    day = 86_400 * 10**9
    times = [now + day, now - day, 0, 2**64 - 1, now]
    async with writer_pool.acquire() as conn:
        await keep(conn, *[make_record(created_unix_ns=at) for at in times])
        await keep(conn, *[make_record(created_unix_ns=at) for at in times], at=ago(days=1))
        await keep_many(conn, 20, at=ago(days=-1))
        await close(conn, "info")
    before = await stored(owner_pool, "created_at", "received_at", "message")

    assert (await pack(database)).segments == 1

    assert await stored(owner_pool, "created_at", "received_at", "message") == before
    await tidy(owner_pool)
    await proved(database)
