"""Many sealed segments from one, for benchmarks of work on whole segments.

`large` clones a segment file by file while the server is down: rows, indexes and catalogue
statistics are those of a segment that was really received and sealed; only its number and age differ.
(The rows still contain the old number, so nothing reads them; they are dropped.) `small` ones get some
hundred of its rows each, by INSERT.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import asyncpg

from storage.database.pool import DatabaseRole, connect
from storage.segments.leaves import BULK, TRIGRAMS, build_index, trigram_opclass
from tests.support.databases import run
from tests.support.product import Product

_CATALOGUE = """
INSERT INTO segments (segment, class, state, rows, bytes, min_created_at, max_created_at, odd_times,
       min_received_at, max_received_at, opened_at, closed_at, sealed_at, finished_at, digest,
       disk_bytes)
SELECT $1, class, 'sealed', $3, bytes * $3 / rows, min_created_at - a.age, max_created_at - a.age,
       odd_times, min_received_at - a.age, max_received_at - a.age, opened_at - a.age,
       closed_at - a.age, sealed_at - a.age, now(), digest, disk_bytes * $3 / rows
  FROM segments, (SELECT make_interval(days => $4) AS age) AS a WHERE segment = $2
"""
_BESIDE = (
    """INSERT INTO ingest_parts SELECT (jsonb_populate_record(p, jsonb_build_object('segment', $1::int))).*
         FROM ingest_parts AS p WHERE segment = $2""",
    """INSERT INTO log_counts SELECT (jsonb_populate_record(c, jsonb_build_object('segment', $1::int))).*
         FROM log_counts AS c WHERE segment = $2""",
    """INSERT INTO log_counts_hourly
       SELECT (jsonb_populate_record(c, jsonb_build_object('segment', $1::int))).*
         FROM log_counts_hourly AS c WHERE segment = $2""",
)
_STATISTICS = """
DO $$
DECLARE
    columns text := (SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute
                      WHERE attrelid = 'pg_statistic'::regclass AND attnum > 1);
    leaf regclass;
BEGIN
    FOR leaf IN SELECT format('system_logs_s%s', n)::regclass
                  FROM generate_series({first}, {last}) AS n LOOP
        EXECUTE format('INSERT INTO pg_statistic (starelid, %1$s) SELECT %2$s, %1$s
                          FROM pg_statistic WHERE starelid = %3$s',
                       columns, leaf::oid, 'system_logs_s{source}'::regclass::oid);
        UPDATE pg_class AS c
           SET (relpages, reltuples, relallvisible) = (o.relpages, o.reltuples, o.relallvisible)
          FROM pg_class AS o WHERE o.oid = 'system_logs_s{source}'::regclass AND c.oid = leaf;
    END LOOP;
END $$
"""
"""The result of ANALYZE; without it the planner scans clones."""
_FILES = """
SELECT substr(relname, length($1) + 1) AS part, pg_relation_filepath(oid) AS path
  FROM pg_class WHERE relname ~ ('^' || $1 || '(_[a-z]+)?$') AND relkind IN ('r', 'i')
"""


def large(product: Product, source: int, many: int, age_days: int) -> list[int]:
    """Create `many` whole clones of that age; opslog is restarted for it."""
    home = Path(product.sql("SHOW data_directory")[0][0])
    pairs = run(_empty_clones(product.installation.database_dsn(), source, many, age_days))
    product.sql("CHECKPOINT")  # so that recovery does not rewrite them
    product.stop()
    for numbers in pairs.values():
        for from_path, to_path in numbers:
            _copy(home / from_path, home / to_path)
    os.sync()
    product.start()
    product.sql(_STATISTICS.format(source=source, first=min(pairs), last=max(pairs)))
    return list(pairs)


async def _empty_clones(
    dsn: str, source: int, many: int, age_days: int
) -> dict[int, list[tuple[str, str]]]:
    connection = await connect(dsn, DatabaseRole.OWNER)
    rows = await connection.fetchval("SELECT rows FROM segments WHERE segment = $1", source)
    opclass = await trigram_opclass(connection)
    from_paths = dict(await connection.fetch(_FILES, f"system_logs_s{source}"))
    found = {}
    for _ in range(many):
        number = await _leaf(connection)
        for name in BULK:
            await build_index(connection, number, name)
        await build_index(connection, number, TRIGRAMS, opclass)
        await connection.execute(_CATALOGUE, number, source, rows, age_days)
        for text in _BESIDE:
            await connection.execute(text, number, source)
        to_paths = dict(await connection.fetch(_FILES, f"system_logs_s{number}"))
        found[number] = [(from_paths[part], path) for part, path in to_paths.items()]
    await connection.close()
    return found


def small(product: Product, source: int, rows: int, ages_days: Iterable[int]) -> list[int]:
    """Create small segments, one for each age."""
    return run(_filled(product.installation.database_dsn(), source, rows, ages_days))


async def _filled(dsn: str, source: int, rows: int, ages_days: Iterable[int]) -> list[int]:
    connection = await connect(dsn, DatabaseRole.OWNER)
    columns = await connection.fetchval(
        "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
        " WHERE attrelid = 'system_logs'::regclass AND attnum > 0 AND attname <> 'segment'"
    )
    found = []
    for age_days in ages_days:
        number = await _leaf(connection)
        await connection.execute(
            f"INSERT INTO system_logs_s{number} ({columns}) SELECT {columns}"  # noqa: S608 - numbers
            f" FROM system_logs_s{source} OFFSET {number % 50 * rows} LIMIT {rows}"
        )
        for name in BULK:
            await build_index(connection, number, name)
        await connection.execute(_CATALOGUE, number, source, rows, age_days)
        found.append(number)
    await connection.close()
    return found


async def _leaf(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    number: int = await connection.fetchval("SELECT nextval('segment_numbers')::int")
    await connection.execute("SELECT opslog_make_leaf($1)", number)
    return number


def _copy(source: Path, target: Path) -> None:
    """Copy a relation with its free space and visibility maps; keep the target's owner."""
    owner = target.stat()
    for fork in ("", "_fsm", "_vm"):
        from_path, to_path = (path.with_name(path.name + fork) for path in (source, target))
        if from_path.exists():
            shutil.copyfile(from_path, to_path)
            os.chown(to_path, owner.st_uid, owner.st_gid)
            to_path.chmod(owner.st_mode & 0o777)
