"""The size of segments, and the cost of many."""

import asyncio
import statistics
import time
from datetime import UTC, datetime, timedelta

import pytest

from config.settings import Settings, StorageSettings
from retention.packing.run import pack_all
from storage.database.locks import HOLD_SPACE
from storage.database.migrate import bundled
from storage.segments.catalogue import Catalogue
from storage.segments.rollover import LARGEST_SCALE, SegmentKeeper, scale_of
from tests.integration.retention.test_expiry import ago, closed, run
from tests.support.keeping import keep
from tests.support.records import make_record
from tests.support.stored_rows import store
from tests.support.waiting import running, until

SMALL = StorageSettings(segment_rows=1000)


@pytest.mark.parametrize(
    ("kept", "scale"), [(0, 1), (300_000, 1), (300_001, 2), (900_000, 3), (10**9, LARGEST_SCALE)]
)
def test_a_class_with_many_segments_gets_larger_ones(kept: int, scale: int) -> None:
    assert scale_of(kept, 1000) == scale


async def test_the_keeper_lets_them_grow(database, owner_pool, writer_pool):
    """A class that keeps a million rows rolls over at four thousand instead of one."""
    await owner_pool.execute(
        "INSERT INTO segments (segment, class, state, rows) VALUES (9999, 'info', 'packed', 1000000)"
    )
    keeper = SegmentKeeper(database.dsn, SMALL, pass_every_s=0.02)
    async with writer_pool.acquire() as conn, running(keeper.run()):
        first = await store(conn, "info", 3900)
        await until(lambda: keeper.is_leader)
        await asyncio.sleep(0.2)
        assert keeper.rolled == 0

        await store(conn, "info", 200)
        await until(lambda: keeper.rolled == 1)
    assert await owner_pool.fetchval("SELECT rows FROM segments WHERE segment = $1", first) == 4100


def test_the_number_of_the_hold_lock_is_the_same_in_sql() -> None:
    sql = next(m.sql for m in bundled() if m.name == "0004_retention")

    assert sql.count(f"advisory_xact_lock({HOLD_SPACE}, 0)") == 1


CLONE = """
DO $$
DECLARE
    number integer;
BEGIN
    FOR i IN 1..{many} LOOP
        number := nextval('segment_numbers');
        PERFORM opslog_make_leaf(number);
        INSERT INTO segments (segment, class, state, rows, bytes, min_created_at, max_created_at,
               odd_times, min_received_at, max_received_at, opened_at, closed_at)
        SELECT number, class, 'closed', 0, 0, min_created_at, max_created_at, 0, min_received_at,
               max_received_at, opened_at, closed_at FROM segments WHERE segment = {source};
    END LOOP;
END $$
"""


async def many_due(pool, source: int, many: int) -> None:
    """That many further segments that are as due as `source`."""
    for _ in range(0, many, 50):  # each holds its locks until its end
        await pool.execute(CLONE.format(many=50, source=source), timeout=120)


@pytest.mark.slow
async def test_two_hundred_segments_go_in_seconds_while_records_come_in(
    database, owner_pool, writer_pool, reader_pool
):
    """1,000 are measured by `make bench-retention`; here too, nothing waits noticeably."""
    source = await closed(writer_pool, level=0, at=ago(days=8))
    await many_due(owner_pool, source, 200)
    waits: dict[str, list[float]] = {"write": [], "read": []}
    stop = asyncio.Event()

    async def go(name: str, work) -> None:
        while not stop.is_set():
            began = time.monotonic()
            await work()
            waits[name].append(time.monotonic() - began)
            await asyncio.sleep(0.01)

    async def write() -> None:
        async with writer_pool.acquire() as conn:
            await keep(conn, make_record(), make_record(level=0))

    async def read() -> None:
        leaf = await reader_pool.fetchval(
            "SELECT max(segment) FROM segments WHERE class = 'info' AND state = 'open'"
        )
        if leaf:
            await reader_pool.fetch(f"SELECT count(*) FROM system_logs_s{leaf}")

    tasks = [asyncio.create_task(go("write", write)), asyncio.create_task(go("read", read))]
    await until(lambda: len(waits["write"]) > 5)
    began = time.monotonic()
    report = await run(database)
    took = time.monotonic() - began
    stop.set()
    await asyncio.gather(*tasks)

    assert (report.outcome, report.segments) == ("done", 201)
    assert took < 30
    assert max(waits["write"]) < 1.0
    assert statistics.median(waits["read"]) < 0.1


async def test_two_hundred_packs_go_at_once(database, owner_pool, writer_pool):
    source = await closed(writer_pool, level=0, at=ago(days=8))
    await pack_all(database.dsn, Settings(), yields=False)
    await owner_pool.execute(
        "INSERT INTO segments (segment, class, state, rows, bytes, min_created_at, max_created_at,"
        " odd_times, min_received_at, max_received_at, opened_at, closed_at, packed_at, data_bytes,"
        " index_bytes, data_hash, index_hash, digest, leaf_dropped)"
        " SELECT n, class, state, rows, bytes, min_created_at, max_created_at, odd_times,"
        " min_received_at, max_received_at, opened_at, closed_at, packed_at, data_bytes,"
        " index_bytes, data_hash, index_hash, digest, true"
        " FROM segments, generate_series(1001, 1200) AS n WHERE segment = $1",
        source,
    )
    began = time.monotonic()
    report = await run(database)
    took = time.monotonic() - began

    assert (report.outcome, report.segments) == ("done", 201)
    assert took < 5


async def test_a_catalogue_of_a_thousand_segments_is_read_at_once(database, owner_pool):
    """Memory and time of the copy that every query uses."""
    at = datetime.now(UTC)
    await owner_pool.executemany(
        "INSERT INTO segments (segment, class, state, rows, bytes, min_created_at, max_created_at,"
        " odd_times) VALUES ($1, 'info', 'packed', 250000, 1, $2, $3, 0)",
        [(n, at - timedelta(hours=n + 1), at - timedelta(hours=n)) for n in range(1000, 2000)],
    )
    catalogue = Catalogue(database.dsn)
    async with running(catalogue.run()):
        began = time.monotonic()
        await catalogue.refresh()
        assert time.monotonic() - began < 1.0
        assert len(catalogue.segments()) == 1000


async def test_packing_leaves_ingest_alone(database, owner_pool, writer_pool):
    """Records come in while another segment is packed."""
    await closed(writer_pool, at=ago(days=1), rows=400)
    longest = 0.0
    packing = asyncio.create_task(pack_all(database.dsn, Settings(), yields=False))
    while not packing.done():
        began = time.monotonic()
        async with writer_pool.acquire() as conn:
            await keep(conn, make_record())
        longest = max(longest, time.monotonic() - began)

    assert (await packing).segments == 1
    assert longest < 1.0
