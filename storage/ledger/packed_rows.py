"""Rows, parts and marks of packed segments, for exports, the balance and proofs.

They read files: call them in a thread. They raise PackDamaged.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from storage.filtering.filters import FieldEquals
from storage.ledger.encodings import Encodings
from storage.packs.index.layout import MARK
from storage.packs.pack import Pack
from storage.packs.store import PackStore
from storage.packs.verify import sha256_of
from storage.record.fields import ID
from storage.record.nonces import with_nonce


@dataclass(frozen=True, slots=True)
class PackedSegment:
    """A packed segment, as the catalogue has it."""

    segment: int
    class_name: str
    data_hash: bytes

    def open(self, store: PackStore | None) -> Pack:
        """Its pack, opened again."""
        return _store(store).read(self.class_name, self.segment, self.data_hash)

    def hashes(self, store: PackStore | None) -> tuple[str, str]:
        """SHA-256 of the data file and of the index as they are."""
        data, index = _store(store).paths(self.class_name, self.segment)
        return sha256_of(data), sha256_of(index)


class PacksNotReadable(Exception):
    """There are packs, but this process does not know where."""


def _store(store: PackStore | None) -> PackStore:
    if store is None:
        raise PacksNotReadable("there are packs, and storage.packs_dir is not set")
    return store


def tuples_in(pack: Pack, block: int, encodings: Encodings) -> list[bytes]:
    """The COPY tuples of a block with their nonces, as leaf hashes cover them."""
    tuples, nonces = pack.tuples(block)
    completed = encodings.rows.completed
    return [
        completed(row) if nonce is None else with_nonce(row, nonce)
        for row, nonce in zip(tuples, nonces, strict=True)
    ]


def first_row(pack: Pack, block: int) -> int:
    """The number of the first row of a block in the pack."""
    return int(pack.blocks[block]["first_row"])


def parts_in(pack: Pack) -> list[list[object]]:
    """[batch id, rows, marks in base64] of each part, from the index."""
    for section in ("parts", "marks"):
        pack.index.check(section)
    marks = pack.index.bytes_of("marks")
    found: list[list[object]] = []
    for part in pack.parts:
        rows, at = int(part["rows"]), MARK * int(part["first"])
        text = base64.b64encode(marks[at : at + MARK * rows]).decode()
        found.append([int(part["batch_id"]), rows, text])
    return found


def batches_in(pack: Pack) -> list[int]:
    """The batches with rows in a pack, from the index."""
    pack.index.check("parts")
    found: list[int] = pack.parts["batch_id"].tolist()
    return found


def rows_of_parts(pack: Pack) -> int:
    """Rows over all parts, from the index."""
    pack.index.check("parts")
    return int(pack.parts["rows"].sum())


def find_record(pack: Pack, wanted: UUID) -> tuple[int, int] | None:
    """Batch id and position of the record with this id; of duplicates the first that arrived."""
    condition = FieldEquals(ID, wanted)
    found: list[tuple[int, int]] = []
    for block in pack.candidate_blocks(condition):
        if rows := pack.matches(block, condition):
            columns = pack.columns(block, ["batch_id", "position"])
            keys = list(zip(columns["batch_id"], columns["position"], strict=True))
            found += [keys[row] for row in rows]
    return min(found, default=None)


def tuples_of_batch(pack: Pack, batch_id: int) -> dict[int, bytes]:
    """Position -> COPY tuple of all rows of a batch, with the nonces that are stored."""
    found: dict[int, bytes] = {}
    for block in _blocks_of(pack, batch_id):
        read = pack.block(block)
        rows = np.flatnonzero(read.get("batch_id").array() == batch_id).tolist()
        if rows:
            positions = read.get("position").array().tolist()
            tuples, nonces = read.tuples()
            for row in rows:
                nonce = nonces[row]
                whole = tuples[row] if nonce is None else with_nonce(tuples[row], nonce)
                found[positions[row]] = whole
    return found


def _blocks_of(pack: Pack, batch_id: int) -> Iterator[int]:
    zones = pack.blocks
    near = (zones["min_batch"] <= batch_id) & (zones["max_batch"] >= batch_id)
    yield from np.flatnonzero(near).tolist()
