"""Executes a plan: drops expired segments without blocking readers or writers.

    mark      one transaction: queries no longer use the segments
    retire    packs are unlinked, leaves detached from system_logs and dropped (segments/retire.py)

An interrupted run is resumed by the next one: marked segments are dropped, the rest is planned
again.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from config.settings import Settings
from retention.holding.holds import Holds
from retention.policy.catalogue import policies_in_force, record_policies, stored_segments
from retention.policy.plan import Action, Plan, due_segments, make_plan
from retention.policy.rules import Policy, longest_keep
from retention.safety.clock import Now, observe
from retention.safety.locks import held
from retention.segments.retire import drop_retiring
from retention.segments.rewrite import carry_over
from retention.segments.runs import Report, Run
from storage import failpoints
from storage.database.connection import Connection
from storage.database.locks import HOLD_SPACE, RETENTION_SPACE
from storage.database.pool import DatabaseRole, connect
from storage.database.statements import statement
from storage.packs.store import PackStore, store_at
from storage.segments.dropping import TablesBusy

_log = logging.getLogger(__name__)

PATIENCE_S = 600.0
"""How long a run waits for older transactions; the next run continues."""
_MARK_TRIES = 10
_BATCHES_PER_DELETE = 20_000
_BATCH_MARGIN = timedelta(days=30)
"""Batch ids outlive the longest class by this much: spools may still hold their frames."""


async def expire(
    dsn: str,
    settings: Settings,
    *,
    trigger: str,
    patience_s: float = PATIENCE_S,
    trust_clock: bool = False,
    clock: Callable[[Connection], Awaitable[Now]] | None = None,
) -> Report:
    """Drop expired segments. `trigger` names what started the run; `clock` is for tests."""
    connection = await connect(dsn, DatabaseRole.OWNER, name="opslog-retention")
    try:
        async with held(connection, RETENTION_SPACE) as is_ours:
            if not is_ours:
                return Report("skipped", note="another retention job is running")
            now = await (clock(connection) if clock else observe(connection, trust=trust_clock))
            second = await connect(dsn, DatabaseRole.OWNER, name="opslog-retention")
            try:
                return await _expire(
                    connection, second, settings, now, trigger, patience_s=patience_s
                )
            finally:
                await second.close()
    finally:
        await connection.close()


async def _expire(
    connection: Connection,
    second: Connection,
    settings: Settings,
    now: Now,
    trigger: str,
    *,
    patience_s: float,
) -> Report:
    segments = await stored_segments(connection)
    found = await policies_in_force(connection, settings.retention, segments)
    await record_policies(connection, found, trigger=trigger)
    run = await Run.begin(connection, "expire", trigger, found)
    store = store_at(settings.packs_dir)
    notes = [now.doubt] if now.doubt else []
    outcome = "done"
    try:
        deadline_s = time.monotonic() + patience_s
        await drop_retiring(connection, store, run, found, deadline_s=deadline_s, second=second)
        plan = await decide(connection, store, found, now.at)
        await carry_over(connection, settings, run, plan.steps, deadline_s=deadline_s)
        await drop_retiring(connection, store, run, found, deadline_s=deadline_s, second=second)
        await _delete_old_batches(connection, found, now.at)
        if plan.without_policy:
            notes.append(f"no rule covers {', '.join(plan.without_policy)}: kept for ever")
    except TablesBusy as error:
        outcome = "stopped"
        notes.append(str(error))
    await run.end(outcome, "; ".join(notes))
    _log.info("expiry %s: %d segments, %d rows", outcome, run.segments, run.rows)
    return Report(outcome, run.run_id, run.segments, run.rows, run.size, "; ".join(notes))


async def decide(
    connection: Connection,
    store: PackStore | None,
    found: Mapping[str, Policy],
    now: datetime,
) -> Plan:
    """Make the plan, and mark the segments to drop."""
    plan: Plan | None = None

    async def choose(holds: Holds) -> list[int]:
        nonlocal plan
        plan = await plan_with(connection, store, found, holds, now)
        return [step.stored.segment for step in plan.steps if step.action is Action.DROP]

    await mark(connection, now, choose)
    assert plan is not None
    return plan


async def mark(
    connection: Connection, now: datetime, choose: Callable[[Holds], Awaitable[list[int]]]
) -> list[int]:
    """Mark the segments that `choose` returns for the active holds; no new hold is missed.

    Raises TablesBusy when holds are created faster than segments can be checked.
    """
    for _ in range(_MARK_TRIES):
        holds = await Holds.active(connection, now)
        segments = await choose(holds)
        async with connection.transaction():
            # New holds wait for this lock until the marks are committed, or are visible below.
            await connection.execute("SELECT pg_advisory_xact_lock($1, 0)", HOLD_SPACE)
            if (await Holds.active(connection, now)).ids != holds.ids:
                continue
            await connection.execute(statement("mark_retiring"), segments)
        failpoints.reach("retire.after_mark")
        return segments
    raise TablesBusy("holds are created faster than segments can be checked")


async def plan_with(
    connection: Connection,
    store: PackStore | None,
    found: Mapping[str, Policy],
    holds: Holds,
    now: datetime,
) -> Plan:
    """The plan at `now`, with held records counted in every segment that is due."""
    segments = await stored_segments(connection)
    due = due_segments(found, segments, now)
    return make_plan(found, segments, await holds.count(connection, store, due), now)


async def _delete_old_batches(
    connection: Connection, found: Mapping[str, Policy], now: datetime
) -> None:
    """Delete expired batches and dead letters."""
    for policy in found.values():
        await connection.execute(
            statement("forget_dead_letters"), policy.class_name, now - policy.keep
        )
    arrivals = [stored.oldest for stored in await stored_segments(connection) if stored.oldest]
    before = min([*arrivals, now - longest_keep(found) - _BATCH_MARGIN])
    while True:
        result = await connection.execute(statement("forget_batches"), before, _BATCHES_PER_DELETE)
        if result == "DELETE 0":
            return
