"""The cost of a thousand segments for a query and a connection; part of bench_retention."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from loadtests.measurements import Measurements
from loadtests.query_client import CpuTime, QueryClient
from storage.database.pool import IDLE_CONNECTION_S, QUERIES_PER_CONNECTION, DatabaseRole, connect
from tests.support.databases import run
from tests.support.product import Product

REPEATS, ROUNDS = 30, 4
PLAN_LIMIT_MS = 5
QUERIES: dict[str, dict[str, str | int]] = {
    "newest 100 ERROR of an hour": {"level": "ERROR", "start": "-1h"},
    "newest 100 of an hour": {"start": "-1h"},
    "an actor of an hour": {"actorId": "u-1000", "start": "-1h"},
    "newest 10 from WARN up": {"minLevel": "WARN", "limit": 10},
}
_CATALOGUE_S = 6.0
"""By then all copies of the catalogue are up to date."""
_MEMORY = "SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts"


def planning(product: Product, clones: Sequence[int], measurements: Measurements) -> None:
    """Run queries over HTTP alternately with and without the clones in the catalogue."""
    found: dict[tuple[str, bool], list[_Cost]] = {}
    for turn in range(2 * ROUNDS):
        has_many = bool(turn % 2)
        _show(product, clones, has_many)
        for what, taken in _run(product).items():
            found.setdefault((what, has_many), []).append(taken)
    for what in QUERIES:
        few, many = (_Cost.best(found[what, has_many]) for has_many in (False, True))
        measurements.report(f"{what}: CPU of query server and database", few.cpu_ms, "ms")
        measurements.report(f"… {len(clones):,} segments more: difference", many.cpu_ms - few.cpu_ms, "ms",
                    PLAN_LIMIT_MS)  # fmt: skip
        measurements.report("… elapsed", many.clock_ms - few.clock_ms, "ms")


@dataclass(frozen=True)
class _Cost:
    """The cost of one query in one round."""

    cpu_ms: float
    clock_ms: float

    @classmethod
    def best(cls, turns: Sequence["_Cost"]) -> "_Cost":
        """Return the minimum: other work on the machine only adds to it."""
        return cls(min(turn.cpu_ms for turn in turns), min(turn.clock_ms for turn in turns))


def _show(product: Product, clones: Sequence[int], are_there: bool) -> None:  # noqa: FBT001
    state, other = ("packed", "retiring") if are_there else ("retiring", "packed")
    product.sql(
        f"UPDATE segments SET state = '{state}' WHERE state = '{other}'"  # noqa: S608 - numbers
        f" AND segment BETWEEN {min(clones)} AND {max(clones)}"
    )
    time.sleep(_CATALOGUE_S)


def _run(product: Product) -> dict[str, _Cost]:
    client, cpu_time = QueryClient(product.api_url, product.token("SUPER_ADMIN")), CpuTime(product)
    found = {}
    for what, pairs in QUERIES.items():
        for _ in range(5):
            client.run("/api/v1/logs", dict(pairs))
        before_ms = sum(cpu_time.ms())
        times = [client.run("/api/v1/logs", dict(pairs)).total_ms for _ in range(REPEATS)]
        cpu_ms = (sum(cpu_time.ms()) - before_ms) / REPEATS
        found[what] = _Cost(cpu_ms, statistics.median(times))
    return found


def memory_of_a_connection(product: Product, measurements: Measurements) -> None:
    """Measure the memory of a reader's connection that has read every segment once and twice."""
    run(_memory(product.installation.database_dsn(), measurements))
    print(
        f"a reader's connection is replaced after {QUERIES_PER_CONNECTION[DatabaseRole.READER]:,}"
        f" statements, or {IDLE_CONNECTION_S:.0f} s without any"
    )


async def _memory(dsn: str, measurements: Measurements) -> None:
    connection = await connect(dsn, DatabaseRole.READER, name="bench-reader")
    leaves = [
        row["segment"]
        for row in await connection.fetch(
            "SELECT segment FROM segments WHERE state IN ('open', 'closed')"
        )
    ]
    await _wave(connection, leaves[:8])
    measurements.report(
        "memory of a connection that has read 8 segments", await _mib(connection), "MiB"
    )
    for words in (f"… all {len(leaves):,}", "… all of them twice"):
        for begin in range(0, len(leaves), 8):
            await _wave(connection, leaves[begin : begin + 8])
        measurements.report(words, await _mib(connection), "MiB")
    await connection.close()


async def _mib(connection: "asyncpg.Connection[asyncpg.Record]") -> float:
    await connection.execute("RESET ROLE")  # readers may not look into memory
    size: int = await connection.fetchval(_MEMORY)
    await connection.execute(f"SET ROLE {DatabaseRole.READER.value}")
    return size / 2**20


async def _wave(connection: "asyncpg.Connection[asyncpg.Record]", leaves: Sequence[int]) -> None:
    parts = [
        f"(SELECT id, created_at FROM system_logs_s{leaf} WHERE trace_id = $1"  # noqa: S608 - numbers
        " ORDER BY created_at DESC LIMIT 10)"
        for leaf in leaves
    ]
    await connection.fetch(" UNION ALL ".join(parts), "00000000-0000-0000-0000-000000000001")
