"""Many packs from one, for benchmarks of work on whole segments.

Rows, files and counts of a clone are those of a segment that was really received and packed; only its
number and age differ. (The files still contain the old number, so nothing reads them; they are removed.)
"""

import shutil
from collections.abc import Iterable

from storage.database.pool import DatabaseRole, connect
from storage.packs.store import PackStore
from tests.support.databases import run
from tests.support.product import Product

_CATALOGUE = """
INSERT INTO segments (segment, class, state, rows, bytes, min_created_at, max_created_at, odd_times,
       min_received_at, max_received_at, opened_at, closed_at, packed_at, digest, data_bytes,
       index_bytes, data_hash, index_hash, leaf_dropped, parts_dropped)
SELECT $1, class, 'packed', rows, bytes, min_created_at - a.age, max_created_at - a.age,
       odd_times, min_received_at - a.age, max_received_at - a.age, opened_at - a.age,
       closed_at - a.age, packed_at, digest, data_bytes, index_bytes, data_hash, index_hash, true, true
  FROM segments, (SELECT make_interval(days => $3) AS age) AS a WHERE segment = $2
"""
_BESIDE = (
    """INSERT INTO log_counts SELECT (jsonb_populate_record(c, jsonb_build_object('segment', $1::int))).*
         FROM log_counts AS c WHERE segment = $2""",
    """INSERT INTO log_counts_hourly
       SELECT (jsonb_populate_record(c, jsonb_build_object('segment', $1::int))).*
         FROM log_counts_hourly AS c WHERE segment = $2""",
)


def clones(product: Product, source: int, ages_days: Iterable[int]) -> list[int]:
    """Create clones of a packed segment, one for each age; their numbers."""
    return run(_clones(product, source, list(ages_days)))


async def _clones(product: Product, source: int, ages_days: list[int]) -> list[int]:
    directory = product.installation.packs_dir
    assert directory is not None
    store = PackStore(directory)
    connection = await connect(product.installation.database_dsn(), DatabaseRole.OWNER)
    class_name = await connection.fetchval("SELECT class FROM segments WHERE segment = $1", source)
    found = []
    for age_days in ages_days:
        number: int = await connection.fetchval("SELECT nextval('segment_numbers')::int")
        for old, new in zip(
            store.paths(class_name, source), store.paths(class_name, number), strict=True
        ):
            shutil.copy2(old, new)
        await connection.execute(_CATALOGUE, number, source, age_days)
        for text in _BESIDE:
            await connection.execute(text, number, source)
        found.append(number)
    await connection.close()
    return found
