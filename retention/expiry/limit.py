"""The size limit: drops the oldest segments of the lowest level early, and logs it.

Minimum ages and holds are respected; audit records come last and are kept for at least a year. A
store that stays above the limit is reported as a problem.
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from config.retention import AUDIT
from config.settings import RetentionSettings, Settings
from config.units import size_text
from retention.expiry.run import PATIENCE_S, mark
from retention.holding.holds import Holds
from retention.policy.catalogue import policies_in_force, stored_segments
from retention.policy.plan import FINAL_STATES, Action, Step, Stored
from retention.policy.rules import Policy
from retention.safety.clock import observe
from retention.safety.locks import held
from retention.segments.retire import drop_retiring
from retention.segments.rewrite import carry_over
from retention.segments.runs import Report, Run
from storage.database.connection import Connection
from storage.database.locks import RETENTION_SPACE
from storage.database.pool import DatabaseRole, connect
from storage.database.statements import statement
from storage.packs.store import PackStore, store_at
from storage.record.classes import CLASS_BY_LEVEL
from storage.segments.dropping import TablesBusy

_log = logging.getLogger(__name__)
RULE = "storage.max_bytes"
_TOLERATED_PART = 10
"""An excess above one tenth of the limit is a problem even while segments can be dropped."""


async def enforce_size_limit(dsn: str, settings: Settings) -> Report | None:
    """Drop the excess over storage.max_bytes; None without a limit, or below it."""
    most = settings.storage.max_bytes
    if not most:
        return None
    connection = await connect(dsn, DatabaseRole.OWNER, name="opslog-retention")
    try:
        excess = await _size(connection) - most
        if excess <= 0:
            return None
        async with held(connection, RETENTION_SPACE) as is_ours:
            return await _drop_excess(connection, settings, excess) if is_ours else None
    finally:
        await connection.close()


async def _drop_excess(connection: Connection, settings: Settings, excess: int) -> Report | None:
    now = (await observe(connection)).at
    segments = await stored_segments(connection)
    found = await policies_in_force(connection, settings.retention, segments)
    sizes = {
        row["segment"]: row["size"] for row in await connection.fetch(statement("segment_sizes"))
    }
    store = store_at(settings.packs_dir)
    order = candidates(segments, found, settings.retention, now)
    steps: list[Step] = []

    async def choose(holds: Holds) -> list[int]:
        steps[:] = await _steps(connection, store, order, holds, sizes=sizes, excess=excess)
        return [step.stored.segment for step in steps if step.action is Action.DROP]

    run: Run | None = None
    try:
        await mark(connection, now, choose)
        if not steps:
            _log.error(
                "the store is %s over %s, and nothing may be dropped", size_text(excess), RULE
            )
            return None
        run = await Run.begin(connection, "limit", RULE, found)
        deadline_s = time.monotonic() + PATIENCE_S
        await carry_over(connection, settings, run, steps, deadline_s=deadline_s)
        await drop_retiring(connection, store, run, found, deadline_s=deadline_s, rule=RULE)
    except TablesBusy as error:
        if run is None:
            return None
        await run.end("stopped", str(error))
        return Report("stopped", run.run_id, run.segments, run.rows, run.size, str(error))
    await run.count()
    note = f"{size_text(excess)} over {RULE}: {run.rows} rows removed early"
    await run.end("done", note)
    _log.error("size limit: %s", note)
    return Report("done", run.run_id, run.segments, run.rows, run.size, note)


async def _steps(
    connection: Connection,
    store: PackStore | None,
    order: Sequence[Stored],
    holds: Holds,
    *,
    sizes: Mapping[int, int],
    excess: int,
) -> list[Step]:
    """Steps that free the excess, in `order`. Held rows are counted only where needed."""
    found: list[Step] = []
    left, missing = list(order), excess
    while left and missing > 0:
        batch = left[: len(enough([each.segment for each in left], sizes, missing))]
        on_hold = await holds.count(connection, store, batch)
        for stored in batch:
            held_rows = on_hold.get(stored.segment, 0)
            if not held_rows or held_rows < stored.rows:
                action = Action.CARRY if held_rows else Action.DROP
                due_at = stored.newest or stored.closed_at or datetime.now(UTC)
                found.append(Step(stored, RULE, due_at, action, held_rows))
                missing -= sizes.get(stored.segment, 0)
        left = left[len(batch) :]
    return found


def candidates(
    segments: Iterable[Stored],
    policies: Mapping[str, Policy],
    settings: RetentionSettings,
    now: datetime,
) -> list[Stored]:
    """Segments that may be dropped to free space, by level, then by age. Pure."""
    rank = ranks(settings)
    droppable = [
        stored
        for stored in segments
        if stored.state in FINAL_STATES
        and not stored.is_hold
        and stored.class_name in policies
        and (stored.newest is None or now - stored.newest >= policies[stored.class_name].floor)
    ]
    return sorted(
        droppable,
        key=lambda each: (
            rank.get(each.class_name, len(CLASS_BY_LEVEL)),
            each.newest or now,
            each.segment,
        ),
    )


def ranks(settings: RetentionSettings) -> dict[str, int]:
    """Class to its rank: its level, or the lowest level of its rule; others, then audit, last."""
    found = {name: rank for rank, name in enumerate(CLASS_BY_LEVEL)}
    for rule in settings.rules:
        if not rule.is_by_level:
            levels = [found[level.lower()] for level in rule.level]
            found[rule.name] = min(levels, default=len(CLASS_BY_LEVEL))
    return found | {AUDIT: len(CLASS_BY_LEVEL) + 1}


def enough(order: Iterable[int], sizes: Mapping[int, int], excess: int) -> list[int]:
    """The shortest prefix of `order` that frees `excess` bytes."""
    chosen = []
    for segment in order:
        if excess <= 0:
            break
        chosen.append(segment)
        excess -= sizes.get(segment, 0)
    return chosen


async def excess_problem(
    connection: Connection,
    settings: Settings,
    segments: Iterable[Stored],
    policies: Mapping[str, Policy],
    now: datetime,
) -> str:
    """The problem with the store's size; empty if there is none.

    A small excess is normal until the next run drops something.
    """
    most = settings.storage.max_bytes
    excess = await _size(connection) - most if most else 0
    if excess <= 0:
        return ""
    if (
        candidates(segments, policies, settings.retention, now)
        and excess <= most // _TOLERATED_PART
    ):
        return ""
    return f"the store is {size_text(excess)} over {RULE}"


async def _size(connection: Connection) -> int:
    rows = await connection.fetch(statement("segment_sizes"))
    return sum(row["size"] for row in rows)
