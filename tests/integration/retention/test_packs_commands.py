"""Packs by hand: unpacked, indexed again, verified; a lost or damaged pack is named."""

import pytest

from config.settings import Settings
from retention.packing.checking import NotPacked, SegmentInUse, check_packs, packs_of, reindex
from retention.packing.leaves import forget_parts
from retention.packing.run import pack_named
from retention.packing.unpack import NotUnpackable, unpack
from retention.segments.merge import merge_all
from storage.database.locks import PACK_SPACE
from storage.filtering.filters import FieldEquals
from storage.record.fields import ACTOR_ID
from tests.integration.retention.test_expiry import ago, closed, leaves, states
from tests.integration.retention.test_purge import purge
from tests.support.keeping import close, keep
from tests.support.killed_jobs import proved, tidy
from tests.support.packing import count, digests, pack, packs, stored
from tests.support.records import make_record


@pytest.fixture
async def segment(database, writer_pool) -> int:
    """A packed segment of class info with 120 rows."""
    found = await closed(writer_pool, at=ago(days=1), rows=120)
    await pack(database)
    return found


async def verify(pool, *segments: int, full: bool = False) -> list[str]:
    """What is wrong."""
    async with pool.acquire() as conn:
        return [each.what for each in await check_packs(conn, packs(), segments, full=full)]


def overwrite(path, at: int, data: bytes) -> None:
    """Change bytes of a file."""
    path.chmod(0o640)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


async def test_an_unpacked_segment_is_as_it_was_and_stays(database, owner_pool, segment):
    columns = ("created_at", "message", "nonce", "id", "trace_id")
    before = await stored(owner_pool, *columns)
    parts = "SELECT * FROM ingest_parts WHERE segment = $1 ORDER BY batch_id"
    received = await owner_pool.fetch(parts, segment)
    async with owner_pool.acquire() as conn:
        await forget_parts(conn, 0)

        assert await unpack(conn, packs(), segment, by="me") == 120

    assert (await states(owner_pool))[segment] == "closed"
    assert segment in await leaves(owner_pool)
    assert await stored(owner_pool, *columns) == before
    assert await owner_pool.fetch(parts, segment) == received
    assert not any(path.exists() for path in packs().paths("info", segment))
    assert (await pack(database)).segments == 0
    assert (await pack_named(database.dsn, Settings(), [], again=True)).segments == 1
    assert (await states(owner_pool))[segment] == "packed"
    assert await stored(owner_pool, *columns) == before
    assert await verify(owner_pool, full=True) == []


async def test_rows_left_by_a_purge_are_unpacked_with_their_nonces(
    database, owner_pool, reader_pool, writer_pool
):
    """The secret of their batch is gone: the stored nonces prove them in a leaf as in a pack."""
    columns = ("created_at", "message", "nonce", "id")
    async with writer_pool.acquire() as conn:
        await keep(conn, *[make_record(actor_id=f"u-{n % 3}") for n in range(60)], at=ago(days=1))
        await keep(conn, *[make_record(actor_id="u-2") for _ in range(5)], at=ago(days=1))
        await close(conn, "info")
    await purge(database, (reader_pool, writer_pool), FieldEquals(ACTOR_ID, "u-1"))
    ((segment, before),) = [
        (row["segment"], row["data_hash"])
        for row in await owner_pool.fetch("SELECT * FROM segments WHERE state = 'packed'")
    ]
    rows = await stored(owner_pool, *columns)
    assert [nonce is None for _, _, nonce, _ in rows] == [False] * 40 + [True] * 5
    await proved(database)

    async with owner_pool.acquire() as conn:
        assert await unpack(conn, packs(), segment, by="me") == 45
    assert await stored(owner_pool, *columns) == rows
    await proved(database)

    assert (await pack_named(database.dsn, Settings(), [], again=True)).segments == 1
    assert await stored(owner_pool, *columns) == rows
    row = await owner_pool.fetchrow("SELECT * FROM segments WHERE segment = $1", segment)
    assert (row["state"], row["data_hash"]) == ("packed", before)
    await tidy(owner_pool)
    await proved(database)


async def test_an_unpacked_segment_can_be_purged_again(
    database, owner_pool, reader_pool, writer_pool
):
    async with writer_pool.acquire() as conn:
        await keep(conn, *[make_record(actor_id=f"u-{n % 3}") for n in range(60)], at=ago(days=1))
        await close(conn, "info")
    await purge(database, (reader_pool, writer_pool), FieldEquals(ACTOR_ID, "u-1"))
    (segment,) = [n for n, state in (await states(owner_pool)).items() if state == "packed"]
    async with owner_pool.acquire() as conn:
        await unpack(conn, packs(), segment, by="me")

    _, report = await purge(database, (reader_pool, writer_pool), FieldEquals(ACTOR_ID, "u-2"))

    assert (report.outcome, report.rows) == ("done", 20)
    assert await count(owner_pool) == 20
    await tidy(owner_pool)
    await proved(database)


async def test_only_packs_are_unpacked(owner_pool, writer_pool):
    segment = await closed(writer_pool, at=ago(days=1))
    async with owner_pool.acquire() as conn:
        with pytest.raises(NotUnpackable, match="is closed"):
            await unpack(conn, packs(), segment, by="me")


async def test_intact_packs_have_no_problem(owner_pool, segment):
    assert await verify(owner_pool) == []
    assert await verify(owner_pool, segment, full=True) == []
    with pytest.raises(NotPacked):
        await verify(owner_pool, segment + 1000)


async def test_an_index_in_use_is_not_rebuilt(owner_pool, segment):
    async with owner_pool.acquire() as other, owner_pool.acquire() as conn:
        await other.execute("SELECT pg_advisory_lock($1, $2)", PACK_SPACE, segment)
        with pytest.raises(SegmentInUse, match="in use by another process"):
            await reindex(conn, packs(), segment, by="me")
        with pytest.raises(NotUnpackable, match="in use by another process"):
            await unpack(conn, packs(), segment, by="me")


async def test_what_an_interrupted_reindexing_has_left_is_removed(database, owner_pool, segment):
    left = packs().paths("info", segment)[1].with_suffix(".idx.tmp")
    left.write_bytes(b"half an index")

    await merge_all(database.dsn, Settings(), trigger="test")

    assert not left.exists()
    await tidy(owner_pool)


async def test_a_lost_index_is_rebuilt(owner_pool, segment):
    _, index = packs().paths("info", segment)
    known = index.read_bytes()
    index.unlink()
    (what,) = await verify(owner_pool)
    assert f"{segment}.idx" in what

    async with owner_pool.acquire() as conn:
        await reindex(conn, packs(), segment, by="me")

    assert await verify(owner_pool, full=True) == []
    assert index.read_bytes() == known
    assert index.stat().st_mode & 0o777 == 0o440


async def test_a_lost_filter_is_named_and_rebuilt(owner_pool, segment):
    path = packs().filters("info").path
    path.unlink()
    (what,) = await verify(owner_pool)
    assert f"ids.filters: the filter of segment {segment} is missing" in what

    async with owner_pool.acquire() as conn:
        assert not await reindex(conn, packs(), segment, by="me")

    assert await verify(owner_pool, full=True) == []


@pytest.mark.parametrize("full", [False, True])
async def test_a_lost_pack_is_named_and_costs_no_other(
    database, owner_pool, writer_pool, segment, full
):
    other = await closed(writer_pool, at=ago(days=1), level=3)
    await pack(database)
    packs().paths("info", segment)[0].unlink()

    (what,) = await verify(owner_pool, full=full)

    assert f"{segment}.parquet" in what
    assert await verify(owner_pool, other, full=full) == []


async def test_a_flipped_bit_is_found(owner_pool, segment):
    data, _ = packs().paths("info", segment)
    middle = data.stat().st_size // 2
    overwrite(data, middle, bytes([data.read_bytes()[middle] ^ 1]))

    (what,) = await verify(owner_pool)

    assert "does not match its hash" in what


async def test_a_truncated_pack_is_found(owner_pool, segment):
    data, _ = packs().paths("info", segment)
    data.chmod(0o640)
    with data.open("r+b") as file:
        file.truncate(data.stat().st_size - 100)
    packs().forget(segment)

    assert len(await verify(owner_pool)) == 1
    assert len(await verify(owner_pool, full=True)) == 1


async def test_a_pack_replaced_by_another_one_is_found(database, owner_pool, writer_pool, segment):
    """Both files of an older pack in its place: the catalogue and the ledger know the hashes."""
    other = await closed(writer_pool, at=ago(days=1))
    await pack(database)
    for mine, theirs in zip(
        packs().paths("info", segment), packs().paths("info", other), strict=True
    ):
        mine.unlink()
        mine.write_bytes(theirs.read_bytes())
    packs().forget(segment)

    assert len(await verify(owner_pool, segment)) == 1
    assert len(await verify(owner_pool, segment, full=True)) == 1


async def test_a_changed_catalogue_is_found(owner_pool, segment):
    await owner_pool.execute(
        "UPDATE segments SET data_hash = sha256('x') WHERE segment = $1", segment
    )

    assert await verify(owner_pool) == ["the catalogue has other hashes than the ledger"]


async def test_the_list_has_every_pack(owner_pool, segment):
    async with owner_pool.acquire() as conn:
        (found,) = await packs_of(conn)
    assert (found.segment, found.class_name, found.rows) == (segment, "info", 120)
    assert len(await digests(owner_pool, segment)) == 3
    assert await count(owner_pool) == 120
