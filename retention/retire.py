"""Takes away what is marked, some leaves at a time.

    detach   they leave system_logs beside readers and writers
    drop     one transaction: DROP, entries of the ledger, counts, parts, the run's steps

Killed anywhere, the next run goes on: what is marked goes, unless a hold wants it by then.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

import asyncpg

from retention.plan import Stored
from retention.policy import Policy
from retention.record import Done, Run
from retention.rewrite import drop_replaced
from retention.spare import HoldMade, refuse_newer, spare_held
from storage import failpoints
from storage.connection import Connection
from storage.dropping import TOGETHER, attached, detach, detach_together, drop, finish_all
from storage.ledger.entries import enter_all
from storage.read_back import read_back, root_of
from storage.statements import statement

_log = logging.getLogger(__name__)

_STORED = tuple(Stored.__slots__)


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

    def rule_of(class_name: str) -> str:
        policy = found.get(class_name)
        return rule or (policy.rule if policy else "a removed rule")

    await finish_all(connection, deadline_s=deadline_s)
    while True:
        known = await spare_held(connection, deadline_s=deadline_s)
        try:
            for rows in _pieces(await connection.fetch(statement("retiring_segments"))):
                await _go_on_with(
                    connection, run, rows, rule_of, deadline_s=deadline_s, known=known
                )
        except HoldMade:
            continue
        return


def _pieces(rows: Sequence[asyncpg.Record]) -> Iterator[Sequence[asyncpg.Record]]:
    return (rows[begin : begin + TOGETHER] for begin in range(0, len(rows), TOGETHER))


async def _go_on_with(
    connection: Connection,
    run: Run,
    rows: Sequence[asyncpg.Record],
    rule_of: Callable[[str], str],
    *,
    deadline_s: float,
    known: int,
) -> None:
    """Some marked segments. Raises InTheWay, and HoldMade when a hold is newer than `known`."""
    segments = [row["segment"] for row in rows]
    await detach_together(connection, segments)
    for segment in await attached(connection, segments):
        await detach(connection, segment, deadline_s=deadline_s)
    failpoints.reach("retire.after_detach")
    gone = [row for row in rows if row["replaced_by"] is None]
    stored = [Stored(**{name: row[name] for name in _STORED}) for row in gone]
    if stored:
        await _retire(connection, run, stored, rule_of, deadline_s=deadline_s, known=known)
    for row in rows:
        if row["replaced_by"] is not None and row["may_go"]:
            await drop_replaced(connection, row["segment"], deadline_s=deadline_s)


async def _retire(
    connection: Connection,
    run: Run,
    gone: Sequence[Stored],
    rule_of: Callable[[str], str],
    *,
    deadline_s: float,
    known: int,
) -> None:
    done = [
        Done(
            stored.segment,
            stored.class_name,
            "retire",
            rule_of(stored.class_name),
            stored.rows,
            stored.size,
            await _root(connection, stored),
            stored.newest,
        )
        for stored in gone
    ]
    segments = [each.segment for each in done]

    async def saying() -> None:
        await refuse_newer(connection, known)
        await enter_all(connection, "retire", [_entry(each, run.run_id) for each in done])
        await run.add(*done)
        await connection.execute(statement("mark_dropped"), segments)
        failpoints.reach("retire.before_commit")

    await drop(connection, segments, saying, deadline_s=deadline_s)


def _entry(done: Done, run_id: int) -> dict[str, object]:
    return {
        "segment": done.segment,
        "class": done.class_name,
        "rows": done.rows,
        "root": done.root.hex() if done.root else None,
        "policy": done.rule,
        "run": run_id,
    }


async def _root(connection: Connection, stored: Stored) -> bytes | None:
    """Merkle root over the rows that go; of a segment that was never sealed it is taken now."""
    if stored.digest is not None or not stored.rows:
        return stored.digest
    try:
        return root_of((await read_back(connection, stored.segment)).values())
    except asyncpg.PostgresError as error:  # a broken page must not keep it for ever
        _log.error("segment %d cannot be read before it goes: %s", stored.segment, error)
        return None
