"""Packs closed segments until none waits, and finishes what interrupted runs have left."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import asyncpg

from config.settings import Settings
from retention.packing.files import unlink_dropped
from retention.packing.leaves import drop_abandoned, drop_leaf_held, drop_leaves, forget_parts
from retention.packing.pack import NotClosed, pack_segment
from retention.packing.places import store_to_write
from retention.safety.load import SAMPLE_S, Load, lower_priority
from retention.safety.locks import held
from storage.database.connection import Connection
from storage.database.locks import PACK_SPACE
from storage.database.pool import DatabaseRole, connect
from storage.database.statements import statement
from storage.packs.errors import PackDamaged
from storage.packs.store import PackStore, PacksUnavailable
from storage.segments.dropping import TablesBusy

_log = logging.getLogger(__name__)

BUSY_ROWS_PER_S = 2_000
"""Packing yields to ingest above this rate, for storage.pack_max_lag_s at most."""
_LEASE_S = 60.0
"""How long other packers leave a claimed segment alone.

Its lock protects it for longer, unless its packer was killed.
"""
_RETRY_S = 60.0
_PATIENCE_S = 5.0
"""For the leaf of a segment just packed: whoever reads it may finish, a later run removes it."""

_NOT_NOW = (
    asyncpg.InsufficientResourcesError,  # disk full, out of memory
    asyncpg.OperatorInterventionError,  # cancelled
    asyncpg.PostgresSystemError,  # the file system refused
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.UndefinedTableError,  # dropped meanwhile
    asyncpg.DataCorruptedError,
    PackDamaged,
)


@dataclass(frozen=True, slots=True)
class PackRun:
    """The result of a pass."""

    segments: int = 0
    rows: int = 0
    failed: int = 0
    note: str = ""


async def pack_all(
    dsn: str, settings: Settings, *, longest_s: float = 1800.0, yields: bool = True
) -> PackRun:
    """Pack closed segments one by one, for about `longest_s` at most.

    Several passes may run at once, each on other segments. A segment that cannot be packed now is
    left unchanged and tried again; where the disk refuses, the pass ends.
    """

    async def work(one: _Pass) -> None:
        await lower_priority(one.connection)
        try:
            await one.pack_until(time.monotonic() + longest_s)
        except OSError as error:
            _log.error("packing stopped: %s", error)
            raise

    return await _run(dsn, settings, work, yields=yields)


async def pack_named(
    dsn: str, settings: Settings, segments: Sequence[int], *, again: bool = False
) -> PackRun:
    """Pack these closed segments, or all, at once; `again`: whatever was found before."""

    async def work(one: _Pass) -> None:
        rows = await one.connection.fetch(statement("closed_segments"), again)
        found = [row["segment"] for row in rows]
        for segment in segments or found:
            async with held(one.connection, PACK_SPACE, segment) as is_ours:
                if is_ours:
                    await one.pack(segment, again=again)
        missing = sorted(set(segments) - set(found))
        if missing and not one.done.note:
            note = f"not closed, or found damaged: {', '.join(map(str, missing))}"
            one.done = replace(one.done, note=note)

    return await _run(dsn, settings, work, yields=False)


async def _run(
    dsn: str, settings: Settings, work: Callable[["_Pass"], Awaitable[None]], *, yields: bool
) -> PackRun:
    connection = await connect(dsn, DatabaseRole.OWNER, name="opslog-packer")
    try:
        try:
            store = await store_to_write(connection, settings)
        except PacksUnavailable as error:
            return PackRun(note=str(error))
        one = _Pass(connection, settings, store, yields=yields)
        try:
            await work(one)
        except OSError as error:
            one.done = replace(one.done, failed=one.done.failed + 1, note=str(error))
        await finish(connection, store)
        return one.done
    finally:
        await connection.close()


async def finish(connection: Connection, store: PackStore) -> None:
    """What packing leaves for later: leaves of packed segments, their parts, files of old packs.

    Also what interrupted unpacking has left.
    """
    try:
        await drop_leaves(connection, deadline_s=time.monotonic() + _PATIENCE_S)
    except TablesBusy as error:
        _log.info("leaves of packed segments stay for now: %s", error)
    await drop_abandoned(connection)
    await forget_parts(connection)
    await unlink_dropped(connection, store)


class _Pass:
    """One pass of one packer."""

    def __init__(
        self, connection: Connection, settings: Settings, store: PackStore, *, yields: bool
    ) -> None:
        self.done = PackRun()
        self.connection = connection
        self._storage = settings.storage
        self._store = store
        self._load = Load(connection) if yields else None

    async def pack_until(self, deadline_s: float) -> None:
        """Claim and pack. Raises OSError where files cannot be written."""
        while time.monotonic() < deadline_s and await self._may_begin(deadline_s):
            segment: int | None = await self.connection.fetchval(
                statement("claim_segment"), self._storage.pack_after, _LEASE_S
            )
            if segment is None:
                return
            async with held(self.connection, PACK_SPACE, segment) as is_ours:
                if is_ours:
                    await self.pack(segment)

    async def _may_begin(self, deadline_s: float) -> bool:
        """Whether a segment waits, after yielding to ingest."""
        while True:
            waited_s: float | None = await self.connection.fetchval(
                statement("longest_waiting"), self._storage.pack_after, _LEASE_S
            )
            if waited_s is None or self._load is None:
                return waited_s is not None
            lag_s = waited_s - self._storage.pack_after
            if lag_s >= self._storage.pack_max_lag_s:
                return True
            if await self._load.rate() <= BUSY_ROWS_PER_S:
                return True
            if time.monotonic() > deadline_s:
                return False
            await asyncio.sleep(SAMPLE_S)

    async def pack(self, segment: int, *, again: bool = False) -> None:
        """Pack one segment whose lock we hold. Raises OSError where files cannot be written."""
        done = self.done
        try:
            packed = await pack_segment(self.connection, self._store, segment, again=again)
        except NotClosed:
            return
        except _NOT_NOW as error:
            _log.warning("packing segment %d failed and will be retried: %s", segment, error)
            await self._end_claim(segment)
            self.done = replace(done, failed=done.failed + 1)
            return
        except OSError:
            await self._end_claim(segment)
            raise
        except asyncio.CancelledError:
            await self._end_claim(segment, wait_s=0)
            raise
        if packed.damage:
            self.done = replace(done, failed=done.failed + 1)
            return
        self.done = replace(done, segments=done.segments + 1, rows=done.rows + packed.rows)
        try:
            await drop_leaf_held(
                self.connection, segment, deadline_s=time.monotonic() + _PATIENCE_S
            )
        except TablesBusy as error:
            _log.info("the leaf of segment %d stays for now: %s", segment, error)

    async def _end_claim(self, segment: int, *, wait_s: float = _RETRY_S) -> None:
        if not self.connection.is_closed():
            await self.connection.execute(statement("end_claim"), segment, wait_s)
