"""Evidence exports, line by line: heads, entries, rows, and the data derived from them.

Uses one snapshot of the database, so that rows and ledger are consistent during ingest; the
published heads are read before it is taken. Packs are read from their files: what of them is
missing or damaged is a line of its own and costs its own rows only. verify.py reads the lines and
defines their meaning.
"""

import asyncio
import base64
import json
import logging
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import asyncpg

from storage.database.connection import Connection
from storage.database.statements import statement
from storage.ledger.accounting.balance import is_damage
from storage.ledger.encodings import Encodings, encodings_of_batches, encodings_of_segments
from storage.ledger.packed_rows import PackedSegment, batches_in, first_row, parts_in, tuples_in
from storage.ledger.tree.heads import notes_in
from storage.ledger.tree.notes import read
from storage.ledger.verify import Verifier
from storage.packs.errors import PackDamaged, PackMissing
from storage.packs.pack import Pack
from storage.packs.store import PackStore
from storage.record.columns import COPY_COLUMNS
from storage.record.copy_binary import HEADER, TRAILER, rows_of

Line = dict[str, list[object]]
Take = Callable[[Line], None]

FORMAT = "opslog-evidence/2"
_LONG_S = 4 * 3600.0
_MINUTE_US = 60_000_000

_log = logging.getLogger(__name__)


async def export(
    connection: Connection,
    heads: Path,
    take: Take,
    *,
    segments: Collection[int] | None = None,
    store: PackStore | None = None,
    quick: bool = False,
) -> None:
    """Pass every line to `take`; rows only of these segments (None: of all).

    `quick`: the hashes of the files of packs stand for their rows.

    `connection` has the owner role, since rows are exported with their nonces; it is used in its
    own read-only transaction.
    """
    for note in published(heads):
        take({"head": [note]})
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        async for row in connection.cursor(statement("all_checkpoints")):
            take({"head": [row["note"]]})
        async for row in connection.cursor(statement("all_entries"), prefetch=1000):
            take({"entry": [row["seq"], row["created_us"], row["kind"], row["body"], row["hash"]]})
        for row in await connection.fetch(statement("all_waiting")):
            take({"waiting": list(row)})
        lost: list[tuple[asyncpg.Record, PackDamaged]] = []
        for row in await connection.fetch(statement("all_segments")):
            if not row["is_packed"] or (segments is not None and row["segment"] not in segments):
                await _segment(connection, row["segment"], row, take, segments, store)
                continue
            try:
                await _packed(connection, row, take, store, quick=quick)
            except PackDamaged as error:
                lost.append((row, error))
        await _facts(connection, take)
    for row, damage in lost:
        await _lost_pack(connection, row, take, damage)
    take({"finish": [FORMAT]})


async def verify(
    connection: Connection,
    heads: Path,
    trusted: str,
    *,
    segments: Collection[int] | None = None,
    store: PackStore | None = None,
    quick: bool = False,
) -> Verifier:
    """Check the live database, without a file. Raises ValueError if it cannot be verified."""
    verifier = Verifier(trusted)
    await export(connection, heads, verifier.take, segments=segments, store=store, quick=quick)
    return verifier


def published(folder: Path) -> Iterator[str]:
    """The published heads: all of the newest file, of older ones the last of each minute."""
    files = sorted(folder.glob("*.heads"))
    for path in files[:-1]:
        yield from {read(note).created_us // _MINUTE_US: note for note in notes_in(path)}.values()
    for path in files[-1:]:
        yield from notes_in(path)


def encoded(line: Line) -> Line:
    """The line as JSON: rows in base64."""
    if "rows" not in line:
        return line
    (rows,) = line["rows"]
    assert isinstance(rows, bytes)
    return {"rows": [base64.b64encode(rows).decode()]}


async def _segment(  # noqa: PLR0917
    connection: Connection,
    segment: int,
    row: asyncpg.Record,
    take: Take,
    wanted: Collection[int] | None,
    store: PackStore | None,
) -> None:
    there = row["there"]
    if there == 1 and wanted is not None and segment not in wanted:
        there = 2
    take({"segment": [segment, row["class"], row["state"], there]})
    if there != 1:
        return
    rows = _Rows(take, await encodings_of_segments(connection, [segment]))
    columns = ", ".join(COPY_COLUMNS)
    try:
        async with connection.transaction():  # a savepoint: the other segments are read in any case
            await connection.copy_from_query(
                f"SELECT {columns} FROM system_logs_s{segment:d}",  # noqa: S608 - names of ours
                output=rows.piece,
                format="binary",
                timeout=_LONG_S,
            )
    except asyncpg.UndefinedTableError:
        if store is None:
            raise
        # Packed, and its leaf dropped, since the snapshot: the pack has the same rows.
        pack = await asyncio.to_thread(store.read, row["class"], segment)
        await _pack_rows(connection, row, take, pack)
        return
    except asyncpg.PostgresError as error:
        if not is_damage(error):
            raise
        _log.error("segment %d cannot be read: %s", segment, error)
        take({"segment": [segment, row["class"], row["state"], 3]})
        return
    rows.end()
    parts = await connection.fetch(statement("parts_of_segment"), segment)
    counts = await connection.fetch(statement("counts_of_segment"), segment)
    take({"end": [segment, row["rows"], [list(part) for part in parts], [list(c) for c in counts]]})


async def _packed(
    connection: Connection,
    row: asyncpg.Record,
    take: Take,
    store: PackStore | None,
    *,
    quick: bool,
) -> None:
    """A packed segment. Raises PackDamaged before the first line if it cannot be opened."""
    segment: int = row["segment"]
    of = PackedSegment(segment, row["class"], row["data_hash"])
    pack = await asyncio.to_thread(of.open, store)
    hashes = await asyncio.to_thread(of.hashes, store)
    take({"segment": [segment, row["class"], row["state"], 1]})
    take({"pack": [segment, *hashes, int(quick)]})
    if not quick:
        await _pack_rows(connection, row, take, pack)


async def _pack_rows(connection: Connection, row: asyncpg.Record, take: Take, pack: Pack) -> None:
    """The rows of a pack, block by block, and its parts."""
    segment: int = row["segment"]
    try:
        batches = await asyncio.to_thread(batches_in, pack)
        encodings = await encodings_of_batches(connection, batches, row["class"])
    except PackDamaged:  # reported below
        encodings = await encodings_of_segments(connection, [segment])
    for block in range(len(pack.blocks)):
        try:
            rows = await asyncio.to_thread(tuples_in, pack, block, encodings)
        except PackDamaged as error:
            take({"damage": [segment, block, first_row(pack, block), str(error)]})
            continue
        take({"rows": [b"".join(rows)]})
    pack.release()
    try:
        parts = await asyncio.to_thread(parts_in, pack)
    except PackDamaged as error:
        parts = []
        take({"damage": [segment, None, None, str(error)]})
    counts = await connection.fetch(statement("counts_of_segment"), segment)
    take({"end": [segment, row["rows"], parts, [list(count) for count in counts]]})


async def _lost_pack(
    connection: Connection, row: asyncpg.Record, take: Take, damage: PackDamaged
) -> None:
    """A pack that could not be opened: lost, unless it was removed since the snapshot."""
    state = await connection.fetchval(statement("state_of_segment"), row["segment"])
    is_lost = state == row["state"]
    there = 2 if not is_lost else 5 if isinstance(damage, PackMissing) else 4
    take({"segment": [row["segment"], row["class"], row["state"], there]})
    if is_lost:
        _log.error("the pack of segment %d cannot be read: %s", row["segment"], damage)
        take({"damage": [row["segment"], None, None, str(damage)]})


class _Rows:
    """COPY output without header and trailer, with all nonces. Pieces end at row boundaries."""

    def __init__(self, take: Take, encodings: Encodings) -> None:
        self._take = take
        self._encodings = encodings
        self._held = b""
        self._has_begun = False

    async def piece(self, data: bytes) -> None:
        """Pass on the previous piece: the last one ends with the trailer."""
        if self._has_begun:
            self._pass_on(self._held)
        else:
            data, self._has_begun = data.removeprefix(HEADER), True
        self._held = bytes(data)

    def end(self) -> None:
        """Pass on the last piece."""
        self._pass_on(self._held.removesuffix(TRAILER))

    def _pass_on(self, rows: bytes) -> None:
        if not rows:
            return
        if self._encodings.rows.keys:
            rows = b"".join(map(self._encodings.rows.completed, rows_of(rows)))
        self._take({"rows": [rows]})


async def _facts(connection: Connection, take: Take) -> None:
    """Stored data that is derived from the ledger's entries."""
    for row in await connection.fetch(statement("minute_facts")):
        take({"fact": ["minute", list(row)[:2], list(row)[2:]]})
    async for row in connection.cursor(statement("batch_facts"), prefetch=1000):
        batch, *counters, rejected = row
        take({"fact": ["batch", [batch], [*counters, json.loads(rejected)]]})
    async for row in connection.cursor(statement("stream_facts"), prefetch=100):
        number, *texts = row
        take({"fact": ["stream", [number], texts]})
    async for row in connection.cursor(statement("dead_letter_facts"), prefetch=100):
        encoded_row = base64.b64encode(row["row_bytes"]).decode()
        take({"fact": ["dead letter", [row["batch_id"], row["position"]], encoded_row]})
