"""Drops marked segments, many packs or several leaves at a time.

    detach   leaves from system_logs, concurrently with readers and writers
    drop     one transaction: DROP, ledger entries, counts, parts, the run's steps
    unlink   the files of packs, after the transaction

An interrupted run is resumed by the next one: marked segments are dropped, unless a new hold
matches them.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg

from retention.packing.files import unlink_dropped
from retention.packing.pack import root_of
from retention.policy.plan import Stored
from retention.policy.rules import Policy
from retention.segments.runs import Done, Run
from retention.segments.spare import HoldCreated, refuse_newer, spare_held
from storage import failpoints
from storage.database.connection import Connection
from storage.database.statements import statement
from storage.ledger.entries import enter_all
from storage.packs.store import PackStore
from storage.segments.dropping import TOGETHER, attached, detach, detach_together, drop, finish_all

_log = logging.getLogger(__name__)

_LARGE_BYTES = 64 * 2**20
"""Average segment size from which a second connection pays off."""
_PACKS_TOGETHER = 256
"""Packs dropped in one transaction: nobody waits for it."""
_STORED = tuple(Stored.__slots__)


async def drop_retiring(
    connection: Connection,
    store: PackStore | None,
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
        known = await spare_held(connection, store, deadline_s=deadline_s)
        found_rows = await connection.fetch(statement("retiring_segments"))
        rows = [row for row in found_rows if row["has_leaf"]]
        packs = [row for row in found_rows if not row["has_leaf"]]
        is_large = sum(row["size"] for row in rows) > _LARGE_BYTES * len(rows)
        workers = [connection, second] if second is not None and is_large else [connection]
        chunks = deque(_chunks(rows))
        work = _Work(run, rule_of, chunks, deadline_s=deadline_s, known=known)
        try:
            await work.remove_packs(connection, packs)
        except HoldCreated:
            continue
        if store is not None:
            await unlink_dropped(connection, store)
        done = await asyncio.gather(*map(work.process, workers), return_exceptions=True)
        if store is not None:  # of segments that had a pack and still a leaf
            await unlink_dropped(connection, store)
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
        if gone:
            await self._retire(connection, _stored(gone))
        for row in rows:  # of a release before packs, which copied leaves
            if row["replaced_by"] is not None and row["may_go"]:
                await self._drop_replaced(connection, row["segment"])

    async def _drop_replaced(self, connection: Connection, segment: int) -> None:
        """A leaf whose rows are elsewhere; the ledger's entry was made when they went there."""

        async def record_change() -> None:
            await connection.execute(statement("mark_dropped"), [segment])

        await drop(connection, [segment], record_change, deadline_s=self.deadline_s)

    async def remove_packs(self, connection: Connection, rows: Sequence[asyncpg.Record]) -> None:
        """Drop packs that have no leaf: expired ones, and merged ones after their hour.

        Raises HoldCreated.
        """
        gone = [row for row in rows if row["replaced_by"] is None]
        merged = [
            row["segment"] for row in rows if row["replaced_by"] is not None and row["may_go"]
        ]
        for begin in range(0, len(gone), _PACKS_TOGETHER):
            stored = _stored(gone[begin : begin + _PACKS_TOGETHER])
            done = await self._done(connection, stored)
            async with connection.transaction():
                await self._record(connection, done)
        if merged:
            await connection.execute(statement("mark_dropped"), merged)

    async def _retire(self, connection: Connection, gone: Sequence[Stored]) -> None:
        done = await self._done(connection, gone)

        async def record_change() -> None:
            await self._record(connection, done)

        segments = [each.segment for each in done]
        await drop(connection, segments, record_change, deadline_s=self.deadline_s)

    async def _done(self, connection: Connection, gone: Sequence[Stored]) -> list[Done]:
        return [
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

    async def _record(self, connection: Connection, done: Sequence[Done]) -> None:
        """In the transaction that drops them."""
        run_id = self.run.run_id
        await refuse_newer(connection, self.known)
        await enter_all(connection, "retire", [_entry(each, run_id) for each in done])
        await self.run.add(*done, through=connection)
        await connection.execute(statement("mark_dropped"), [each.segment for each in done])
        failpoints.reach("retire.before_commit")


def _stored(rows: Sequence[asyncpg.Record]) -> list[Stored]:
    return [Stored(**{name: row[name] for name in _STORED}) for row in rows]


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
    """The root over the removed rows: its pack's, or that of a segment that was never packed."""
    if stored.digest is not None or not stored.rows:
        return stored.digest
    parts = await connection.fetch(statement("received_parts"), stored.segment)
    return root_of([(row["batch_id"], row["rows"], row["digest"]) for row in parts])
