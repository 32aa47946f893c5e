"""New packs out of old ones: several as one, or one without some of its rows.

    build     in a thread: files under a new number, every row and every digest compared
    switch    one transaction: catalogue, parts, counts, ledger; before it queries read the old
              packs alone, after it the new one

Interrupted before the switch, the new files belong to no segment, and the next rewrite removes
them. The caller holds RETENTION_SPACE.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from retention.packing.leaves import drop_leaf
from retention.packing.nonces import nonces_of
from retention.packing.pack import entry_of, pack_segment, root_of
from retention.packing.streams import streams_of
from retention.packing.threads import in_thread
from retention.safety.locks import held
from storage import failpoints
from storage.database.connection import Connection
from storage.database.locks import PACK_SPACE
from storage.database.statements import statement
from storage.ledger.entries import enter
from storage.packs.blocks import Block
from storage.packs.pack import Pack, moment
from storage.packs.rewrite import Row, merge, rows_without
from storage.packs.store import PackStore
from storage.packs.verify import check_quick
from storage.packs.writer import PackFacts, PackWriter, Streams
from storage.record.copy_binary import part_digest
from storage.record.nonces import Completer
from storage.segments.dropping import TablesBusy

Removed = tuple[int, int, bytes]
"""Batch id, position, leaf hash of a row that is not in the new pack."""
Dropped = Callable[[Pack, Block], Sequence[int]]
"""The rows of a block that are not to be in the new pack; called in a thread."""
_MINUTE_US = 60_000_000


class ContentMismatch(Exception):
    """The new pack differs from its sources, or the sources differ from what was received."""


@dataclass(frozen=True, slots=True)
class Source:
    """A packed segment, as the catalogue has it."""

    segment: int
    class_name: str
    data_hash: bytes
    index_hash: bytes

    def open(self, store: PackStore) -> Pack:
        """Its pack, after both files were compared with their hashes. Raises PackDamaged."""
        pack = store.read(self.class_name, self.segment, self.data_hash)
        check_quick(pack.index.path, self.index_hash.hex())
        check_quick(pack.path, self.data_hash.hex())
        return pack


@dataclass(slots=True)
class Rewritten:
    """New files, and how they differ from their sources."""

    segment: int
    sources: tuple[int, ...]
    class_name: str
    is_whole: bool
    """Whether it has all rows of the sources."""
    facts: PackFacts | None = None
    """None: no row is left, and there are no files."""
    removed: list[Removed] = field(default_factory=list)
    removed_size: int = 0
    """COPY bytes of them."""
    sizes: Counter[int] = field(default_factory=Counter)
    """COPY bytes by batch, of rows that stay."""
    counts: Counter[tuple[int, bytes, bytes, bytes]] = field(default_factory=Counter)
    """Minute since 1970, level, kind, source module of rows that stay -> how many."""
    parts_before: list[tuple[int, int, bytes]] = field(default_factory=list)
    marks: dict[int, bytes] = field(default_factory=dict)
    stored: set[int] = field(default_factory=set)
    """Batches whose rows carry their nonces from now on."""

    @property
    def rows(self) -> int:
        """Of the new pack."""
        return self.facts.rows if self.facts else 0

    @property
    def root(self) -> bytes:
        """Of the new pack, as in its entry of the ledger."""
        return root_of(self.facts.parts if self.facts else ())

    @property
    def root_before(self) -> bytes:
        """Over the parts of all sources."""
        return root_of(self.parts_before)

    def kept(self) -> list[list[object]]:
        """[[batch id, rows, digest], …] of the new pack, for the ledger's member `kept`."""
        parts = self.facts.parts if self.facts else ()
        return [[batch, rows, digest.hex()] for batch, rows, digest in parts]


async def packed_source(
    connection: Connection, store: PackStore, segment: int, *, deadline_s: float
) -> Source:
    """The pack of a segment, packed now if it was closed; its leaf is gone.

    Raises ContentMismatch where it cannot be packed, TablesBusy while its leaf is read.
    """
    row = await connection.fetchrow(statement("pack_of_segment"), segment)
    if row is not None and row["state"] in {"closed", "sealed"}:
        async with held(connection, PACK_SPACE, segment) as is_ours:
            if not is_ours:
                raise TablesBusy(f"segment {segment} is being packed")
            packed = await pack_segment(connection, store, segment)
        if packed.damage:
            raise ContentMismatch(
                f"segment {segment} differs from what was received; left unchanged"
            )
        row = await connection.fetchrow(statement("pack_of_segment"), segment)
    if row is None or row["state"] != "packed":
        raise ContentMismatch(f"segment {segment} is {row['state'] if row else 'missing'}")
    if not row["leaf_dropped"]:
        await drop_leaf(connection, segment, deadline_s=deadline_s)
    return Source(segment, row["class"], row["data_hash"], row["index_hash"])


async def build(
    connection: Connection,
    store: PackStore,
    sources: Sequence[Source],
    dropped: Dropped | None = None,
    *,
    stores_nonces: bool = False,
) -> Rewritten:
    """Write the new files and compare them with their sources; nothing is visible yet.

    `stores_nonces`: of a batch that loses rows, the other rows carry their nonces from now on.
    Raises ContentMismatch, PackDamaged, and OSError where the files cannot be written.
    """
    segment: int = await connection.fetchval(statement("next_segment"))
    class_name = sources[0].class_name
    made = Rewritten(
        segment, tuple(source.segment for source in sources), class_name, dropped is None
    )
    packs = await asyncio.to_thread(lambda: [source.open(store) for source in sources])
    nonces = await nonces_of(connection, packs)
    folder = await asyncio.to_thread(store.make_folder, class_name)
    work = _Building(made, packs, nonces, streams_of(connection))
    writer = PackWriter(folder, segment, class_name, work.streams, leaf=nonces)
    try:
        if dropped is None:
            await in_thread(writer, work.merge, writer)
        else:
            await in_thread(writer, work.copy_some, writer, dropped, stores_nonces=stores_nonces)
    except BaseException:
        store.unlink(class_name, segment)
        raise
    finally:
        await asyncio.to_thread(writer.abandon)
    failpoints.reach("rewrite.after_copy")
    return made


class _Building:
    """What the thread does."""

    def __init__(
        self, made: Rewritten, packs: Sequence[Pack], nonces: Completer, streams: Streams
    ) -> None:
        self.streams = streams
        self._made = made
        self._packs = packs
        self._nonces = nonces
        for pack in packs:
            pack.index.check("parts")
            made.parts_before += [
                (int(part["batch_id"]), int(part["rows"]), bytes(part["digest"]))
                for part in pack.parts
            ]
        if len({batch for batch, _, _ in made.parts_before}) < len(made.parts_before):
            raise ContentMismatch(f"segments {made.sources} have rows of the same batch")

    def merge(self, writer: PackWriter) -> None:
        """All rows of all packs."""
        merge(self._packs, writer)
        self._made.facts = writer.finish()
        if sorted(self._made.facts.parts) != sorted(self._made.parts_before):
            raise ContentMismatch("rows have changed while they were merged")

    def copy_some(self, writer: PackWriter, dropped: Dropped, *, stores_nonces: bool) -> None:
        """All rows but those that `dropped` names."""
        made, leaves = self._made, _Leaves(self._made.class_name)
        gone: dict[tuple[int, int], list[int]] = {}
        for number, pack in enumerate(self._packs):
            for block in pack.each_block():
                writer.go_on()
                rows = sorted(dropped(pack, block))
                if rows:
                    gone[number, block.number] = rows
                    made.stored |= set(block.get("batch_id").array()[rows].tolist())
        if not stores_nonces:
            made.stored = set()
        for number, pack in enumerate(self._packs):
            for block in pack.each_block():
                self._copy_block(writer, block, gone.get((number, block.number), []), leaves)
        if leaves.before() != sorted(made.parts_before):
            raise ContentMismatch(
                f"segments {made.sources} differ from what was received; left unchanged"
            )
        made.removed = leaves.removed
        expected = leaves.kept()
        if expected:
            made.facts = writer.finish()
            if sorted(made.facts.parts) != expected:
                raise ContentMismatch("rows have changed while they were copied")
            made.marks = leaves.marks()

    def _copy_block(
        self, writer: PackWriter, block: Block, gone: list[int], leaves: "_Leaves"
    ) -> None:
        made = self._made
        tuples, nonces = block.tuples()
        names = ("batch_id", "position", "encoding_version")
        batches, positions, versions = (block.get(name).array().tolist() for name in names)
        is_gone = set(gone)
        for row, data in enumerate(tuples):
            batch = batches[row]
            leaf = self._nonces.leaf(made.class_name, batch, positions[row], data, nonces[row])
            leaves.add(batch, positions[row], versions[row], leaf, is_kept=row not in is_gone)
            if row in is_gone:
                made.removed_size += len(data)
            else:
                made.sizes[batch] += len(data)
        kept, stored = rows_without(block, gone, self._nonce)
        if kept:
            writer.add(kept, stored)
        minutes = (block.get("created_at").array() // _MINUTE_US).tolist()
        texts = [block.get(name).values() for name in ("level", "kind", "source_module")]
        for row, key in enumerate(zip(minutes, *texts, strict=True)):
            if row not in is_gone:
                made.counts[key] += 1

    def _nonce(self, row: Row) -> bytes | None:
        if row.batch_id not in self._made.stored:
            return None
        return self._nonces.nonce(row.batch_id, row.position)


class _Leaves:
    """The leaves of all rows of the sources, by batch."""

    def __init__(self, class_name: str) -> None:
        self.removed: list[Removed] = []
        self._class = class_name
        self._rows: dict[int, list[tuple[int, bytes, bool]]] = defaultdict(list)
        self._versions: dict[int, int] = {}

    def add(self, batch: int, position: int, version: int, leaf: bytes, *, is_kept: bool) -> None:
        """One row."""
        self._rows[batch].append((position, leaf, is_kept))
        self._versions[batch] = version
        if not is_kept:
            self.removed.append((batch, position, leaf))

    def before(self) -> list[tuple[int, int, bytes]]:
        """The parts of the sources, from their rows."""
        self.removed.sort()
        for rows in self._rows.values():
            rows.sort()
        return [self._part(batch, [leaf for _, leaf, _ in rows]) for batch, rows in self._sorted()]

    def kept(self) -> list[tuple[int, int, bytes]]:
        """The parts of the rows that stay."""
        return [
            self._part(batch, leaves) for batch, rows in self._sorted() if (leaves := _kept(rows))
        ]

    def marks(self) -> dict[int, bytes]:
        """By batch, as in ingest_parts."""
        return {
            batch: b"".join(leaf[:4] for leaf in leaves)
            for batch, rows in self._sorted()
            if (leaves := _kept(rows))
        }

    def _sorted(self) -> Iterator[tuple[int, list[tuple[int, bytes, bool]]]]:
        yield from sorted(self._rows.items())

    def _part(self, batch: int, leaves: Sequence[bytes]) -> tuple[int, int, bytes]:
        digest = part_digest(self._class, batch, b"".join(leaves), self._versions[batch])
        return batch, len(leaves), digest


def _kept(rows: Sequence[tuple[int, bytes, bool]]) -> list[bytes]:
    return [leaf for _, leaf, is_kept in rows if is_kept]


async def switch(
    connection: Connection,
    new: Rewritten,
    record_change: Callable[[], Awaitable[None]],
    *,
    is_hold: bool = False,
) -> None:
    """Replace the old packs by the new one; `record_change` runs in the same transaction.

    Merged packs wait an hour for running readers; the others go at once (files.py). If it fails,
    the new files stay: a commit whose answer was lost needs them, else they are orphans.
    Raises ContentMismatch where a source was changed meanwhile; nothing is changed then.
    """
    async with connection.transaction():
        await _replace(connection, new, is_hold=is_hold)
        await record_change()
        failpoints.reach("rewrite.before_switch")
    failpoints.reach("rewrite.after_switch")


async def _replace(connection: Connection, new: Rewritten, *, is_hold: bool) -> None:
    sources = list(new.sources)
    to = new.segment if new.facts else None
    state = "retiring" if new.is_whole else "dropped"
    replaced = await connection.fetch(statement("replace_packs"), sources, to, state)
    if len(replaced) != len(sources):
        raise ContentMismatch(f"segments {new.sources} were changed concurrently")
    if new.facts is not None:
        root = new.root
        await _add_pack(connection, new, new.facts, root, is_hold=is_hold)
        entry = entry_of(new.segment, new.class_name, new.facts, root)
        await enter(connection, "pack", entry)
    if new.is_whole:
        await connection.execute(statement("move_parts"), sources, new.segment)
        await connection.execute(statement("move_counts"), sources, new.segment)
        return
    await _replace_some(connection, new)


async def _add_pack(
    connection: Connection, new: Rewritten, facts: PackFacts, root: bytes, *, is_hold: bool
) -> None:
    await connection.execute(
        statement("add_pack"),
        new.segment,
        new.class_name,
        facts.rows,
        facts.copy_bytes,
        _at(facts.min_created_us),
        _at(facts.max_created_us),
        facts.odd_times,
        _at(facts.min_received_us),
        _at(facts.max_received_us),
        root,
        is_hold,
        facts.data_bytes,
        facts.index_bytes,
        bytes.fromhex(facts.data_sha256),
        bytes.fromhex(facts.index_sha256),
    )


def _at(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else moment(microseconds)


async def _replace_some(connection: Connection, new: Rewritten) -> None:
    parts = new.facts.parts if new.facts else ()
    for source in new.sources:
        await connection.execute(
            statement("replace_parts"),
            source,
            new.segment,
            [batch for batch, _, _ in parts],
            [rows for _, rows, _ in parts],
            [new.sizes[batch] for batch, _, _ in parts],
            [digest for _, _, digest in parts],
            [new.marks[batch] for batch, _, _ in parts],
        )
        await connection.execute(statement("forget_counts"), source)
    if new.facts is None:
        return
    keys = list(new.counts)
    await connection.execute(
        statement("add_counts"),
        new.segment,
        new.class_name,
        new.facts.copy_bytes / new.facts.rows,
        [minute for minute, _, _, _ in keys],
        [level.decode() for _, level, _, _ in keys],
        [kind.decode() for _, _, kind, _ in keys],
        [module.decode() for _, _, _, module in keys],
        [new.counts[key] for key in keys],
    )
