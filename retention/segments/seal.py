"""Sealing: a closed segment gets its bulk indexes, is read back, frozen, and then never changes.

Every step can be interrupted and repeated. Queries are correct before, during and after; text
search is slow until the end. Freezing and the CHECK, which an old snapshot or a busy leaf can
prevent, are retried in a later pass.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg

from config.settings import StorageSettings
from retention.safety.load import Load, Yielding, lower_priority
from retention.safety.locks import held
from storage import failpoints
from storage.database.connection import Connection
from storage.database.locks import SEAL_SPACE
from storage.database.pool import DatabaseRole, connect
from storage.database.statements import statement
from storage.filtering.conditions import leaf_table
from storage.ledger.entries import enter
from storage.segments.leaves import (
    BULK,
    TRIGRAMS,
    build_index,
    constrain,
    facts_of,
    freeze,
    trigram_opclass,
)
from storage.segments.read_back import ReadPart, read_back, root_of

_log = logging.getLogger(__name__)
_MEMORY = "256MB"
"""maintenance_work_mem: a GIN index of 250,000 rows in one pass (its default is 64MB)."""

Pause = Callable[[], Awaitable[None]]
"""Called between the steps; returns when the job may continue."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """The result of a pass."""

    segments: int = 0
    rows: int = 0
    failed: int = 0


async def seal_all(
    dsn: str, settings: StorageSettings, *, pause: Pause | None = None, longest_s: float = 1800.0
) -> Sealed:
    """Seal closed segments one by one, for about `longest_s` at most.

    Several passes may run at once, each on different segments. A segment that cannot be sealed
    (disk full) is left unchanged, and the next one is tried.
    """
    deadline = time.monotonic() + longest_s
    connection = await connect(dsn, DatabaseRole.OWNER, name="opslog-sealer")
    try:
        await connection.execute(f"SET maintenance_work_mem = '{_MEMORY}'")
        await connection.execute("SET max_parallel_maintenance_workers = 0")
        await lower_priority(connection)
        done, load = Sealed(), Load(connection)
        for row in await connection.fetch(statement("segments_to_seal")):
            if time.monotonic() > deadline:
                break
            waiting = pause or Yielding(load, settings.seal_yield_rows_per_s)
            done = await _try(connection, settings, row["segment"], done, waiting)
        return done
    finally:
        await connection.close()


async def _try(
    connection: Connection,
    settings: StorageSettings,
    segment: int,
    done: Sealed,
    pause: Pause,
) -> Sealed:
    try:
        async with held(connection, SEAL_SPACE, segment) as is_ours:
            rows = await _seal(connection, settings, segment, pause) if is_ours else None
    except _NOT_NOW as error:
        _log.warning(
            "sealing segment %d failed and will be retried: %s (%s)",
            segment,
            error,
            error.sqlstate,
        )
        return Sealed(done.segments, done.rows, done.failed + 1)
    if rows is None:
        return done
    return Sealed(done.segments + 1, done.rows + rows, done.failed)


_NOT_NOW = (
    asyncpg.InsufficientResourcesError,  # disk full, out of memory
    asyncpg.OperatorInterventionError,  # cancelled
    asyncpg.PostgresSystemError,  # the file system refused
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.UndefinedTableError,  # dropped meanwhile
)


async def _seal(
    connection: Connection, settings: StorageSettings, segment: int, pause: Pause
) -> int | None:
    """Seal or finish one segment; returns its rows if it was sealed now."""
    row = await connection.fetchrow(statement("segment_to_seal"), segment)
    if row is None or row["state"] not in {"closed", "sealed"} or row["rows"] is None:
        return None
    if row["state"] == "closed":
        await seal_segment(connection, settings, segment, row["class"], pause=pause)
    await finish(connection, segment, row["after"])
    return row["rows"] if row["state"] == "closed" else None


async def seal_segment(
    connection: Connection,
    settings: StorageSettings,
    segment: int,
    class_name: str,
    *,
    pause: Pause,
) -> None:
    """All steps up to the state `sealed`. The caller holds the segment's lock."""
    began = time.monotonic()
    await index_all(connection, settings, segment, class_name, pause=pause)
    await pause()
    parts = await read_back(connection, segment) if settings.seal_read_back else None
    damage = await compare(connection, segment, class_name, parts) if parts is not None else None
    if damage:
        _log.critical("segment %d differs from what was received: %s", segment, damage)
    root = None if parts is None else root_of(parts.values())
    failpoints.reach("seal.before_commit")
    async with connection.transaction():
        await connection.execute(
            statement("mark_sealed"),
            segment,
            root,
            round((time.monotonic() - began) * 1000),
            damage,
            leaf_table(segment),
        )
        if parts is not None and root is not None:
            body = {
                "segment": segment,
                "class": class_name,
                "rows": sum(part.rows for part in parts.values()),
                "parts": len(parts),
                "root": root.hex(),
            }
            if damage:
                await enter(connection, "corrupt", {"what": body | {"found": damage}, "by": "seal"})
            else:
                await enter(connection, "seal", body)
    _log.info("segment %d of class %s is sealed", segment, class_name)


async def index_all(
    connection: Connection,
    settings: StorageSettings,
    segment: int,
    class_name: str,
    *,
    pause: Pause,
) -> None:
    """Build the bulk indexes of a class, one at a time; existing ones are skipped."""
    for name in BULK:
        await pause()
        await build_index(connection, segment, name)
        failpoints.reach("seal.after_index")
    if class_name in settings.no_trigrams:
        return
    opclass = await trigram_opclass(connection)
    if opclass is None:
        _log.warning(
            "pg_trgm is not installed: text search scans segment %d without an index", segment
        )
        return
    await pause()
    await build_index(connection, segment, TRIGRAMS, opclass)


async def compare(
    connection: Connection, segment: int, class_name: str, parts: dict[int, ReadPart]
) -> str | None:
    """Differences between the parts as received and as read back; None if there are none."""
    known = await connection.fetch(statement("received_parts"), segment)
    missing = [row["batch_id"] for row in known if row["batch_id"] not in parts]
    foreign = parts.keys() - {row["batch_id"] for row in known}
    changed = [
        row["batch_id"]
        for row in known
        if row["batch_id"] in parts and parts[row["batch_id"]].digest(class_name) != row["digest"]
    ]
    found = [
        f"{len(batches)} batches {what}, for instance {min(batches)}"
        for what, batches in (("missing", missing), ("added", foreign), ("changed", changed))
        if batches
    ]
    return "; ".join(found) or None


async def finish(connection: Connection, segment: int, after: str) -> bool:
    """Freeze and constrain a sealed segment; False if that has to be retried later.

    `after`: see storage.leaves.freeze.
    """
    is_frozen = await freeze(connection, segment, after)
    is_constrained = await constrain(connection, segment, await facts_of(connection, segment))
    if is_frozen and is_constrained:
        await connection.execute(statement("mark_finished"), segment)
    return is_frozen and is_constrained
