"""Rows of closed segments go into a new one: merged, or only some of them.

    copy     into a leaf that nobody sees, indexed and frozen there
    compare  every row read back, from the old leaves and from the new one
    switch   one transaction: catalogue, parts, counts, ledger, and the leaves' places in
             system_logs; before it only the old rows are seen, after it only the new ones

Interrupted before the switch, the new leaf is an orphan and is dropped by the next rewriting.
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
from storage.segments.dropping import InTheWay
from storage.segments.leaves import IN_A_MOMENT, LONG_S, in_one_message, leaf_statement
from storage.segments.read_back import ReadPart, read_back, root_of

_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.2, 3.0
"""Each attempt does its figures anew, so they get rarer."""

Removed = tuple[int, int, bytes]
"""Batch id, position, leaf hash of a row that is not in the new segment."""


class NotTheSame(Exception):
    """What was copied is not what was there, or what was there is not what was received."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows that go into the new segment: an SQL condition and its arguments."""

    condition: str = "TRUE"
    arguments: tuple[object, ...] = ()


ALL = Selection()


@dataclass(frozen=True, slots=True)
class Copy:
    """A new leaf that nobody sees yet, and how it differs from where it comes from."""

    segment: int
    sources: tuple[int, ...]
    class_name: str
    is_whole: bool
    """All rows of the sources are in it."""
    parts: dict[int, ReadPart]
    before: dict[int, ReadPart]

    @property
    def rows(self) -> int:
        """In the new leaf."""
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
        """… of the sources together."""
        return root_of(self.before.values())

    def removed(self) -> Iterator[Removed]:
        """The rows of the sources that are not in the new leaf."""
        for batch_id, part in sorted(self.before.items()):
            kept = set(self.parts[batch_id].positions) if batch_id in self.parts else set()
            for position, leaf in zip(part.positions, part.leaves, strict=True):
                if position not in kept:
                    yield batch_id, position, leaf

    def kept(self) -> list[list[object]]:
        """[[batch id, rows, digest], …] of the new leaf, as the ledger says it."""
        return [
            [part.batch_id, part.rows, part.digest(self.class_name).hex()]
            for _, part in sorted(self.parts.items())
        ]


async def drop_orphans(connection: Connection) -> None:
    """Remove what interrupted rewritings left."""
    for row in await connection.fetch(statement("orphan_leaves")):
        await connection.execute(leaf_statement("drop_leaf", row["segment"]))


async def copy(
    connection: Connection,
    sources: Sequence[int],
    class_name: str,
    selection: Selection = ALL,
) -> Copy:
    """Copy the selected rows into a new leaf and compare each with where it comes from.

    Raises:
        NotTheSame: nothing was changed; the orphan is dropped by the next one.
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
            raise NotTheSame(f"segments {sources} have rows of the same batch")
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
        raise NotTheSame(f"segment {source} is not what was received; it is left as it is")
    return parts


def _compare(found: Copy) -> None:
    for batch_id, part in found.parts.items():
        old = found.before.get(batch_id)
        leaves = dict(zip(old.positions, old.leaves, strict=True)) if old else {}
        if [leaves.get(position) for position in part.positions] != part.leaves:
            raise NotTheSame(f"batch {batch_id} has changed while it was copied")
    if found.is_whole and found.rows != sum(part.rows for part in found.before.values()):
        raise NotTheSame("rows were lost while they were copied")


async def switch(
    connection: Connection,
    made: Copy,
    saying: Callable[[], Awaitable[None]],
    *,
    is_hold: bool = False,
    is_finished: bool = True,
    deadline_s: float,
) -> None:
    """Put the new leaf in the place of the old ones; `saying` adds to the same transaction.

    The old leaves are out of system_logs then and wait to be dropped. Needs system_logs for itself
    for a moment at the very end, when all that takes time is done: tried again until the deadline,
    so nobody waits for us longer than MOMENT_MS and the exchange of the leaves.

    Raises:
        InTheWay: readers of system_logs never left a gap; nothing was changed.
    """
    facts = await connection.fetchrow(leaf_statement("rewritten_facts", made.segment))
    assert facts is not None
    retry_s = _FIRST_RETRY_S
    while True:
        try:
            async with connection.transaction():
                await _replace(connection, made)
                if made.rows:
                    await _catalogue(connection, made, facts, is_hold, is_finished)
                await saying()
                await connection.execute(IN_A_MOMENT)
                await connection.execute(_exchange(made))
                failpoints.reach("rewrite.before_switch")
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if time.monotonic() > deadline_s:
                raise InTheWay("system_logs is being read without a gap") from None
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, _LONGEST_RETRY_S)
        else:
            failpoints.reach("rewrite.after_switch")
            return


def _exchange(made: Copy) -> str:
    """One message for all leaves: readers wait while it is carried out."""
    texts = [leaf_statement("unplug_leaf", source) for source in made.sources]
    if made.rows:
        texts.append(leaf_statement("plug_leaf", made.segment, SEGMENT=str(made.segment)))
    else:
        texts.append(leaf_statement("drop_leaf", made.segment))
    return in_one_message(texts)


async def _replace(connection: Connection, made: Copy) -> None:
    to = made.segment if made.rows else None
    gone = await connection.fetch(statement("replace_segments"), list(made.sources), to)
    if len(gone) != len(made.sources):
        raise NotTheSame(f"segments {made.sources} were changed by somebody else")
    if made.is_whole:
        await connection.execute(statement("move_parts"), list(made.sources), made.segment)
        await connection.execute(statement("move_counts"), list(made.sources), made.segment)
    else:
        await _replace_some(connection, made)


async def _catalogue(
    connection: Connection,
    made: Copy,
    facts: "asyncpg.Record",
    is_hold: bool,  # noqa: FBT001 - a column of the catalogue
    is_finished: bool,  # noqa: FBT001 - the same
) -> None:
    await connection.execute(
        statement("add_rewritten"),
        made.segment,
        made.class_name,
        facts["rows"],
        made.size,
        *_times(facts),
        made.root,
        is_hold,
        leaf_table(made.segment),
        is_finished,
    )


def _times(facts: "asyncpg.Record") -> tuple[datetime | int | None, ...]:
    names = ("min_created_at", "max_created_at", "odd_times", "min_received_at", "max_received_at")
    return tuple(facts[name] for name in names)


async def _replace_some(connection: Connection, made: Copy) -> None:
    parts = list(made.parts.values())
    for source in made.sources:
        await connection.execute(
            statement("replace_parts"),
            source,
            made.segment,
            [part.batch_id for part in parts],
            [part.rows for part in parts],
            [part.size for part in parts],
            [part.digest(made.class_name) for part in parts],
            [part.marks() for part in parts],
        )
        await connection.execute(statement("forget_counts"), source)
    if made.rows:
        await connection.execute(
            leaf_statement("recount_leaf", made.segment, SEGMENT=str(made.segment)),
            made.class_name,
            made.size / made.rows,
        )
