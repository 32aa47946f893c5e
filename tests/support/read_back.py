"""Reads a leaf back and recomputes the hashes that were taken before its rows were stored.

With canonical metadata, COPY returns exactly the bytes that were sent, so the leaf hash of a row
can be recomputed from the table, with the nonce derived where it is not stored. Rows are read in
physical order, without a sort.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from storage.database.connection import Connection
from storage.ledger.encodings import Encodings, encodings_of_segments
from storage.ledger.tree.merkle import tree_root
from storage.record.copy_binary import HEADER, part_digest
from storage.record.copy_binary import leaf_of as hash_of_row
from storage.segments.leaves import LONG_S, leaf_statement

_length = struct.Struct(">i").unpack_from
_batch_id = struct.Struct(">q").unpack_from
_position = struct.Struct(">i").unpack_from
_BATCH_AT = 30
"""Offset of batch_id's value: after the field count, two times of twelve bytes, its length."""
_DURATION_AT = 50
"""Offset of duration_ns's length, after batch_id and stream_id; position follows it."""


@dataclass(slots=True)
class ReadPart:
    """The rows of one batch as stored in a leaf."""

    batch_id: int
    version: int
    """Encoding version of the batch."""
    positions: list[int] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)
    size: int = 0
    """COPY bytes."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.leaves)

    def digest(self, class_name: str) -> bytes:
        """The part hash, as in storage/record/copy_binary.py."""
        return part_digest(class_name, self.batch_id, b"".join(self.leaves), self.version)

    def marks(self) -> bytes:
        """First four bytes of each leaf, as in `ingest_parts`."""
        return b"".join(leaf[:4] for leaf in self.leaves)


async def read_back(
    connection: Connection, segment: int, *, sources: Sequence[int] = ()
) -> dict[int, ReadPart]:
    """The parts of a leaf by batch id, rows in order of position. As the owner.

    `sources`: the segments that its rows were copied from, if its parts are not entered yet.
    """
    reading = _Reading(await encodings_of_segments(connection, sources or [segment]))
    await connection.execute("SET synchronize_seqscans = off")
    await connection.copy_from_query(
        leaf_statement("copy_out", segment), output=reading.take, format="binary", timeout=LONG_S
    )
    for part in reading.parts.values():
        _sort(part)
    return reading.parts


def root_of(parts: Iterable[ReadPart]) -> bytes:
    """The Merkle root over all rows in order of batch id and position."""
    ordered = sorted(parts, key=lambda part: part.batch_id)
    return tree_root([leaf for part in ordered for leaf in part.leaves])


def _sort(part: ReadPart) -> None:
    """Sort by position: rows moved outside opslog must not change the digest."""
    order = sorted(range(part.rows), key=part.positions.__getitem__)
    part.positions = [part.positions[at] for at in order]
    part.leaves = [part.leaves[at] for at in order]


class _Reading:
    """Parses COPY bytes that arrive in pieces of any size."""

    def __init__(self, encodings: Encodings) -> None:
        self.parts: dict[int, ReadPart] = {}
        self._encodings = encodings
        self._rest = b""
        self._has_begun = False

    async def take(self, piece: bytes) -> None:
        """Parse all complete tuples; the rest waits for the next piece."""
        data = self._rest + piece
        at = 0
        if not self._has_begun:
            if len(data) < len(HEADER):
                self._rest = data
                return
            at, self._has_begun = len(HEADER), True
        while (end := _end_of_tuple(data, at)) is not None:
            self._note(data[at:end])
            at = end
        self._rest = data[at:]

    def _note(self, row: bytes) -> None:
        batch_id = _batch_id(row, _BATCH_AT)[0]
        part = self.parts.get(batch_id)
        if part is None:
            version = self._encodings.version(batch_id)
            part = self.parts[batch_id] = ReadPart(batch_id, version)
        duration = max(_length(row, _DURATION_AT)[0], 0)
        part.positions.append(_position(row, _DURATION_AT + 8 + duration)[0])
        part.leaves.append(hash_of_row(self._encodings.rows.completed(row)))
        part.size += len(row)


def _end_of_tuple(data: bytes, at: int) -> int | None:
    """Where the tuple that begins at `at` ends; None: incomplete, or the trailer."""
    size = len(data)
    if at + 2 > size:
        return None
    fields = int.from_bytes(data[at : at + 2], "big")
    if fields == 0xFFFF:
        return None
    at += 2
    for _ in range(fields):
        if at + 4 > size:
            return None
        length = _length(data, at)[0]
        at += 4 + max(length, 0)
    return at if at <= size else None
