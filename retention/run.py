"""Carries a plan out: expired segments go, without a reader or a writer noticing.

    mark     one transaction: no question goes there any more
    detach   each leaf leaves system_logs beside readers and writers
    drop     one transaction a leaf: the DROP, the ledger's entry, counts, parts, the run's record

Killed anywhere, the next run goes on where this one stopped: what is marked goes, what is not is
planned anew.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from config.settings import Settings
from retention.catalogue import policies_in_force, record_policies, stored_segments
from retention.clock import Now, observe
from retention.holds import Holds
from retention.locks import held
from retention.plan import Action, Plan, Stored, due_segments, make_plan
from retention.policy import Policy, longest_keep
from retention.record import Done, Run
from retention.rewrite import carry_over, drop_replaced
from retention.spare import HoldMade, refuse_newer, spare_held
from storage import failpoints
from storage.connection import Connection
from storage.dropping import TOGETHER, InTheWay, detach, detach_together, drop, finish_all
from storage.ledger.entries import enter
from storage.locks import HOLD_SPACE, RETENTION_SPACE
from storage.pool import DatabaseRole, connect
from storage.read_back import read_back, root_of
from storage.statements import statement

_log = logging.getLogger(__name__)

PATIENCE_S = 600.0
"""Longest that a run waits for old transactions of others; the next one goes on."""
_MARK_TRIES = 10
_BATCHES_A_PIECE = 20_000
_FORGET_AFTER = timedelta(days=30)
"""Batches are kept this much longer than the longest class: spools may still hold their frames."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did."""

    outcome: str
    """done; stopped: the rest follows with the next run; skipped: another one was at it."""
    run_id: int = 0
    segments: int = 0
    rows: int = 0
    size: int = 0
    note: str = ""


async def expire(
    dsn: str,
    settings: Settings,
    *,
    asked_by: str,
    patience_s: float = PATIENCE_S,
    trust_clock: bool = False,
    clock: Callable[[Connection], Awaitable[Now]] | None = None,
) -> Report:
    """Drop what has expired. `asked_by` is who started it; `clock` is for tests."""
    connection = await connect(dsn, DatabaseRole.OWNER, name="opslog-retention")
    try:
        async with held(connection, RETENTION_SPACE) as is_ours:
            if not is_ours:
                return Report("skipped", note="another job of retention is at work")
            now = await (clock(connection) if clock else observe(connection, trust=trust_clock))
            return await _expire(connection, settings, now, asked_by, patience_s)
    finally:
        await connection.close()


async def _expire(
    connection: Connection, settings: Settings, now: Now, asked_by: str, patience_s: float
) -> Report:
    segments = await stored_segments(connection)
    found = await policies_in_force(connection, settings.retention, segments)
    await record_policies(connection, found, asked_by=asked_by)
    run = await Run.begin(connection, "expire", asked_by, found)
    notes = [now.doubt] if now.doubt else []
    outcome = "done"
    try:
        deadline_s = time.monotonic() + patience_s
        await go_on(connection, run, found, deadline_s=deadline_s)
        plan = await decide(connection, found, now.at)
        for step in plan.steps:
            if step.action is Action.CARRY:
                await carry_over(connection, settings, run, step, deadline_s=deadline_s)
        await go_on(connection, run, found, deadline_s=deadline_s)
        await _forget(connection, found, now.at)
        if plan.without_policy:
            notes.append(f"no rule speaks of {', '.join(plan.without_policy)}: nothing goes")
    except InTheWay as error:
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

    Raises InTheWay when holds are made faster than segments can be looked at.
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
    raise InTheWay("holds are made faster than segments can be looked at")


async def plan_with(
    connection: Connection, found: Mapping[str, Policy], holds: Holds, now: datetime
) -> Plan:
    """What goes at `now`, held records counted in every segment that is due."""
    segments = await stored_segments(connection)
    due = due_segments(found, segments, now)
    return make_plan(found, segments, await holds.count(connection, due), now)


async def go_on(
    connection: Connection,
    run: Run,
    found: Mapping[str, Policy],
    *,
    deadline_s: float,
    rule: str = "",
) -> None:
    """Take away what is marked, by this run or by one that was interrupted. Raises InTheWay.

    `rule`: what it goes by, where that is not the policy of its class.
    """
    await finish_all(connection, deadline_s=deadline_s)
    while True:
        known = await spare_held(connection, deadline_s=deadline_s)
        try:
            for rows in _pieces(await connection.fetch(statement("retiring_segments"))):
                await detach_together(connection, [row["segment"] for row in rows])
                for row in rows:
                    policy = found.get(row["class_name"])
                    by = rule or (policy.rule if policy else "a removed rule")
                    await _go_on_with(connection, run, row, by, deadline_s=deadline_s, known=known)
        except HoldMade:
            continue
        return


def _pieces(rows: Sequence[asyncpg.Record]) -> Iterator[Sequence[asyncpg.Record]]:
    return (rows[begin : begin + TOGETHER] for begin in range(0, len(rows), TOGETHER))


async def _go_on_with(
    connection: Connection,
    run: Run,
    row: "asyncpg.Record",
    rule: str,
    *,
    deadline_s: float,
    known: int,
) -> None:
    """One marked segment. Raises InTheWay, and HoldMade when a hold is newer than `known`."""
    stored = Stored(**{name: row[name] for name in _STORED})
    await detach(connection, stored.segment, deadline_s=deadline_s)
    failpoints.reach("retire.after_detach")
    if row["replaced_by"] is None:
        await _retire(connection, run, stored, rule, deadline_s=deadline_s, known=known)
    elif row["may_go"]:
        await drop_replaced(connection, stored.segment, deadline_s=deadline_s)


_STORED = tuple(Stored.__slots__)


async def _retire(
    connection: Connection, run: Run, stored: Stored, rule: str, *, deadline_s: float, known: int
) -> None:
    root = await _root(connection, stored)

    async def saying() -> None:
        await refuse_newer(connection, known)
        body = {
            "segment": stored.segment,
            "class": stored.class_name,
            "rows": stored.rows,
            "root": root.hex() if root else None,
            "policy": rule,
            "run": run.run_id,
        }
        await enter(connection, "retire", body)
        await run.add(
            Done(
                stored.segment,
                stored.class_name,
                "retire",
                rule,
                stored.rows,
                stored.size,
                root,
                stored.newest,
            )
        )
        await connection.execute(statement("mark_dropped"), stored.segment)
        failpoints.reach("retire.before_commit")

    await drop(connection, stored.segment, saying, deadline_s=deadline_s)


async def _root(connection: Connection, stored: Stored) -> bytes | None:
    """Merkle root over the rows that go; of a segment that was never sealed it is taken now."""
    if stored.digest is not None or not stored.rows:
        return stored.digest
    try:
        return root_of((await read_back(connection, stored.segment)).values())
    except asyncpg.PostgresError as error:  # a broken page must not keep it for ever
        _log.error("segment %d cannot be read before it goes: %s", stored.segment, error)
        return None


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
