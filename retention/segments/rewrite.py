"""Rewrites of segments: carry held records over, merge small packs.

Both use packing/rewriting.py, as a purge does (purging/execution.py): a closed segment is packed
first.
"""

import logging
from collections.abc import Iterable, Sequence

from config.settings import Settings
from retention.holding.holds import Holds
from retention.holding.matching import Catalogued, resolved
from retention.packing.files import unlink_dropped, unlink_orphans
from retention.packing.places import store_to_write
from retention.packing.rewriting import ContentMismatch, Rewritten, build, packed_source, switch
from retention.policy.plan import Action, Step, Stored
from retention.segments.runs import Done, Run
from retention.segments.spare import newest_hold, refuse_newer
from storage.database.connection import Connection
from storage.ledger.entries import enter
from storage.packs.blocks import Block
from storage.packs.errors import PackDamaged
from storage.packs.pack import Pack
from storage.packs.store import PackStore, PacksUnavailable

_log = logging.getLogger(__name__)


async def carry_over(
    connection: Connection,
    settings: Settings,
    run: Run,
    steps: Iterable[Step],
    *,
    deadline_s: float,
) -> None:
    """Copy the held records of due segments to packs of their own, and drop the rest.

    A segment that cannot be copied faithfully is kept whole. Raises TablesBusy.
    """
    due = [step for step in steps if step.action is Action.CARRY]
    if not due:
        return
    try:
        store = await store_to_write(connection, settings)
        await unlink_orphans(connection, store)
    except (PacksUnavailable, OSError) as error:
        _log.critical("%d segments with held records are kept: %s", len(due), error)
        return
    for step in due:
        try:
            await _carry_over(connection, store, run, step, deadline_s=deadline_s)
        except (ContentMismatch, PackDamaged, OSError) as error:
            _log.critical("segment %d is kept: %s", step.stored.segment, error)


async def _carry_over(
    connection: Connection, store: PackStore, run: Run, step: Step, *, deadline_s: float
) -> None:
    stored = step.stored
    known = await newest_hold(connection)
    holds = await Holds.active(connection)
    condition = await resolved(connection, holds.condition)
    source = await packed_source(connection, store, stored.segment, deadline_s=deadline_s)
    left = (await Catalogued.read(connection)).narrowed(condition, stored.segment)

    def dropped(pack: Pack, block: Block) -> Sequence[int]:
        return sorted(set(range(block.rows)) - set(pack.matches(block.number, left)))

    made = await build(connection, store, [source], dropped)

    async def record_change() -> None:
        await refuse_newer(connection, known)
        root = made.root_before
        body = {
            "segment": stored.segment,
            "class": stored.class_name,
            "rows": stored.rows - made.rows,
            "root": root.hex(),
            "policy": step.rule,
            "run": run.run_id,
            "to": made.segment if made.facts else None,
            "kept": made.kept(),
        }
        await enter(connection, "retire", body)
        await run.add(
            Done(
                stored.segment,
                stored.class_name,
                "retire",
                step.rule,
                stored.rows - made.rows,
                made.removed_size,
                root,
                stored.newest,
                made.segment if made.facts else None,
                made.rows,
            )
        )

    await switch(connection, made, record_change, is_hold=True)
    await unlink_dropped(connection, store)


async def merge(
    connection: Connection,
    store: PackStore,
    run: Run,
    sources: Sequence[Stored],
    rule: str,
    *,
    deadline_s: float,
) -> Rewritten:
    """Merge adjacent packs of one class.

    Raises ContentMismatch, PackDamaged, TablesBusy, and OSError where the file cannot be written.
    """
    packs = [
        await packed_source(connection, store, stored.segment, deadline_s=deadline_s)
        for stored in sources
    ]
    made = await build(connection, store, packs)

    async def record_change() -> None:
        body = {
            "from": [stored.segment for stored in sources],
            "to": made.segment,
            "class": made.class_name,
            "rows": made.rows,
            "root": made.root.hex(),
            "run": run.run_id,
        }
        await enter(connection, "merge", body)
        for stored in sources:
            await run.add(
                Done(
                    stored.segment,
                    stored.class_name,
                    "merge",
                    rule,
                    stored.rows,
                    stored.size,
                    stored.digest,
                    stored.newest,
                    made.segment,
                    stored.rows,
                )
            )

    await switch(connection, made, record_change, is_hold=sources[0].is_hold)
    return made
