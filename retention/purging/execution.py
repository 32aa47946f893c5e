"""Executes confirmed purges: every segment with matching records is rewritten without them.

An interrupted purge is resumed by the next run: rewritten segments have no matching records left,
the others are scanned again.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from config.settings import Settings
from retention.expiry.run import PATIENCE_S
from retention.packing.files import unlink_dropped, unlink_orphans
from retention.packing.places import store_to_write
from retention.packing.rewriting import ContentMismatch, Rewritten, build, packed_source, switch
from retention.policy.catalogue import policies_in_force
from retention.policy.plan import Stored
from retention.purging.scope import Scope
from retention.safety.locks import held
from retention.segments.runs import Done, Report, Run
from retention.segments.spare import newest_hold, refuse_newer
from storage.database.connection import Connection
from storage.database.locks import RETENTION_SPACE
from storage.database.pool import DatabaseRole, connect
from storage.database.statements import statement
from storage.filtering.filter_json import load
from storage.filtering.filters import Filter
from storage.ledger.encodings import forget_secrets
from storage.ledger.entries import enter
from storage.packs.errors import PackDamaged
from storage.packs.store import PacksUnavailable, store_at
from storage.segments.dropping import TablesBusy
from storage.segments.rollover import open_segment

_log = logging.getLogger(__name__)

_LONGEST_REMOVED = 20_000
"""Up to this many removed rows are listed in the ledger; above it, the kept ones are."""


@dataclass(frozen=True, slots=True)
class ConfirmedPurge:
    """A confirmed purge."""

    purge_id: int
    condition: Filter
    why: str
    requested_at: datetime
    confirmed_by: str


async def run_confirmed_purges(dsn: str, settings: Settings) -> list[Report]:
    """Run every confirmed purge that is not finished yet."""
    connection = await connect(dsn, DatabaseRole.OWNER, name="opslog-retention")
    try:
        waiting = await connection.fetch(statement("confirmed_purges"))
        if not waiting:
            return []
        async with held(connection, RETENTION_SPACE) as is_ours:
            if not is_ours:
                return []
            waiting = await connection.fetch(statement("confirmed_purges"))
            return [await _PurgeRun(connection, settings, _confirmed(row)).run() for row in waiting]
    finally:
        await connection.close()


def _confirmed(row: "asyncpg.Record") -> ConfirmedPurge:
    return ConfirmedPurge(
        row["purge_id"], load(row["filter"]), row["why"], row["requested_at"], row["confirmed_by"]
    )


class _PurgeRun:
    """One purge being executed."""

    def __init__(self, connection: Connection, settings: Settings, order: ConfirmedPurge) -> None:
        self._connection = connection
        self._settings = settings
        self._order = order

    async def run(self) -> Report:
        """Purge all segments; those that are busy are left for the next run."""
        connection, order = self._connection, self._order
        store = store_at(self._settings.packs_dir)
        if store is not None and store.directory.is_dir():
            await unlink_orphans(connection, store)
        await self._close_open()
        known = await newest_hold(connection)
        scope = await self._scope()
        policies = await policies_in_force(connection, self._settings.retention, scope.segments)
        run = await Run.begin(connection, "purge", order.confirmed_by, policies)
        await connection.execute(statement("begin_purge"), order.purge_id, run.run_id)
        notes: list[str] = []
        deadline_s = time.monotonic() + PATIENCE_S
        for stored in scope.segments:
            try:
                await self._purge(run, scope, stored, deadline_s, known)
            except (ContentMismatch, PackDamaged, PacksUnavailable, TablesBusy, OSError) as error:
                notes.append(f"segment {stored.segment}: {error}")
                _log.error("purge %d: %s", order.purge_id, notes[-1])
        if not notes:
            await connection.execute(statement("end_purge"), order.purge_id)
        outcome, note = ("stopped" if notes else "done"), "; ".join(notes)
        await run.end(outcome, note)
        return Report(outcome, run.run_id, run.segments, run.rows, run.size, note)

    async def _scope(self) -> Scope:
        order = self._order
        return await Scope.read(
            self._connection, self._settings, order.condition, order.requested_at
        )

    async def _close_open(self) -> None:
        """Roll over open segments with matching records: only closed ones can be rewritten."""
        connection, scope = self._connection, await self._scope()
        for stored in scope.segments:
            if stored.state == "open" and (await scope.count(connection, stored)).purgeable:
                number = await open_segment(connection, stored.class_name)
                if number == stored.segment:
                    await connection.execute(statement("roll_segment"), stored.class_name, number)
        await connection.execute(statement("settle_segments"))

    async def _purge(
        self, run: Run, scope: Scope, stored: Stored, deadline_s: float, known: int
    ) -> None:
        connection = self._connection
        if not (await scope.count(connection, stored)).purgeable:
            return
        store = await store_to_write(connection, self._settings)
        source = await packed_source(connection, store, stored.segment, deadline_s=deadline_s)
        made = await build(
            connection,
            store,
            [source],
            lambda pack, block: scope.rows_to_purge(pack, block, stored),
            stores_nonces=True,
        )
        if not made.removed:
            store.unlink(made.class_name, made.segment)
            return

        async def record_change() -> None:
            await refuse_newer(connection, known)
            await forget_secrets(connection, sorted(made.stored), made.class_name)
            await self._record(run, stored, made)

        await switch(connection, made, record_change, is_hold=stored.is_hold)
        await unlink_dropped(connection, store)

    async def _record(self, run: Run, stored: Stored, made: Rewritten) -> None:
        """Enter the result in the ledger and the run, in the transaction of the switch."""
        connection, order = self._connection, self._order
        gone, size = len(made.removed), made.removed_size
        to = made.segment if made.facts else None
        body: dict[str, object] = {
            "from": [stored.segment],
            "to": to,
            "class": made.class_name,
            "rows": made.rows,
            "root": made.root.hex(),
            "removed": [],
            "by": order.confirmed_by,
            "reason": order.why,
            "purge": order.purge_id,
            "run": run.run_id,
        }
        if gone <= _LONGEST_REMOVED:
            body["removed"] = [[batch, at, leaf.hex()] for batch, at, leaf in made.removed]
        else:
            body["kept"] = made.kept()
        await enter(connection, "purge", body)
        await connection.execute(statement("note_purged"), order.purge_id, gone, size)
        await run.add(
            Done(
                stored.segment,
                stored.class_name,
                "purge",
                f"purge {order.purge_id}",
                gone,
                size,
                made.root_before,
                stored.newest,
                to,
                made.rows,
            )
        )
