"""The writer on a real PostgreSQL: every frame is stored once, counted, and read back as sent."""

import asyncio
import hashlib
import io
import json
import os
import random
from dataclasses import replace

import asyncpg
import pytest

from config.settings import SpoolSettings, WriterSettings
from storage import failpoints
from storage.record.canonical import canonical
from storage.record.columns import COPY_COLUMNS
from storage.record.copy_binary import HEADER, leaf_of
from storage.spool.batch_ids import BatchIds
from storage.spool.files import file_path, quarantined_in
from storage.spool.index import Index, index_path
from storage.spool.spool import Spool
from storage.writing import writer as writer_module
from storage.writing.writer import Writer
from tests.support.read_back import read_back
from tests.support.records import (
    STREAM,
    as_version_1,
    full_record,
    make_frame,
    make_record,
    rows_with_nonces,
)

SPOOL = SpoolSettings(min_free_bytes=0)


@pytest.fixture(autouse=True)
def _no_failpoints():
    yield
    failpoints.configure("")


class Store:
    """A spool, its writer and the database behind it."""

    def __init__(self, spool, writer, pool):
        self.spool, self.writer, self.pool = spool, writer, pool
        self.noted: list[tuple[str, int, int, int]] = []

    async def send(self, *frames):
        for frame in frames:
            await self.spool.append(frame)

    async def drained(self, timeout=20):
        async with asyncio.timeout(timeout):
            while not self.spool.is_drained():
                await asyncio.sleep(0.01)

    async def value(self, sql, *arguments):
        return await self.pool.fetchval(sql, *arguments)


@pytest.fixture
async def store(tmp_path, writer_pool):
    made = await make_store(tmp_path / "receiver-0", writer_pool)
    task = asyncio.create_task(made.writer.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await made.spool.close()


async def make_store(folder, pool, **settings) -> Store:
    spool = await Spool.open(folder, SPOOL, 2**20)
    options = WriterSettings(**({"linger_ms": 0} | settings))
    noted = []
    writer = Writer(
        pool, spool, options, duplicate_window_s=3600, note=lambda *row: noted.append(row)
    )
    made = Store(spool, writer, pool)
    made.noted = noted
    return made


async def test_rows_are_read_back_as_the_bytes_that_were_sent(store):
    frame = make_frame([full_record(seed) for seed in range(300)])

    await store.send(frame)
    await store.drained()

    for part in frame.parts:
        segment = await store.value(
            "SELECT segment FROM ingest_parts WHERE batch_id = $1 AND class = $2",
            frame.batch_id,
            part.class_name,
        )
        out = io.BytesIO()
        async with store.pool.acquire() as connection:
            await connection.copy_from_query(
                f"SELECT {', '.join(COPY_COLUMNS)} FROM system_logs_s{segment}"
                f" WHERE batch_id = {frame.batch_id} ORDER BY position",
                output=out,
                format="binary",
            )
        assert out.getvalue()[len(HEADER) : -2] == part.copy_bytes
        rows = rows_with_nonces(frame, part)
        leaves = b"".join(hashlib.sha256(b"\0" + row).digest() for row in rows)
        assert leaves == part.leaves


async def test_random_metadata_is_printed_by_postgresql_as_encoded(store):
    chance = random.Random(11)
    documents = [canonical(_random_value(chance, 4)) for _ in range(2000)]
    records = [make_record(metadata=b'{"attributes": ' + text + b"}") for text in documents]

    await store.send(make_frame(records))
    await store.drained()

    stored = await store.pool.fetch("SELECT metadata::text FROM system_logs ORDER BY position")
    assert [row[0].encode() for row in stored] == [record.metadata for record in records]


def _random_value(chance, depth):
    kind = chance.randrange(9 if depth else 7)
    if kind == 0:
        return chance.choice([None, True, False])
    if kind == 1:
        return chance.choice(
            [0, -1, 2**63 - 1, -(2**63), 2**64 - 1, 10**30, chance.randrange(10**9)]
        )
    if kind == 2:
        return chance.choice(
            [5e-324, 1.8e308 / 2, -0.0, 1e16, 1e-7, float("nan"), float("-inf"), chance.random()]
        )
    if kind in {3, 4}:
        return _random_text(chance)
    if kind == 5:
        return chance.randbytes(chance.randrange(6))
    if kind == 6:
        return chance.uniform(-1e20, 1e20)
    if kind == 7:
        return [_random_value(chance, depth - 1) for _ in range(chance.randrange(4))]
    return {
        _random_text(chance): _random_value(chance, depth - 1) for _ in range(chance.randrange(5))
    }


def _random_text(chance):
    pools = ["abc", 'a"\\/b', "\x01\x1f\x7f\b\f\n\r\t", "éü☃", "\uffff\u2028\U0001f600", "\x80\x9f"]
    return "".join(chance.choice(chance.choice(pools)) for _ in range(chance.randrange(8)))


async def test_counters_match_the_rows(store):
    frames = [
        make_frame(
            [make_record(level=n % 5) for n in range(40)],
            received=43,
            rejected={"below_min_level": 3},
        ),
        make_frame(
            [make_record(kind="span"), make_record(kind="span"), make_record()],
            received=2,
            derived=1,
        ),
        make_frame([], received=4, rejected={"bad_span_id": 4}),
    ]

    await store.send(*frames)
    await store.drained()

    assert await store.value("SELECT count(*) FROM system_logs") == 43
    assert await store.value("SELECT sum(rows) FROM ingest_parts") == 43
    assert await store.value("SELECT sum(rows) FROM log_counts") == 43
    assert await store.value("SELECT sum(rows) FROM log_counts_hourly") == 43
    assert await store.value("SELECT count(*) FROM log_streams") == 1
    unbalanced = await store.value(
        """SELECT count(*) FROM ingest_batches
            WHERE received + derived <> stored + duplicate + dead
                  + coalesce((SELECT sum(v::int) FROM jsonb_each_text(rejected) AS r (k, v)), 0)"""
    )
    assert unbalanced == 0
    assert sum(rows for _, _, rows, _ in store.noted) == 43


async def test_a_duplicate_request_is_stored_once_and_counted(store):
    ids = BatchIds(1)
    records = [make_record() for _ in range(5)]
    first = make_frame(records, ids=ids, request_hash=b"h" * 32)
    again = make_frame(records, ids=ids, request_hash=b"h" * 32)
    other = make_frame(records, ids=ids, request_hash=b"i" * 32)

    await store.send(first)
    await store.drained()
    await store.send(again, other)
    await store.drained()

    assert await store.value("SELECT count(*) FROM system_logs") == 10
    row = await store.pool.fetchrow(
        "SELECT * FROM ingest_batches WHERE batch_id = $1", again.batch_id
    )
    assert (row["duplicate_of"], row["duplicate"], row["stored"]) == (first.batch_id, 5, 0)
    assert store.writer.state.duplicates == 5


async def test_two_copies_in_one_transaction_are_stored_once(store):
    ids = BatchIds(1)
    copies = [make_frame([make_record()], ids=ids, request_hash=b"h" * 32) for _ in range(4)]

    await asyncio.gather(*[store.send(frame) for frame in copies])
    await store.drained()

    assert await store.value("SELECT count(*) FROM system_logs") == 1
    assert await store.value("SELECT sum(duplicate) FROM ingest_batches") == 3


async def test_after_the_window_the_same_request_is_stored_again(store):
    ids = BatchIds(1)
    await store.send(make_frame([make_record()], ids=ids, request_hash=b"h" * 32))
    await store.drained()
    store.writer._window_s = 1
    await asyncio.sleep(1.1)

    await store.send(make_frame([make_record()], ids=ids, request_hash=b"h" * 32))
    await store.drained()

    assert await store.value("SELECT count(*) FROM system_logs") == 2


@pytest.mark.parametrize("late_s", [3 * 3600, 86_400, -86_400])
async def test_duplicates_are_detected_whatever_the_receiver_s_clock(store, late_s):
    """Frames that waited in a spool for longer than the window, and clocks that jump by a day."""
    ids = BatchIds(1)
    first = make_frame([make_record()], ids=ids, request_hash=b"h" * 32)
    again = make_frame([make_record()], ids=ids, request_hash=b"h" * 32)
    then = first.received_unix_ns - late_s * 10**9
    await store.send(replace(first, received_unix_ns=then))
    await store.drained()
    store.writer._forgotten_at = float("-inf")
    await store.send(make_frame([make_record()], ids=ids, request_hash=b"o" * 32))
    await store.drained()

    await store.send(again)
    await store.drained()

    assert await store.value("SELECT count(*) FROM system_logs") == 2
    assert await store.value("SELECT sum(duplicate) FROM ingest_batches") == 1


async def test_a_frame_replayed_after_a_crash_is_detected(tmp_path, writer_pool):
    store = await make_store(tmp_path / "receiver-0", writer_pool)
    await store.writer.register()
    frame = make_frame([make_record(), make_record()])
    await store.send(frame)
    failpoints.configure("writer.after_commit=raise@1")
    with pytest.raises(failpoints.FailpointHit):
        await store.writer._until_stored(await store.spool.take(10, 2**20, 0))
    store.spool._lock.release()

    again = await make_store(tmp_path / "receiver-0", writer_pool)
    task = asyncio.create_task(again.writer.run())
    await again.drained()

    assert await again.value("SELECT count(*) FROM system_logs") == 2
    assert again.writer.state.replayed == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await again.spool.close()


@pytest.mark.parametrize("place", ["writer.before_copy", "writer.mid_copy", "writer.before_commit"])
async def test_a_failed_transaction_is_retried_as_a_whole(store, place, monkeypatch):
    monkeypatch.setattr("storage.writing.copying._CHUNK_BYTES", 100)
    failpoints.configure(f"{place}=raise@1")

    await store.send(make_frame([make_record(level=n % 5) for n in range(50)]))
    await store.drained()

    assert await store.value("SELECT count(*) FROM system_logs") == 50
    assert await store.value("SELECT sum(rows) FROM ingest_parts") == 50


async def test_rejected_rows_become_dead_letters_and_the_rest_is_stored(store):
    bad = [
        make_record(metadata=b'{"attributes": "no\\u0000pe"}'),
        make_record(source_module="x" * 51),
    ]
    records = [make_record(message=str(n)) for n in range(30)]
    records[7:7] = bad[:1]
    records[20:20] = bad[1:]
    frame = make_frame(records)
    neighbour = make_frame([make_record()])

    await store.send(frame, neighbour)
    await store.drained()

    assert await store.value("SELECT count(*) FROM system_logs") == 31
    dead = await store.pool.fetch("SELECT * FROM dead_letters ORDER BY position")
    assert [(row["position"], row["sqlstate"]) for row in dead] == [(7, "22P05"), (20, "22001")]
    assert dead[0]["row_bytes"] == rows_with_nonces(frame, frame.parts[0])[7]
    assert "no" not in dead[0]["reason"].split()
    assert await store.value("SELECT sum(rows) FROM log_counts") == 31
    assert (
        await store.value("SELECT dead FROM ingest_batches WHERE batch_id = $1", frame.batch_id)
        == 2
    )
    assert store.writer.state.dead == 2


@pytest.mark.parametrize("version", [1, 2])
async def test_the_digest_of_a_part_covers_the_rows_that_were_stored(store, owner_pool, version):
    frame = make_frame([make_record(), make_record(source_module="x" * 51), make_record()])
    await store.send(frame if version == 2 else as_version_1(frame))
    await store.drained()

    row = await owner_pool.fetchrow("SELECT * FROM ingest_parts")
    async with owner_pool.acquire() as connection:
        part = (await read_back(connection, row["segment"]))[frame.batch_id]

    assert (row["rows"], part.rows, part.version) == (2, 2, version)
    assert row["digest"] == part.digest("info")
    leaf = await store.value("SELECT leaf FROM dead_letters")
    assert leaf == frame.parts[0].leaves[32:64]
    assert leaf == leaf_of(await store.value("SELECT row_bytes FROM dead_letters"))


async def test_a_frame_with_only_rejected_rows_is_accounted_for(store):
    await store.send(make_frame([make_record(source_module="x" * 51)]))
    await store.drained()

    assert await store.value("SELECT count(*) FROM dead_letters") == 1
    assert await store.value("SELECT stored + dead FROM ingest_batches") == 1


async def test_a_batch_id_of_another_spool_is_never_treated_as_a_replay(store, monkeypatch):
    monkeypatch.setattr(writer_module, "_FIRST_WAIT_S", 0.01)
    frame = make_frame([make_record()])
    await store.pool.execute(
        """INSERT INTO ingest_batches VALUES ($1, now(), now(), 999, 0, 1, 'logs', '', NULL, 1, 0, 1, 0, 0, '{}')""",
        frame.batch_id,
    )

    await store.send(frame)
    async with asyncio.timeout(5):
        while not store.writer.state.away_reason:
            await asyncio.sleep(0.01)

    assert "BatchIdTaken" in store.writer.state.away_reason
    assert store.spool.state.waiting_frames == 1


async def test_old_request_hashes_are_deleted(store):
    await store.pool.execute(
        "INSERT INTO ingest_requests SELECT sha256(n::text::bytea), n, now() - interval '2 hours'"
        " FROM generate_series(1, 50) AS n"
    )
    await store.send(make_frame([make_record()], request_hash=os.urandom(32)))
    await store.drained()

    async with asyncio.timeout(5):
        while await store.value("SELECT count(*) FROM ingest_requests") != 1:
            await asyncio.sleep(0.05)


async def test_two_writers_store_the_same_requests_once(tmp_path, writer_pool):
    stores = [
        await make_store(tmp_path / f"receiver-{n}", writer_pool, connections=2) for n in range(2)
    ]
    tasks = [asyncio.create_task(store.writer.run()) for store in stores]
    for store in stores:
        await store.writer.register()
    ids = [BatchIds(store.spool.identity.spool_id) for store in stores]
    hashes = [os.urandom(32) for _ in range(60)]

    async def send(place):
        order = random.Random(place).sample(hashes, len(hashes))
        for chosen in order:
            records = [make_record(level=n % 5) for n in range(10)]
            await stores[place].send(make_frame(records, ids=ids[place], request_hash=chosen))

    await asyncio.gather(send(0), send(1))
    for store in stores:
        await store.drained()

    assert await stores[0].value("SELECT count(*) FROM system_logs") == 600
    assert await stores[0].value("SELECT sum(duplicate) FROM ingest_batches") == 600
    assert sum(store.writer.state.duplicates for store in stores) == 600
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for store in stores:
        await store.spool.close()


async def test_concurrent_registrations_assign_one_number(tmp_path, writer_pool):
    store = await make_store(tmp_path / "receiver-0", writer_pool)

    numbers = await asyncio.gather(*[store.writer.register() for _ in range(4)])

    assert None not in numbers
    assert len(set(numbers)) == 1
    assert await store.value("SELECT count(*) FROM spools") == 1
    await store.spool.close()


async def test_a_number_that_cannot_be_saved_is_used_until_the_next_start(
    tmp_path, writer_pool, monkeypatch
):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    store = await make_store(tmp_path / "receiver-0", writer_pool)
    with monkeypatch.context() as patched:
        patched.setattr(writer_module, "save_identity", refuse)
        number = await store.writer.register()
    await store.spool.close()

    again = await make_store(tmp_path / "receiver-0", writer_pool)

    assert again.spool.identity.spool_id is None
    assert await again.writer.register() == number
    await again.spool.close()


async def test_streams_are_stored_with_their_definition(store):
    await store.send(make_frame([make_record()]))
    await store.drained()

    row = await store.pool.fetchrow("SELECT *, resource::text AS text FROM log_streams")
    assert (row["stream_id"], row["digest"], row["text"]) == (
        STREAM.id,
        STREAM.digest,
        STREAM.resource.decode(),
    )


async def test_more_streams_than_are_cached_are_stored(store, monkeypatch):
    monkeypatch.setattr(writer_module, "_STREAMS_REMEMBERED", 1)
    streams = [replace(STREAM, id=number) for number in range(1, 5)]

    for stream in streams:
        record = make_record(stream_id=stream.id)
        await store.send(make_frame([record], stream=stream))
        await store.drained()

    assert await store.value("SELECT count(*) FROM log_streams") == len(streams)


@pytest.mark.parametrize("stored", [0, 2, 5])
async def test_lost_frames_of_a_missing_file_are_entered_in_the_ledger(
    tmp_path, writer_pool, stored, monkeypatch
):
    """The database is unavailable at first, twice for the same reason: it is retried."""
    folder = tmp_path / "receiver-0"
    before = await make_store(folder, writer_pool)
    frames = [make_frame([make_record()] * 3) for _ in range(5)]
    working = asyncio.create_task(before.writer.run())
    await before.send(*frames[:stored])
    await before.drained()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    gone = file_path(folder, 77)
    index = Index()
    for frame in frames:
        index.add(frame.batch_id, frame.rows)
    index.write(gone)
    await before.spool.close()

    refusals = 4
    whole = writer_module.enter

    async def refuse(*arguments):
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise ConnectionRefusedError("nobody is there")
        await whole(*arguments)

    monkeypatch.setattr(writer_module, "enter", refuse)
    monkeypatch.setattr(writer_module, "_FIRST_WAIT_S", 0.001)
    after = await make_store(folder, writer_pool)
    (missing,) = after.spool.missing
    assert missing.rows_by_batch == {frame.batch_id: 3 for frame in frames}
    task = asyncio.create_task(after.writer.run())
    await after.send(make_frame([make_record()]))
    await after.drained()

    said = [
        json.loads(row["body"])
        for row in await writer_pool.fetch("SELECT body FROM ledger_in WHERE kind = 'corrupt'")
    ]
    lost = 5 - stored
    assert [body["rows"] for body in said] == ([3 * lost] if lost else [])
    assert all("0000000077.spool of spool receiver-0" in body["what"] for body in said)
    assert all(damaged.is_entered for damaged in quarantined_in(folder))
    assert not index_path(gone).exists()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await after.spool.close()


async def test_unique_violations_are_not_data_errors():
    from storage.writing.dead_letters import is_data_error

    assert not is_data_error(asyncpg.UniqueViolationError())
    assert is_data_error(asyncpg.CharacterNotInRepertoireError())
    assert not is_data_error(ConnectionResetError())
