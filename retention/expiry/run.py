"""Carries a plan out: expired segments go, without a reader or a writer noticing.

    mark     one transaction: no question goes there any more
    go on    leaves leave system_logs and are dropped (retire.py)

Killed anywhere, the next run goes on where this one stopped: what is marked goes, what is not is
planned anew.
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
from storage.segments.dropping import TablesBusy

_log = logging.getLogger(__name__)

PATIENCE_S = 600.0
"""Longest that a run waits for old transactions of others; the next one goes on."""
_MARK_TRIES = 10
_BATCHES_A_PIECE = 20_000
_FORGET_AFTER = timedelta(days=30)
"""Batches are kept this much longer than the longest class: spools may still hold their frames."""


async def expire(
    dsn: str,
    settings: Settings,
    *,
    trigger: str,
    patience_s: float = PATIENCE_S,
    trust_clock: bool = False,
    clock: Callable[[Connection], Awaitable[Now]] | None = None,
) -> Report:
    """Drop what has expired. `trigger` is who started it; `clock` is for tests."""
    connection = await connect(dsn, DatabaseRole.OWNER, name="opslog-retention")
    try:
        async with held(connection, RETENTION_SPACE) as is_ours:
            if not is_ours:
                return Report("skipped", note="another job of retention is at work")
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
    notes = [now.doubt] if now.doubt else []
    outcome = "done"
    try:
        deadline_s = time.monotonic() + patience_s
        await drop_retiring(connection, run, found, deadline_s=deadline_s, second=second)
        plan = await decide(connection, found, now.at)
        for step in plan.steps:
            if step.action is Action.CARRY:
                await carry_over(connection, settings, run, step, deadline_s=deadline_s)
        await drop_retiring(connection, run, found, deadline_s=deadline_s, second=second)
        await _forget(connection, found, now.at)
        if plan.without_policy:
            notes.append(f"no rule speaks of {', '.join(plan.without_policy)}: nothing goes")
    except TablesBusy as error:
        outcome = "stopped"
        notes.append(str(error))
    await run.end(outcome, "; ".join(notes))
    _log.info("expiry %s: %d segments, %d rows", outcome, run.segments, run.rows)
    return Report(outcome, run.run_id, run.segments, run.rows, run.size, "; ".join(notes))


async def decide(connection: Connection, found: Mapping[str, Policy], now: datetime) -> Plan:
    """Plan, and mark what goes as a whole."""
    plan: Plan | None = None

    async def choose(holds: Holds) -> list[int]:
        nonlocal plan
        plan = await plan_with(connection, found, holds, now)
        return [step.stored.segment for step in plan.steps if step.action is Action.DROP]

    await mark(connection, now, choose)
    assert plan is not None
    return plan


async def mark(
    connection: Connection, now: datetime, choose: Callable[[Holds], Awaitable[list[int]]]
) -> list[int]:
    """Mark the segments that `choose` says under the holds in force; none is overlooked.

    Raises TablesBusy when holds are made faster than segments can be looked at.
    """
    for _ in range(_MARK_TRIES):
        holds = await Holds.active(connection, now)
        going = await choose(holds)
        async with connection.transaction():
            # New holds wait here until the marks are committed, or were there before we looked.
            await connection.execute("SELECT pg_advisory_xact_lock($1, 0)", HOLD_SPACE)
            if (await Holds.active(connection, now)).ids != holds.ids:
                continue
            await connection.execute(statement("mark_retiring"), going)
        failpoints.reach("retire.after_mark")
        return going
    raise TablesBusy("holds are made faster than segments can be looked at")


async def plan_with(
    connection: Connection, found: Mapping[str, Policy], holds: Holds, now: datetime
) -> Plan:
    """What goes at `now`, held records counted in every segment that is due."""
    segments = await stored_segments(connection)
    due = due_segments(found, segments, now)
    return make_plan(found, segments, await holds.count(connection, due), now)


async def _forget(connection: Connection, found: Mapping[str, Policy], now: datetime) -> None:
    """Batches and refused rows whose time has come as well."""
    for policy in found.values():
        await connection.execute(
            statement("forget_dead_letters"), policy.class_name, now - policy.keep
        )
    arrivals = [stored.oldest for stored in await stored_segments(connection) if stored.oldest]
    before = min([*arrivals, now - longest_keep(found) - _FORGET_AFTER])
    while True:
        answer = await connection.execute(statement("forget_batches"), before, _BATCHES_A_PIECE)
        if answer == "DELETE 0":
            return
