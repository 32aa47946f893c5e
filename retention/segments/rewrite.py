"""Rewrites of segments: carry held records over, merge small segments.

Both use storage/segments/rewriting.py, as a purge does (purging/execution.py).
"""

import logging
import time
from collections.abc import Sequence

from config.settings import Settings
from retention.holding.holds import Holds
from retention.holding.matching import Catalogued, resolved, selection
from retention.policy.plan import Step, Stored
from retention.segments.runs import Done, Run
from retention.segments.seal import index_all
from retention.segments.spare import newest_hold, refuse_newer
from storage.database.connection import Connection
from storage.database.statements import statement
from storage.ledger.entries import enter
from storage.segments.dropping import drop
from storage.segments.leaves import build_live_indexes, constrain, current_xid, facts_of, freeze
from storage.segments.rewriting import ALL, ContentMismatch, Copy, Selection, copy, switch

_log = logging.getLogger(__name__)

MERGE_PATIENCE_S = 30.0
"""Merging is not urgent."""


async def prepare_copy(
    connection: Connection,
    settings: Settings,
    sources: Sequence[Stored],
    chosen: Selection = ALL,
) -> tuple[Copy, bool]:
    """Make a copy with all that a sealed segment has; also returns whether it is frozen.

    Raises ContentMismatch; nothing was changed then.
    """
    class_name = sources[0].class_name
    made = await copy(connection, [stored.segment for stored in sources], class_name, chosen)
    if not made.rows:
        return made, True
    after = await current_xid(connection)
    await build_live_indexes(connection, made.segment)
    await index_all(connection, settings.storage, made.segment, class_name, pause=_no_pause)
    facts = await facts_of(connection, made.segment)
    is_constrained = await constrain(connection, made.segment, facts)
    return made, await freeze(connection, made.segment, after) and is_constrained


async def _no_pause() -> None:
    """Rewrites are requested or small, so they do not yield to ingest."""


async def carry_over(
    connection: Connection, settings: Settings, run: Run, step: Step, *, deadline_s: float
) -> None:
    """Copy the held records of a due segment to a new segment, and drop the rest.

    A segment that cannot be copied faithfully is kept whole. Raises TablesBusy.
    """
    stored = step.stored
    known = await newest_hold(connection)
    holds = await Holds.active(connection)
    condition = await resolved(connection, holds.condition)
    catalogued = await Catalogued.read(connection)
    chosen = selection(catalogued.narrowed(condition, stored.segment))
    try:
        made, is_finished = await prepare_copy(connection, settings, [stored], chosen)
    except ContentMismatch as error:
        _log.critical("segment %d is kept: %s", stored.segment, error)
        return

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
            "to": made.segment,
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
                stored.size - made.size,
                root,
                stored.newest,
                made.segment if made.rows else None,
                made.rows,
            )
        )

    await switch(
        connection,
        made,
        record_change,
        is_hold=True,
        is_finished=is_finished,
        deadline_s=deadline_s,
    )
    await drop_replaced(connection, stored.segment, deadline_s=deadline_s)


async def drop_replaced(connection: Connection, segment: int, *, deadline_s: float) -> None:
    """Drop a leaf whose rows were moved; the ledger entry was made with the move."""

    async def record_change() -> None:
        await connection.execute(statement("mark_dropped"), [segment])

    await drop(connection, [segment], record_change, deadline_s=deadline_s)


async def merge(
    connection: Connection, settings: Settings, run: Run, sources: Sequence[Stored], rule: str
) -> Copy:
    """Merge adjacent segments of one class. Raises ContentMismatch, TablesBusy."""
    made, is_finished = await prepare_copy(connection, settings, sources)

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

    await switch(
        connection,
        made,
        record_change,
        is_hold=sources[0].is_hold,
        is_finished=is_finished,
        deadline_s=time.monotonic() + MERGE_PATIENCE_S,
    )
    return made
