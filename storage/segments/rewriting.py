"""Rewriting closed segments into a new one: merging them, or copying a selection of their rows.

    copy     into a detached leaf, which is indexed and frozen there
    compare  every row read back, from the old leaves and from the new one
    switch   one transaction: catalogue, parts, counts, ledger, and attaching and detaching the
             leaves; before it only the old rows are visible, after it only the new ones

After an interruption before the switch, the new leaf is an orphan, which the next rewrite drops.
The caller holds RETENTION_SPACE.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from storage import failpoints
from storage.database.connection import Connection
from storage.database.statements import statement
from storage.filtering.conditions import leaf_table
from storage.segments.dropping import TablesBusy
from storage.segments.leaves import IN_A_MOMENT, LONG_S, in_one_message, leaf_statement
from storage.segments.read_back import ReadPart, read_back, root_of

_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.2, 3.0
"""Each attempt repeats the accounting, hence the back-off."""

Removed = tuple[int, int, bytes]
"""Batch id, position, leaf hash of a row that is not in the new segment."""


class ContentMismatch(Exception):
    """The copy differs from its sources, or the sources differ from what was received."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows to copy into the new segment: an SQL condition and its arguments."""

    condition: str = "TRUE"
    arguments: tuple[object, ...] = ()


ALL = Selection()


@dataclass(frozen=True, slots=True)
class Copy:
    """A new, still detached leaf, and how it differs from its sources."""

    segment: int
    sources: tuple[int, ...]
    class_name: str
    is_whole: bool
    """Whether it has all rows of the sources."""
    parts: dict[int, ReadPart]
    before: dict[int, ReadPart]

    @property
    def rows(self) -> int:
        """Rows of the new leaf."""
        return sum(part.rows for part in self.parts.values())

    @property
    def size(self) -> int:
        """COPY bytes of the new leaf."""
        return sum(part.size for part in self.parts.values())

    @property
    def root(self) -> bytes:
        """Merkle root over the rows of the new leaf."""
        return root_of(self.parts.values())

    @property
    def root_before(self) -> bytes:
        """Merkle root over the rows of all sources."""
        return root_of(self.before.values())

    def removed(self) -> Iterator[Removed]:
        """The rows of the sources that are not in the new leaf."""
        for batch_id, part in sorted(self.before.items()):
            copied = set(self.parts[batch_id].positions) if batch_id in self.parts else set()
            for position, leaf in zip(part.positions, part.leaves, strict=True):
                if position not in copied:
                    yield batch_id, position, leaf

    def kept(self) -> list[list[object]]:
        """[[batch id, rows, digest], …] of the new leaf, for the ledger's member `kept`."""
        return [
            [part.batch_id, part.rows, part.digest(self.class_name).hex()]
            for _, part in sorted(self.parts.items())
        ]


async def drop_orphans(connection: Connection) -> None:
    """Drop leaves that interrupted rewrites left behind."""
    for row in await connection.fetch(statement("orphan_leaves")):
        await connection.execute(leaf_statement("drop_leaf", row["segment"]))


async def copy(
    connection: Connection,
    sources: Sequence[int],
    class_name: str,
    selection: Selection = ALL,
) -> Copy:
    """Copy the selected rows into a new leaf and compare each with its source.

    Raises:
        ContentMismatch: nothing was changed; the next rewrite drops the orphan.
    """
    await drop_orphans(connection)
    segment: int = await connection.fetchval(statement("next_segment"))
    async with connection.transaction():
        await connection.execute(statement("make_bare_leaf"), segment)
        for source in sources:
            text = leaf_statement(
                "fill_leaf", segment, SOURCE=leaf_table(source), CONDITION=selection.condition
            )
            await connection.execute(text, *selection.arguments, timeout=LONG_S)
    failpoints.reach("rewrite.after_copy")
    before: dict[int, ReadPart] = {}
    for source in sources:
        parts = await _as_received(connection, source, class_name)
        if before.keys() & parts.keys():
            raise ContentMismatch(f"segments {sources} have rows of the same batch")
        before |= parts
    found = Copy(
        segment,
        tuple(sources),
        class_name,
        selection is ALL,
        await read_back(connection, segment),
        before,
    )
    _compare(found)
    return found


async def _as_received(connection: Connection, source: int, class_name: str) -> dict[int, ReadPart]:
    parts = await read_back(connection, source)
    known = await connection.fetch(statement("received_parts"), source)
    digests = {row["batch_id"]: row["digest"] for row in known}
    if digests != {batch_id: part.digest(class_name) for batch_id, part in parts.items()}:
        raise ContentMismatch(f"segment {source} differs from what was received; left unchanged")
    return parts


def _compare(found: Copy) -> None:
    for batch_id, part in found.parts.items():
        old = found.before.get(batch_id)
        leaves = dict(zip(old.positions, old.leaves, strict=True)) if old else {}
        if [leaves.get(position) for position in part.positions] != part.leaves:
            raise ContentMismatch(f"batch {batch_id} has changed while it was copied")
    if found.is_whole and found.rows != sum(part.rows for part in found.before.values()):
        raise ContentMismatch("rows were lost while they were copied")


async def switch(
    connection: Connection,
    new: Copy,
    record_change: Callable[[], Awaitable[None]],
    *,
    is_hold: bool = False,
    is_finished: bool = True,
    deadline_s: float,
) -> None:
    """Replace the old leaves by the new one; `record_change` runs in the same transaction.

    The old leaves are then detached and wait to be dropped. Locks system_logs exclusively at the
    very end, after all slow work: retried until the deadline, so that others never wait longer than
    MOMENT_MS and the exchange of the leaves.

    Raises:
        TablesBusy: readers of system_logs never released the lock; nothing was changed.
    """
    facts = await connection.fetchrow(leaf_statement("rewritten_facts", new.segment))
    assert facts is not None
    retry_s = _FIRST_RETRY_S
    while True:
        try:
            async with connection.transaction():
                await _replace(connection, new)
                if new.rows:
                    await _catalogue(connection, new, facts, is_hold, is_finished)
                await record_change()
                await connection.execute(IN_A_MOMENT)
                await connection.execute(_exchange(new))
                failpoints.reach("rewrite.before_switch")
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if time.monotonic() > deadline_s:
                raise TablesBusy("system_logs is being read all the time") from None
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, _LONGEST_RETRY_S)
        else:
            failpoints.reach("rewrite.after_switch")
            return


def _exchange(new: Copy) -> str:
    """One message for all leaves, since readers wait while it runs."""
    texts = [leaf_statement("unplug_leaf", source) for source in new.sources]
    if new.rows:
        texts.append(leaf_statement("plug_leaf", new.segment, SEGMENT=str(new.segment)))
    else:
        texts.append(leaf_statement("drop_leaf", new.segment))
    return in_one_message(texts)


async def _replace(connection: Connection, new: Copy) -> None:
    to = new.segment if new.rows else None
    replaced = await connection.fetch(statement("replace_segments"), list(new.sources), to)
    if len(replaced) != len(new.sources):
        raise ContentMismatch(f"segments {new.sources} were changed concurrently")
    if new.is_whole:
        await connection.execute(statement("move_parts"), list(new.sources), new.segment)
        await connection.execute(statement("move_counts"), list(new.sources), new.segment)
    else:
        await _replace_some(connection, new)


async def _catalogue(
    connection: Connection,
    new: Copy,
    facts: "asyncpg.Record",
    is_hold: bool,  # noqa: FBT001 - a column of the catalogue
    is_finished: bool,  # noqa: FBT001 - the same
) -> None:
    await connection.execute(
        statement("add_rewritten"),
        new.segment,
        new.class_name,
        facts["rows"],
        new.size,
        *_times(facts),
        new.root,
        is_hold,
        leaf_table(new.segment),
        is_finished,
    )


def _times(facts: "asyncpg.Record") -> tuple[datetime | int | None, ...]:
    names = ("min_created_at", "max_created_at", "odd_times", "min_received_at", "max_received_at")
    return tuple(facts[name] for name in names)


async def _replace_some(connection: Connection, new: Copy) -> None:
    parts = list(new.parts.values())
    for source in new.sources:
        await connection.execute(
            statement("replace_parts"),
            source,
            new.segment,
            [part.batch_id for part in parts],
            [part.rows for part in parts],
            [part.size for part in parts],
            [part.digest(new.class_name) for part in parts],
            [part.marks() for part in parts],
        )
        await connection.execute(statement("forget_counts"), source)
    if new.rows:
        await connection.execute(
            leaf_statement("recount_leaf", new.segment, SEGMENT=str(new.segment)),
            new.class_name,
            new.size / new.rows,
        )
