"""Merging: small adjacent segments become one; readers see every row exactly once."""

from datetime import timedelta

from config.settings import Settings, StorageSettings
from retention.packing.pack import root_of
from retention.reporting.history import runs
from retention.segments.merge import merge_all
from tests.integration.retention.test_expiry import ago, closed, run, settings, states
from tests.support.packing import count as stored_count
from tests.support.packing import digests, pack, packs

SMALL = Settings(storage=StorageSettings(segment_rows=1000))


async def packed(database, pool, ages: list[float], *, level: int = 4, rows: int = 10) -> list[int]:
    """Packed segments whose records are that many days old."""
    numbers = [await closed(pool, level=level, at=ago(days=age), rows=rows) for age in ages]
    await pack(database)
    return numbers


async def merge(database, chosen=None):
    """One pass."""
    return await merge_all(database.dsn, chosen or SMALL, trigger="test")


async def test_small_neighbours_become_one_segment(database, owner_pool, writer_pool):
    old = await packed(database, writer_pool, [9, 8, 7, 6])
    counts = "SELECT minute, source_module, sum(rows) FROM {} GROUP BY 1, 2 ORDER BY 1"
    before = await owner_pool.fetch(counts.format("log_counts"))

    report = await merge(database)

    now = await states(owner_pool)
    (new,) = [n for n, state in now.items() if state == "packed"]
    row = await owner_pool.fetchrow("SELECT * FROM segments WHERE segment = $1", new)
    assert (report.outcome, report.segments) == ("done", 4)
    assert {now[n] for n in old} == {"retiring"}
    assert (row["rows"], row["class"], row["is_hold"]) == (40, "critical", False)
    assert row["max_received_at"] - row["min_received_at"] > timedelta(days=2)
    assert await stored_count(owner_pool) == 40
    assert await owner_pool.fetch(counts.format("log_counts")) == before
    parts = await owner_pool.fetch(
        "SELECT batch_id, rows, digest FROM ingest_parts WHERE segment = $1", new
    )
    assert await digests(owner_pool, new) == {part["batch_id"]: part["digest"] for part in parts}
    assert root_of([tuple(part) for part in parts]) == row["digest"]
    async with owner_pool.acquire() as conn:
        (past,) = await runs(conn)
    assert {(step.segment, step.to_segment) for step in past.steps} == {(n, new) for n in old}


def files(segments: list[int]) -> set[int]:
    """Those of the segments that have files."""
    return {n for n in segments if any(path.exists() for path in packs().paths("critical", n))}


async def test_the_old_packs_stay_an_hour_for_those_who_read_them(
    database, owner_pool, writer_pool
):
    old = await packed(database, writer_pool, [9, 8, 7, 6])
    await merge(database)
    assert files(old) == set(old)

    await run(database)
    assert files(old) == set(old)
    await owner_pool.execute("UPDATE segments SET packed_at = packed_at - interval '2 hours'")
    await run(database)

    assert files(old) == set()
    assert {(await states(owner_pool))[n] for n in old} == {"dropped"}
    assert await stored_count(owner_pool) == 40


async def test_what_spans_too_long_or_is_too_large_is_left(database, owner_pool, writer_pool):
    await packed(database, writer_pool, [200, 150, 100, 50])
    await packed(database, writer_pool, [3, 2, 1], level=3)

    assert (await merge(database)).segments == 0
    assert (await merge(database)).note == "nothing to merge"


async def test_closed_segments_are_left_to_the_packer(database, owner_pool, writer_pool):
    old = [await closed(writer_pool, level=4, at=ago(days=age)) for age in (9, 8, 7, 6)]

    assert (await merge(database)).note == "nothing to merge"
    assert {(await states(owner_pool))[n] for n in old} == {"closed"}


async def test_a_million_rows_is_the_most(database, owner_pool, writer_pool, monkeypatch):
    monkeypatch.setattr("retention.segments.merge.MOST_ROWS", 45)
    old = await packed(database, writer_pool, [9, 8, 7, 6, 5])

    assert (await merge(database)).segments == 4
    assert (await states(owner_pool))[old[-1]] == "packed"


async def test_a_changed_pack_is_never_merged(database, owner_pool, writer_pool):
    old = await packed(database, writer_pool, [9, 8, 7, 6])
    data, _ = packs().paths("critical", old[1])
    data.chmod(0o640)
    changed = bytearray(data.read_bytes())
    changed[len(changed) // 3] ^= 1
    data.write_bytes(changed)

    report = await merge(database)

    assert f"{old[1]}.parquet" in report.note
    assert {(await states(owner_pool))[n] for n in old} == {"packed"}
    assert files(old) == set(old)


async def test_an_index_of_another_pack_is_noticed(database, owner_pool, writer_pool):
    old = await packed(database, writer_pool, [9, 8, 7, 6])
    _, index = packs().paths("critical", old[1])
    index.chmod(0o640)
    changed = bytearray(index.read_bytes())
    changed[-1] ^= 1
    index.write_bytes(changed)

    report = await merge(database)

    assert "does not match its hash" in report.note
    assert {(await states(owner_pool))[n] for n in old} == {"packed"}


async def test_what_an_interrupted_merge_left_is_removed(database, owner_pool, writer_pool):
    await packed(database, writer_pool, [9, 8])
    number = await owner_pool.fetchval("SELECT nextval('segment_numbers')")
    left = [path.with_name(f"{number}{path.suffix}") for path in packs().paths("critical", 1)]
    for path in (*left, left[0].with_name(f"{number}.parquet.tmp")):
        path.write_bytes(b"x")
    newer = left[0].with_name(f"{number + 1000}.parquet")
    newer.write_bytes(b"x")  # of a database that was newer: somebody has to decide

    await merge(database)

    assert not any(path.exists() for path in left)
    assert newer.exists()
    assert await stored_count(owner_pool) == 20


async def test_a_merged_segment_expires_when_its_newest_record_is_due(
    database, owner_pool, writer_pool
):
    await packed(database, writer_pool, [9, 8, 7, 6])
    await merge(database)

    assert (await run(database, settings(), at=ago(days=6) + timedelta(days=364))).segments == 0
    assert (await run(database, settings(), at=ago(days=5) + timedelta(days=365))).segments == 1
