"""Drops marked segments, several leaves at a time.

    detach   from system_logs, concurrently with readers and writers
    drop     one transaction: DROP, ledger entries, counts, parts, the run's steps

An interrupted run is resumed by the next one: marked segments are dropped, unless a new hold
matches them.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg

from retention.policy.plan import Stored
from retention.policy.rules import Policy
from retention.segments.rewrite import drop_replaced
from retention.segments.runs import Done, Run
from retention.segments.spare import HoldCreated, refuse_newer, spare_held
from storage import failpoints
from storage.database.connection import Connection
from storage.database.statements import statement
from storage.ledger.entries import enter_all
from storage.segments.dropping import TOGETHER, attached, detach, detach_together, drop, finish_all
from storage.segments.read_back import read_back, root_of

_log = logging.getLogger(__name__)

_LARGE_BYTES = 64 * 2**20
"""Average segment size from which a second connection pays off."""
_STORED = tuple(Stored.__slots__)


async def drop_retiring(
    connection: Connection,
    run: Run,
    found: Mapping[str, Policy],
    *,
    deadline_s: float,
    rule: str = "",
    second: "Connection | None" = None,
) -> None:
    """Drop what this run or an interrupted one has marked. Raises TablesBusy.

    `rule`: the reason, if it is not the policy of the class. With a `second` connection some
    leaves are detached while the files of others are deleted, which takes the longest for large
    ones; with small ones, a single connection is faster and readers wait less.
    """

    def rule_of(class_name: str) -> str:
        policy = found.get(class_name)
        return rule or (policy.rule if policy else "a removed rule")

    await finish_all(connection, deadline_s=deadline_s)
    while True:
        known = await spare_held(connection, deadline_s=deadline_s)
        rows = await connection.fetch(statement("retiring_segments"))
        is_large = sum(row["size"] for row in rows) > _LARGE_BYTES * len(rows)
        workers = [connection, second] if second is not None and is_large else [connection]
        chunks = deque(_chunks(rows))
        work = _Work(run, rule_of, chunks, deadline_s=deadline_s, known=known)
        done = await asyncio.gather(*map(work.process, workers), return_exceptions=True)
        errors = [each for each in done if each is not None]
        if not errors:
            return
        others = [error for error in errors if not isinstance(error, HoldCreated)]
        if others:
            raise others[0]


def _chunks(rows: Sequence[asyncpg.Record]) -> Iterator[Sequence[asyncpg.Record]]:
    return (rows[begin : begin + TOGETHER] for begin in range(0, len(rows), TOGETHER))


@dataclass(slots=True)
class _Work:
    """The segments to drop, shared by workers with a connection each."""

    run: Run
    rule_of: Callable[[str], str]
    chunks: deque[Sequence[asyncpg.Record]]
    deadline_s: float
    known: int
    """The newest hold that was checked."""
    detaching: asyncio.Lock = field(default_factory=asyncio.Lock)
    """PostgreSQL allows only one pending detach at a time."""

    async def process(self, connection: Connection) -> None:
        """Drop chunks until none is left. Raises TablesBusy, and HoldCreated for a newer hold."""
        try:
            while self.chunks:
                await self._remove(connection, self.chunks.popleft())
        except BaseException:
            self.chunks.clear()
            raise

    async def _remove(self, connection: Connection, rows: Sequence[asyncpg.Record]) -> None:
        segments = [row["segment"] for row in rows]
        async with self.detaching:
            await detach_together(connection, segments)
            for segment in await attached(connection, segments):
                await detach(connection, segment, deadline_s=self.deadline_s)
        failpoints.reach("retire.after_detach")
        gone = [row for row in rows if row["replaced_by"] is None]
        stored = [Stored(**{name: row[name] for name in _STORED}) for row in gone]
        if stored:
            await self._retire(connection, stored)
        for row in rows:
            if row["replaced_by"] is not None and row["may_go"]:
                await drop_replaced(connection, row["segment"], deadline_s=self.deadline_s)

    async def _retire(self, connection: Connection, gone: Sequence[Stored]) -> None:
        done = [
            Done(
                stored.segment,
                stored.class_name,
                "retire",
                self.rule_of(stored.class_name),
                stored.rows,
                stored.size,
                await _root(connection, stored),
                stored.newest,
            )
            for stored in gone
        ]
        segments = [each.segment for each in done]
        run_id = self.run.run_id

        async def record_change() -> None:
            await refuse_newer(connection, self.known)
            await enter_all(connection, "retire", [_entry(each, run_id) for each in done])
            await self.run.add(*done, through=connection)
            await connection.execute(statement("mark_dropped"), segments)
            failpoints.reach("retire.before_commit")

        await drop(connection, segments, record_change, deadline_s=self.deadline_s)


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
    """Merkle root over the removed rows; computed now if the segment was never sealed."""
    if stored.digest is not None or not stored.rows:
        return stored.digest
    try:
        return root_of((await read_back(connection, stored.segment)).values())
    except asyncpg.PostgresError as error:  # a damaged page must not keep it for ever
        _log.error("segment %d cannot be read before it is dropped: %s", stored.segment, error)
        return None
