"""Evidence exports, line by line: heads, entries, rows, and the data derived from them.

Uses one snapshot of the database, so that rows and ledger are consistent during ingest; the
published heads are read before it is taken. verify.py reads the lines and defines their meaning.
"""

import base64
import json
import logging
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import asyncpg

from storage.database.connection import Connection
from storage.database.statements import statement
from storage.ledger.accounting.balance import is_damage
from storage.ledger.tree.heads import notes_in
from storage.ledger.tree.notes import read
from storage.ledger.verify import Verifier
from storage.record.columns import COPY_COLUMNS
from storage.record.copy_binary import HEADER, TRAILER

Line = dict[str, list[object]]
Take = Callable[[Line], None]

FORMAT = "opslog-evidence/1"
_LONG_S = 4 * 3600.0
_MINUTE_US = 60_000_000

_log = logging.getLogger(__name__)


async def export(
    connection: Connection,
    heads: Path,
    take: Take,
    *,
    segments: Collection[int] | None = None,
) -> None:
    """Pass every line to `take`; rows only of these segments (None: of all).

    `connection` may have the reader role; it is used in its own transaction.
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
        for row in await connection.fetch(statement("all_segments")):
            await _segment(connection, row["segment"], row, take, segments)
        await _facts(connection, take)
    take({"finish": [FORMAT]})


async def verify(
    connection: Connection,
    heads: Path,
    trusted: str,
    *,
    segments: Collection[int] | None = None,
) -> Verifier:
    """Check the live database, without a file. Raises ValueError if it cannot be verified."""
    verifier = Verifier(trusted)
    await export(connection, heads, verifier.take, segments=segments)
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


async def _segment(
    connection: Connection,
    segment: int,
    row: asyncpg.Record,
    take: Take,
    wanted: Collection[int] | None,
) -> None:
    there = row["there"]
    if there == 1 and wanted is not None and segment not in wanted:
        there = 2
    take({"segment": [segment, row["class"], row["state"], there]})
    if there != 1:
        return
    rows = _Rows(take)
    columns = ", ".join(COPY_COLUMNS)
    try:
        async with connection.transaction():  # a savepoint: the other segments are read in any case
            await connection.copy_from_query(
                f"SELECT {columns} FROM system_logs_s{segment:d}",  # noqa: S608 - names of ours
                output=rows.piece,
                format="binary",
                timeout=_LONG_S,
            )
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


class _Rows:
    """COPY output without header and trailer. Pieces end at row boundaries."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._held = b""
        self._has_begun = False

    async def piece(self, data: bytes) -> None:
        """Pass on the previous piece: the last one ends with the trailer."""
        if self._has_begun:
            if self._held:
                self._take({"rows": [self._held]})
        else:
            data, self._has_begun = data.removeprefix(HEADER), True
        self._held = bytes(data)

    def end(self) -> None:
        """Pass on the last piece."""
        if rest := self._held.removesuffix(TRAILER):
            self._take({"rows": [rest]})


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
