"""The size limit: the oldest segments of the lowest level go before their time, and it is said.

Floors and holds are respected, audit records go last and never before their year. A store that
cannot be brought below its limit so says that, too.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from datetime import datetime

from config.retention import AUDIT
from config.settings import RetentionSettings, Settings
from config.units import size_text
from retention.catalogue import policies_in_force, stored_segments
from retention.clock import observe
from retention.holds import Holds
from retention.locks import held
from retention.plan import FINAL_STATES, Stored
from retention.policy import Policy
from retention.record import Run
from retention.run import PATIENCE_S, Report, go_on, mark
from storage.classes import CLASS_BY_LEVEL
from storage.connection import Connection
from storage.dropping import InTheWay
from storage.locks import RETENTION_SPACE
from storage.pool import DatabaseRole, connect
from storage.statements import statement

_log = logging.getLogger(__name__)
RULE = "storage.max_bytes"


async def keep_within(dsn: str, settings: Settings) -> Report | None:
    """Drop what is beyond storage.max_bytes; None: there is no limit, or it is not reached."""
    most = settings.storage.max_bytes
    if not most:
        return None
    connection = await connect(dsn, DatabaseRole.OWNER, name="opslog-retention")
    try:
        excess = await _size(connection) - most
        if excess <= 0:
            return None
        async with held(connection, RETENTION_SPACE) as is_ours:
            return await _make_room(connection, settings, excess) if is_ours else None
    finally:
        await connection.close()


async def _make_room(connection: Connection, settings: Settings, excess: int) -> Report | None:
    now = (await observe(connection)).at
    segments = await stored_segments(connection)
    found = await policies_in_force(connection, settings.retention, segments)
    sizes = {row["segment"]: row["size"] for row in await connection.fetch(statement("leaf_sizes"))}
    order = list(candidates(segments, found, settings.retention, now))

    async def choose(holds: Holds) -> list[int]:
        on_hold = await holds.count(connection, order)
        return enough(
            [each.segment for each in order if each.segment not in on_hold], sizes, excess
        )

    run: Run | None = None
    try:
        going = await mark(connection, now, choose)
        if not going:
            _log.error("the store is %s beyond %s, and nothing may go", size_text(excess), RULE)
            return None
        run = await Run.begin(connection, "limit", RULE, found)
        deadline_s = time.monotonic() + PATIENCE_S
        await go_on(connection, run, found, deadline_s=deadline_s, rule=RULE)
    except InTheWay as error:
        if run is None:
            return None
        await run.end("stopped", str(error))
        return Report("stopped", run.run_id, run.segments, run.rows, run.size, str(error))
    note = f"{size_text(excess)} beyond {RULE}: {run.rows} rows went before their time"
    await run.end("done", note)
    _log.error("size limit: %s", note)
    return Report("done", run.run_id, run.segments, run.rows, run.size, note)


def candidates(
    segments: Iterable[Stored],
    policies: Mapping[str, Policy],
    settings: RetentionSettings,
    now: datetime,
) -> list[Stored]:
    """What may go for want of room, in that order: by level, then by age. Pure."""
    rank = ranks(settings)
    may_go = [
        stored
        for stored in segments
        if stored.state in FINAL_STATES
        and not stored.is_hold
        and stored.class_name in policies
        and (stored.newest is None or now - stored.newest >= policies[stored.class_name].floor)
    ]
    return sorted(
        may_go,
        key=lambda each: (
            rank.get(each.class_name, len(CLASS_BY_LEVEL)),
            each.newest or now,
            each.segment,
        ),
    )


def ranks(settings: RetentionSettings) -> dict[str, int]:
    """Class to the place at which it goes: its level, that of its rule; others and audit last."""
    found = {name: place for place, name in enumerate(CLASS_BY_LEVEL)}
    for rule in settings.rules:
        if not rule.is_by_level:
            levels = [found[level.lower()] for level in rule.level]
            found[rule.name] = min(levels, default=len(CLASS_BY_LEVEL))
    return found | {AUDIT: len(CLASS_BY_LEVEL) + 1}


def enough(order: Iterable[int], sizes: Mapping[int, int], excess: int) -> list[int]:
    """The first segments of `order` that together make so much room."""
    chosen = []
    for segment in order:
        if excess <= 0:
            break
        chosen.append(segment)
        excess -= sizes.get(segment, 0)
    return chosen


async def _size(connection: Connection) -> int:
    rows = await connection.fetch(statement("leaf_sizes"))
    return sum(row["size"] for row in rows)
