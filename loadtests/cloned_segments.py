"""Many packs from one, for benchmarks of work on whole segments and of queries over many of them.

The data file of a clone is a hard link, or a copy where its removal is measured. Its index is rewritten
with the clone's number, its times, and signatures of its own: the rows of the matrix are rotated, so that
any lookup finds other bits, as many as in the source; its filter of ids is of random ones. A clone so
contains none of the ids of its data, and a query reads as many blocks of it in vain as of a real pack. Its
counts are those of the source by hour, at the clone's times; by minute they are left out for linked ones.
"""

import random
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from storage.database.pool import DatabaseRole, connect
from storage.packs.index import bloom
from storage.packs.index.layout import BLOCK, IndexFile, stripe_sums, write
from storage.packs.store import PackStore
from tests.support.databases import run
from tests.support.product import Product

_CATALOGUE = """
INSERT INTO segments (segment, class, state, rows, bytes, min_created_at, max_created_at, odd_times,
       min_received_at, max_received_at, opened_at, closed_at, packed_at, digest, data_bytes,
       index_bytes, data_hash, index_hash, leaf_dropped, parts_dropped)
SELECT $1, class, 'packed', rows, bytes, min_created_at - a.age, max_created_at - a.age,
       odd_times, min_received_at - a.age, max_received_at - a.age, opened_at - a.age,
       closed_at - a.age, packed_at, digest, data_bytes, $4, data_hash, $5, true, true
  FROM segments, (SELECT make_interval(secs => $3) AS age) AS a WHERE segment = $2
"""
_COUNTS = """
INSERT INTO {table} (segment, {time}, level, kind, source_module, class, spool_id, rows, bytes)
SELECT $1, {time} - make_interval(hours => $3), level, kind, source_module, class, spool_id, rows, bytes
  FROM {table} WHERE segment = $2
"""
_HOUR_S = 3600


def clones(
    product: Product, source: int, ages_hours: Iterable[int], *, is_linked: bool = False
) -> list[int]:
    """Create clones of a packed segment, one for each age; their numbers.

    `is_linked`: many large ones, with hard links and without counts by minute.
    """
    return run(_clones(product, source, list(ages_hours), is_linked=is_linked))


async def _clones(
    product: Product, source: int, ages_hours: list[int], *, is_linked: bool
) -> list[int]:
    directory = product.installation.packs_dir
    assert directory is not None
    store = PackStore(directory)
    connection = await connect(product.installation.database_dsn(), DatabaseRole.OWNER)
    class_name = await connection.fetchval("SELECT class FROM segments WHERE segment = $1", source)
    data, index = store.paths(class_name, source)
    counts = [_COUNTS.format(table="log_counts_hourly", time="hour")]
    if not is_linked:
        counts.append(_COUNTS.format(table="log_counts", time="minute"))
    found = []
    for age_hours in ages_hours:
        number: int = await connection.fetchval("SELECT nextval('segment_numbers')::int")
        own_data, own_index = store.paths(class_name, number)
        if is_linked:
            own_data.hardlink_to(data)
        else:
            shutil.copy2(data, own_data)
        add_filter(store, class_name, source, number)
        digest = write_index(index, own_index, number, age_hours * _HOUR_S * 1_000_000)
        size = own_index.stat().st_size
        await connection.execute(_CATALOGUE, number, source, age_hours * _HOUR_S, size, digest)
        for text in counts:
            await connection.execute(text, number, source, age_hours)
        found.append(number)
    await connection.close()
    return found


def add_filter(store: PackStore, class_name: str, source: int, target: int) -> None:
    """Add a record of as many random ids as the source has to the filters of the class."""
    data_hash = bytes.fromhex(store.read(class_name, source).data_sha256)
    record = store.filters(class_name).record(source, data_hash)
    count = int(np.frombuffer(record, bloom.HEAD, 1)["ids"][0])
    hashes = np.random.default_rng(target).integers(0, 2**64, count, np.uint64)
    bloom.add(store.folder(class_name), target, data_hash, hashes)


def write_index(source: Path, target: Path, segment: int, age_us: int) -> bytes:
    """Write the index of a clone; return its hash."""
    index, chance = IndexFile(source), random.Random(segment)
    header = {name: value for name, value in index.header.items() if name != "sections"}
    header["segment"] = segment
    sections = {name: index.bytes_of(name) for name in index.header["sections"]}
    blocks = np.frombuffer(sections["blocks"], BLOCK).copy()
    for name in ("min_created", "max_created", "min_received", "max_received"):
        blocks[name] -= age_us
    sections["blocks"] = blocks.tobytes()
    stride = header["signature"]["stride"]
    at = stride * chance.randrange(1, len(sections["signature"]) // stride)
    sections["signature"] = sections["signature"][at:] + sections["signature"][:at]
    sections["signature_sums"] = stripe_sums(sections["signature"], stride)
    digest = write(target, header, sections)
    target.chmod(0o440)
    return bytes.fromhex(digest)
