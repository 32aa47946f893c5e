"""The storage side of a process: spool, writer, segment keeper, ledger sequencer.

Receivers have one, and so do query servers for their access audit.

    async with Storing.open(installation, "receiver-0") as storing:
        await storing.spool.append(frame)

On shutdown, the spool is drained to PostgreSQL for a few seconds; the rest stays in the spool.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from config.process.health import OK, Check, Finding, State
from opslog.installation.installation import Installation
from storage.database.connection import Pool
from storage.database.pool import DatabaseRole, open_pool
from storage.errors import SpoolBusy
from storage.ledger.sequencer import Sequencer
from storage.ledger.tree.heads import Heads
from storage.metrics import StorageMetrics
from storage.segments.rollover import SegmentKeeper
from storage.spool.files import other_spools, quarantined_in
from storage.spool.spool import Spool
from storage.writing.writer import Writer

_log = logging.getLogger(__name__)
_METRICS_EVERY_S = 1.0
_DRAIN_S = 5.0
_ADOPT_EVERY_S = 30.0


@dataclass(slots=True)
class Storing:
    """Spool and writer of one process."""

    spool: Spool
    writer: Writer
    keeper: SegmentKeeper
    sequencer: Sequencer
    heads: Heads
    heads_late_s: float
    """Published heads older than this are reported."""
    pool: Pool
    """As opslog_writer, also for other writes of the process (key use, replay)."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, installation: Installation, name: str, *, classes: Iterable[str] = ()
    ) -> AsyncIterator["Storing"]:
        """Start everything; on exit, drain the spool for a few seconds.

        Raises:
            SpoolBusy: another process uses this spool.
        """
        settings = installation.settings
        async with AsyncExitStack() as stack:
            pool = await stack.enter_async_context(
                await open_pool(
                    installation.database_dsn(),
                    DatabaseRole.WRITER,
                    size=settings.writer.connections + 3,
                    name=f"opslog-{name}",
                )
            )
            keeper = SegmentKeeper(installation.database_dsn(), settings.storage, classes=classes)
            spool = await Spool.open(
                installation.spool_dir(name), settings.spool, settings.writer.memory_bytes
            )
            stack.push_async_callback(spool.close)
            heads = _heads(installation)
            sequencer = Sequencer(
                installation.database_dsn(), installation.evidence_keys(), heads, settings.ledger
            )
            writer = _writer(pool, spool, installation, keeper)
            late_s = settings.ledger.heartbeat_s * 2
            storing = cls(spool, writer, keeper, sequencer, heads, late_s, pool)
            tasks = [
                asyncio.create_task(work, name=f"{name}: {what}")
                for what, work in storing._works(installation).items()
            ]
            for task in tasks:
                task.add_done_callback(_log_failure)
            stack.push_async_callback(storing._end, tasks)
            yield storing

    def _works(self, installation: Installation) -> Mapping[str, Coroutine[Any, Any, None]]:
        return {
            "writer": self.writer.run(),
            "segments": self.keeper.run(),
            "ledger": self.sequencer.run(),
            "metrics": self._update_metrics(),
            "adoption": self._adopt(installation),
        }

    async def _end(self, tasks: Iterable["asyncio.Task[None]"]) -> None:
        if not self.writer.state.away_since:
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_S):
                    await self.spool.drained()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _update_metrics(self) -> None:
        metrics = StorageMetrics(self.spool.state, self.writer.state)
        while True:
            metrics.note()
            await asyncio.sleep(_METRICS_EVERY_S)

    async def _adopt(self, installation: Installation) -> None:
        """Drain spools next to ours that no process owns, for instance of a removed receiver.

        Not those of our configured processes, which may be about to start: a spool that is adopted
        is locked until all of it is in the database.
        """
        expected = {*installation.receiver_names, *installation.query_names}
        while True:
            for folder in other_spools(self.spool.folder):
                if folder.name in expected:
                    continue
                try:
                    spool = await Spool.open(
                        folder,
                        installation.settings.spool,
                        installation.settings.writer.memory_bytes,
                        adopt=True,
                    )
                except SpoolBusy:
                    continue
                try:
                    if not spool.is_drained():
                        _log.info("adopting spool %s: %d rows", folder, spool.state.waiting_rows)
                        await _drain(spool, _writer(self.pool, spool, installation, self.keeper))
                finally:
                    await spool.close()
            await asyncio.sleep(_ADOPT_EVERY_S)

    def checks(self) -> dict[str, Check]:
        """The checks of /readyz for this side."""
        return {
            "spool": self._check_spool,
            "database": self._check_database,
            "segments": self._check_segments,
            "ledger": self._check_ledger,
        }

    async def _check_spool(self) -> Finding:
        spool = self.spool
        if spool.identity.spool_id is None:
            return Finding(State.FAILED, "waiting for the first contact with the database")
        if not spool.has_space():
            reason = spool.state.failure or (
                f"{spool.state.used_bytes} of {spool.limit_bytes} bytes used, or the disk is nearly"
                " full; exports get 503"
            )
            return Finding(State.FAILED, reason)
        if spool.state.untouched_files:
            return Finding(State.DEGRADED, "; ".join(spool.state.untouched_files))
        if quarantined := await asyncio.to_thread(quarantined_in, spool.folder):
            rows = sum(each.rows for each in quarantined)
            return Finding(
                State.DEGRADED,
                f"{len(quarantined)} damaged frames with {rows} known rows are in"
                f" {spool.folder / 'quarantine'}: inspect them, then move them away",
            )
        return OK

    async def _check_database(self) -> Finding:
        state = self.writer.state
        if not state.away_since:
            return OK
        return Finding(
            State.DEGRADED,
            f"unavailable for {time.time() - state.away_since:.0f} s"
            f" ({state.away_reason}); {self.spool.state.waiting_rows} rows wait in the spool",
        )

    async def _check_segments(self) -> Finding:
        return Finding(State.DEGRADED, self.keeper.problem) if self.keeper.problem else OK

    async def _check_ledger(self) -> Finding:
        """Age of the newest head published by any process of this machine."""
        if self.sequencer.problem:
            return Finding(State.DEGRADED, self.sequencer.problem)
        age_s = await asyncio.to_thread(self.heads.age_s)
        if age_s is None:
            return Finding(State.OK, "no head has been published from this machine yet")
        reason = f"the latest head was published {age_s:.0f} s ago"
        late = age_s > self.heads_late_s
        return Finding(State.DEGRADED if late else State.OK, reason)


def _heads(installation: Installation) -> Heads:
    settings = installation.settings.ledger
    token = settings.publish_token
    return Heads(
        installation.heads_dir,
        url=settings.publish_url,
        token=token.get_secret_value() if token else "",
        push_every_s=settings.publish_every_s,
    )


def _writer(pool: Pool, spool: Spool, installation: Installation, keeper: SegmentKeeper) -> Writer:
    settings = installation.settings
    return Writer(
        pool,
        spool,
        settings.writer,
        duplicate_window_s=settings.otlp.duplicate_window_s,
        note=keeper.note,
    )


async def _drain(spool: Spool, writer: Writer) -> None:
    writing = asyncio.create_task(writer.run())
    try:
        await spool.drained()
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


def _log_failure(task: "asyncio.Task[None]") -> None:
    """Log a background task that has failed: a bug, since the process depends on it."""
    if not task.cancelled() and task.exception() is not None:
        _log.critical("%s has stopped", task.get_name(), exc_info=task.exception())
