"""What packing, rewriting and reindexing refuse, and how they name it; a busy database is no error."""

import asyncio
import hashlib
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg
import pytest

from config.settings import Settings, StorageSettings
from retention.packing import pack as packing
from retention.packing import run as packing_run
from retention.packing import unpack as unpacking
from retention.packing.checking import check_packs, reindex
from retention.packing.leaves import drop_leaf, drop_leaf_held
from retention.packing.pack import NotClosed, pack_segment
from retention.packing.rewriting import ContentMismatch, build, packed_source, switch
from retention.packing.run import pack_all, pack_named
from retention.packing.unpack import NotUnpackable, unpack
from storage import failpoints
from storage.database.locks import PACK_SPACE
from storage.packs import verify as verifying
from storage.packs.errors import PackDamaged
from storage.packs.store import PackStore, PacksUnavailable
from storage.packs.writer import PackWriter
from storage.segments.dropping import TablesBusy
from tests.integration.retention.test_expiry import ago, closed, leaves, states
from tests.integration.retention.test_pack import leaf_of
from tests.support.keeping import close, keep, ns_of
from tests.support.killed_jobs import count, proved, tidy
from tests.support.packing import pack, packs
from tests.support.records import make_record

FOREVER_S = 10.0**9


@pytest.fixture
async def segment(writer_pool) -> int:
    """A closed segment of class info with 60 rows."""
    return await closed(writer_pool, at=ago(days=1), rows=60)


async def spoil_row(dsn: str, segment: int) -> None:
    """Change a row, as a superuser can."""
    conn = await asyncpg.connect(dsn)
    await conn.execute(f"ALTER TABLE system_logs_s{segment} DISABLE TRIGGER ALL")
    await conn.execute(f"UPDATE system_logs_s{segment} SET message = 'x' WHERE position = 3")
    await conn.close()


async def test_without_a_folder_nothing_is_packed_by_hand(database, owner_pool, segment, tmp_path):
    (tmp_path / "occupied").mkdir()
    (tmp_path / "occupied" / "file").touch()
    settings = Settings(storage=StorageSettings(packs_dir=tmp_path / "occupied"))

    for done in (
        await pack_named(database.dsn, settings, []),
        await pack_all(database.dsn, settings),
    ):
        assert done.segments == 0
        assert "is it mounted?" in done.note


async def test_what_cannot_be_packed_by_hand_is_named(database, owner_pool, segment):
    done = await pack_named(database.dsn, Settings(), [segment, segment + 100])

    assert done.segments == 1
    assert done.note == f"not closed, or found damaged: {segment + 100}"


async def test_a_disk_that_fails_ends_packing_by_hand(database, owner_pool, segment):
    failpoints.configure("pack.before_rename=eio")
    try:
        done = await pack_named(database.dsn, Settings(), [segment])
    finally:
        failpoints.configure("")

    assert (done.segments, done.failed) == (0, 1)
    assert "Input/output error" in done.note
    assert (await states(owner_pool))[segment] == "closed"


async def test_a_damaged_segment_does_not_stop_the_others(
    database, owner_pool, writer_pool, segment
):
    other = await closed(writer_pool, at=ago(days=1), rows=20)
    await spoil_row(database.dsn, segment)

    done = await pack(database)

    assert (done.segments, done.failed) == (1, 1)
    assert await states(owner_pool) | {segment: "closed", other: "packed"} == await states(
        owner_pool
    )
    assert (await pack(database)).failed == 0  # not again


async def test_a_segment_that_was_packed_meanwhile_is_skipped(database, owner_pool, segment):
    async with owner_pool.acquire() as conn:
        work = packing_run._Pass(conn, Settings(), await _prepared(conn), yields=False)
        await work.pack(segment)
        await work.pack(segment)

    assert (work.done.segments, work.done.failed) == (1, 0)


async def _prepared(conn) -> PackStore:
    found = packs()
    found.prepare(await conn.fetchval("SELECT installation_id::text FROM installation"))
    return found


async def test_a_leaf_that_is_read_stays_until_the_next_run(  # noqa: PLR0917 - fixtures
    database, owner_pool, reader_pool, segment, monkeypatch, caplog
):
    caplog.set_level("INFO")
    monkeypatch.setattr(packing_run, "_PATIENCE_S", 0.2)
    async with reader_pool.acquire() as conn:
        async with conn.transaction():
            await conn.fetch(f"SELECT count(*) FROM system_logs_s{segment}")
            assert (await pack(database)).segments == 1
            assert await leaf_of(owner_pool, segment)
        assert "stays for now" in caplog.text
        assert "stay for now" in caplog.text

    assert (await pack(database)).segments == 0
    assert await leaf_of(owner_pool, segment) is None
    await tidy(owner_pool)


async def test_a_table_that_is_locked_is_no_damage(database, owner_pool, segment, monkeypatch):
    async def waited(*_, **__):
        raise asyncpg.LockNotAvailableError("canceling statement due to lock timeout")

    with monkeypatch.context() as changed:
        changed.setattr(packing_run, "pack_segment", waited)
        done = await pack(database)

    assert (done.segments, done.failed) == (0, 1)
    claimed = await owner_pool.fetchval(
        "SELECT claimed_until - now() FROM segments WHERE segment = $1", segment
    )
    assert 0 < claimed.total_seconds() <= 60


async def test_a_segment_being_packed_is_not_rewritten(owner_pool, store, segment):
    async with owner_pool.acquire() as other, owner_pool.acquire() as conn:
        await other.execute("SELECT pg_advisory_lock($1, $2)", PACK_SPACE, segment)
        with pytest.raises(TablesBusy, match="is being packed"):
            await packed_source(conn, store, segment, deadline_s=FOREVER_S)
        await other.execute("SELECT pg_advisory_unlock_all()")


async def test_the_leaf_of_a_segment_in_use_stays(owner_pool, store, segment):
    async with owner_pool.acquire() as other, owner_pool.acquire() as conn:
        assert not await drop_leaf_held(conn, segment, deadline_s=FOREVER_S)  # not packed
        await pack_segment(conn, store, segment)
        await other.execute("SELECT pg_advisory_lock($1, $2)", PACK_SPACE, segment)
        assert not await drop_leaf(conn, segment, deadline_s=FOREVER_S)
        await other.execute("SELECT pg_advisory_unlock_all()")
        with pytest.raises(NotUnpackable, match="is being dropped"):
            await unpack(conn, store, segment, by="me")
    assert segment in await leaves(owner_pool)


async def test_a_segment_that_differs_from_what_was_received_is_not_rewritten(
    database, owner_pool, store, segment
):
    await spoil_row(database.dsn, segment)
    async with owner_pool.acquire() as conn:
        with pytest.raises(ContentMismatch, match="differs from what was received"):
            await packed_source(conn, store, segment, deadline_s=FOREVER_S)
        with pytest.raises(ContentMismatch, match="is missing"):
            await packed_source(conn, store, segment + 100, deadline_s=FOREVER_S)
    assert (await states(owner_pool))[segment] == "closed"


async def test_a_rewrite_that_changes_rows_is_refused(owner_pool, store, segment, monkeypatch):
    """Should the writer, or a source, give back other rows than the sources have."""
    async with owner_pool.acquire() as conn:
        source = await packed_source(conn, store, segment, deadline_s=FOREVER_S)
        before = PackWriter.add

        def forgetful(self, tuples, nonces):
            before(self, tuples[1:], nonces[1:])

        with monkeypatch.context() as changed:
            changed.setattr(PackWriter, "add", forgetful)
            with pytest.raises(ContentMismatch, match="while they were merged"):
                await build(conn, store, [source])
            with pytest.raises(ContentMismatch, match="while they were copied"):
                await build(conn, store, [source], lambda _, block: [5])
        with pytest.raises(ContentMismatch, match="rows of the same batch"):
            await build(conn, store, [source, source])

    assert {file.segment for file in store.files()} == {segment}
    await pack_again(owner_pool)


async def pack_again(pool) -> None:
    """Nothing was changed."""
    assert await count(pool) == (60, 60)


async def test_a_source_that_was_changed_meanwhile_stops_the_switch(owner_pool, store, segment):
    async with owner_pool.acquire() as conn:
        source = await packed_source(conn, store, segment, deadline_s=FOREVER_S)
        made = await build(conn, store, [source], lambda _, block: [0])
        await conn.execute("UPDATE segments SET state = 'retiring' WHERE segment = $1", segment)
        with pytest.raises(ContentMismatch, match="changed concurrently"):
            await switch(conn, made, no_change)
        await conn.execute("UPDATE segments SET state = 'packed' WHERE segment = $1", segment)

    await pack_again(owner_pool)


async def no_change() -> None:
    """For a switch."""


async def test_an_index_of_another_release_is_entered_in_the_ledger(
    database, owner_pool, segment, monkeypatch
):
    """Rebuilt with other parameters, it has another hash, and the ledger has that from then on."""
    await pack(database)
    _, index = packs().paths("info", segment)
    known = index.read_bytes()
    before = verifying.index_header

    def other(*given):
        return before(*given) | {"made_by": "another release"}

    monkeypatch.setattr(verifying, "index_header", other)
    async with owner_pool.acquire() as conn:
        assert await reindex(conn, packs(), segment, by="me")
        assert await check_packs(conn, packs(), full=True) == []
        body = await conn.fetchval(
            "SELECT body FROM ledger_in WHERE kind = 'pack' ORDER BY in_id DESC LIMIT 1"
        )
    assert '"reindexed_by": "me"' in body or '"reindexed_by":"me"' in body
    assert index.read_bytes() != known
    await proved(database)


async def test_an_index_is_not_rebuilt_from_changed_data(database, owner_pool, segment):
    await pack(database)
    data, index = packs().paths("info", segment)
    raw = bytearray(data.read_bytes())
    raw[len(raw) // 2] ^= 1
    data.chmod(0o600)
    data.write_bytes(raw)
    known = index.read_bytes()

    async with owner_pool.acquire() as conn:
        with pytest.raises(PackDamaged, match="does not match its hash"):
            await reindex(conn, packs(), segment, by="me")

    assert index.read_bytes() == known


async def test_a_pack_whose_rows_are_not_those_of_the_index_is_located(
    database, owner_pool, segment, monkeypatch
):
    """Both files are as in the ledger, but a row hashes to something else."""
    await pack(database)

    monkeypatch.setattr("storage.packs.proof._sha256", lambda row: hashlib.sha256(row + b"x"))
    async with owner_pool.acquire() as conn:
        (problem,) = await check_packs(conn, packs(), full=True)

    assert problem.what.endswith("block 0, row 0: the row was changed")


async def test_a_pack_without_an_entry_in_the_ledger_is_named(database, owner_pool, segment):
    await pack(database)
    conn = await asyncpg.connect(database.dsn)
    await conn.execute("ALTER TABLE ledger_in DISABLE TRIGGER ALL")
    await conn.execute("DELETE FROM ledger_in WHERE kind = 'pack'")
    await conn.close()

    async with owner_pool.acquire() as conn:
        (problem,) = await check_packs(conn, packs())

    assert problem.what == "the ledger has no entry of this pack"


async def test_records_with_odd_times_are_unpacked(database, owner_pool, writer_pool):
    at = ago(days=1)
    async with writer_pool.acquire() as conn:
        odd = [0, ns_of(datetime(2040, 1, 1, tzinfo=UTC))]
        records = [make_record(created_unix_ns=each, odd_time=True) for each in odd]
        await keep(conn, make_record(created_unix_ns=ns_of(at)), *records, at=at)
        segment = await close(conn, "info")
    parts = "SELECT * FROM ingest_parts WHERE segment = $1 ORDER BY batch_id"
    received = await owner_pool.fetch(parts, segment)
    await pack(database)
    async with owner_pool.acquire() as conn:
        await conn.execute("DELETE FROM ingest_parts")
        assert await unpack(conn, packs(), segment, by="me") == 3

    (restored,) = await owner_pool.fetch(parts, segment)
    assert dict(restored) == dict(received[0])
    assert restored["odd_times"] == 2


async def test_unpacking_waits_for_readers(database, owner_pool, reader_pool, segment, monkeypatch):
    await pack(database)
    async with reader_pool.acquire() as reading, owner_pool.acquire() as conn:
        transaction = reading.transaction()
        await transaction.start()
        await reading.fetch("SELECT count(*) FROM system_logs")
        await reading.execute("SAVEPOINT a")
        locker = asyncio.create_task(_locked_for(owner_pool, 1.0))
        await asyncio.sleep(0.3)
        assert await unpack(conn, packs(), segment, by="me") == 60
        await locker
        await transaction.rollback()
    assert (await states(owner_pool))[segment] == "closed"


async def _locked_for(pool, seconds: float) -> None:
    async with locked(pool):
        await asyncio.sleep(seconds)


@asynccontextmanager
async def locked(pool):
    """Nothing can be attached to system_logs."""
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("LOCK TABLE ONLY system_logs IN SHARE MODE")
        yield


async def test_unpacking_gives_up_in_the_end(database, owner_pool, segment, monkeypatch):
    monkeypatch.setattr(unpacking, "_PATIENCE_S", 0.1)
    await pack(database)
    async with locked(owner_pool), owner_pool.acquire() as conn:
        with pytest.raises(asyncpg.LockNotAvailableError):
            await unpack(conn, packs(), segment, by="me")

    assert (await states(owner_pool))[segment] == "packed"
    await pack(database)  # drops the leaf that was filled
    await tidy(owner_pool)
    await proved(database)


async def test_packing_waits_for_ingest_at_most_as_long_as_it_may(
    database, owner_pool, segment, monkeypatch
):
    """Under a load above the limit: not before `pack_max_lag_s`, and then in any case."""
    monkeypatch.setattr(packing_run, "SAMPLE_S", 0.1)

    async def busy(_):
        return 10.0**6

    monkeypatch.setattr("retention.safety.load.Load.rate", busy)
    patient = Settings(storage=StorageSettings(pack_max_lag_s=3600))
    began_s = time.monotonic()
    done = await pack_all(database.dsn, patient, longest_s=0.5)
    assert (done.segments, time.monotonic() - began_s < 20) == (0, True)
    await owner_pool.execute("UPDATE segments SET closed_at = closed_at - interval '2 hours'")

    assert (await pack_all(database.dsn, patient)).segments == 1


async def test_a_quiet_ingest_lets_packing_begin(database, segment):
    assert (await pack_all(database.dsn, Settings())).segments == 1


async def test_nothing_is_packed_before_its_time(database, owner_pool, segment):
    later = Settings(storage=StorageSettings(pack_after=3600))
    assert (await pack(database, later)).segments == 0
    await owner_pool.execute("UPDATE segments SET closed_at = closed_at - interval '2 hours'")
    assert (await pack(database, later)).segments == 1


def test_a_store_says_what_is_wrong_with_its_folder(tmp_path, monkeypatch):
    store = PackStore(tmp_path / "packs", most_open=1)
    (tmp_path / "file").touch()
    with pytest.raises(PacksUnavailable, match="cannot be made"):
        PackStore(tmp_path / "file" / "packs").prepare("a")
    store.prepare("a")
    marker = tmp_path / "packs" / "opslog-packs.json"
    marker.chmod(0o600)
    for text, problem in (
        ("{", "is not JSON"),
        ("[]", "belongs to another"),
        ('{"installation": "a", "format": 2}', "has format 2"),
    ):
        marker.write_text(text)
        assert problem in store.problem("a")
    for name in ("", ".hidden", "a/b"):
        with pytest.raises(ValueError, match="name of a folder"):
            store.folder(name)


async def test_a_store_keeps_a_few_packs_open(database, owner_pool, writer_pool, segment):
    other = await closed(writer_pool, at=ago(days=1), level=3)
    await pack(database)
    store = PackStore(packs().directory, most_open=1)
    first = store.open("info", segment)
    store.open("error", other)

    assert store.open("info", segment) is not first
    (store.directory / "debug").mkdir()
    for mine in store.paths("info", segment):
        (store.directory / "debug" / mine.name).write_bytes(mine.read_bytes())
    with pytest.raises(PackDamaged, match="is a pack of class info"):
        store.read("debug", segment)
    store.keep_only([])
    (store.directory / "info" / "notes.txt").touch()
    (store.directory / "file").touch()
    assert {file.segment for file in store.files()} == {segment, other}
    path = store.paths("error", other)[0]
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        store.unlink("error", other)


async def test_a_segment_that_expires_while_it_is_packed_leaves_no_files(
    owner_pool, store, segment, monkeypatch
):
    before = packing._commit

    async def later(connection, *given):
        await connection.execute("UPDATE segments SET state = 'retiring' WHERE rows > 0")
        await before(connection, *given)

    monkeypatch.setattr(packing, "_commit", later)
    async with owner_pool.acquire() as conn:
        with pytest.raises(NotClosed, match="was changed"):
            await pack_segment(conn, store, segment)

    assert list(store.files()) == []


async def test_rows_that_cannot_be_split_are_left_in_their_leaf(
    database, owner_pool, segment, monkeypatch, caplog
):
    def unknown(*_):
        raise ValueError("a tuple does not have 26 fields")

    with monkeypatch.context() as changed:
        changed.setattr("storage.packs.spool.scan", unknown)
        done = await pack(database)

    assert (done.segments, done.failed) == (0, 1)
    assert f"{segment}.parquet: a tuple does not have 26 fields" in caplog.text
    assert (await states(owner_pool))[segment] == "closed"
    await pack_again(owner_pool)


async def test_a_pack_with_other_rows_than_were_received_is_not_rewritten(
    owner_pool, store, segment, monkeypatch
):
    async with owner_pool.acquire() as conn:
        source = await packed_source(conn, store, segment, deadline_s=FOREVER_S)
        with monkeypatch.context() as changed:
            changed.setattr("storage.record.nonces.Completer.leaf", lambda *_: bytes(32))
            with pytest.raises(ContentMismatch, match="differ from what was received"):
                await build(conn, store, [source], lambda _, block: [0])

    assert {file.segment for file in store.files()} == {segment}
    await pack_again(owner_pool)


async def test_a_segment_that_another_packer_has_is_skipped_by_hand(database, owner_pool, segment):
    async with owner_pool.acquire() as other:
        await other.execute("SELECT pg_advisory_lock($1, $2)", PACK_SPACE, segment)
        assert (await pack_named(database.dsn, Settings(), [segment])).segments == 0
        await other.execute("SELECT pg_advisory_unlock_all()")
    assert (await pack_named(database.dsn, Settings(), [segment])).segments == 1
