"""Leaf hashes of a pack's rows: a digest per batch, and the first bytes of each (its mark)."""

import hashlib
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from storage.packs.blocks import Block
from storage.packs.index.layout import MARK, PART
from storage.packs.parquet.encode import Array
from storage.record.copy_binary import part_digest
from storage.record.nonces import Completer

Leaf: TypeAlias = Callable[[str, int, int, bytes, bytes | None], bytes]
"""(class, batch id, position, COPY tuple, stored nonce of a row of version 2) -> leaf hash.
A Completer does the same for a whole block at once, at half the cost."""
VERSION_1 = Completer({})
"""For rows that have their nonces in the tuple."""
_sha256 = hashlib.sha256

ROW = np.dtype([("batch", "<i8"), ("position", "<i4"), ("version", "<i4"), ("leaf", "V32")])


class Proof:
    """Collects the leaf hashes of a pack."""

    def __init__(self, class_name: str, leaf: Leaf | Completer) -> None:
        self._class = class_name
        self._leaf = leaf
        self._rows: list[Array] = []
        self._sorted: Array | None = None
        self._parts: Array | None = None

    def add(self, block: Block) -> None:
        """Add the rows of a block. Raises PackDamaged."""
        batches, positions, versions = (
            block.get(name).array() for name in ("batch_id", "position", "encoding_version")
        )
        rows = np.empty(block.rows, ROW)
        rows["batch"], rows["position"], rows["version"] = batches, positions, versions
        leaves = self._leaves(block, batches.tolist(), positions.tolist())
        rows["leaf"] = np.frombuffer(leaves, "V32")
        self._rows.append(rows)

    def _leaves(self, block: Block, batches: list[int], positions: list[int]) -> bytes:
        if isinstance(self._leaf, Completer):
            hashed = block.hashed(self._leaf.each(batches, positions))
            return b"".join([_sha256(row).digest() for row in hashed])
        name, leaf = self._class, self._leaf
        return b"".join([
            leaf(name, *of) for of in zip(batches, positions, *block.tuples(), strict=True)
        ])  # fmt: skip

    def parts(self) -> tuple[tuple[int, int, bytes], ...]:
        """(batch id, rows, digest) in order of batch id."""
        rows = np.concatenate(self._rows)
        self._rows = []
        rows = self._sorted = rows[np.lexsort((rows["position"], rows["batch"]))]
        batches = rows["batch"]
        firsts = np.append(0, np.flatnonzero(batches[1:] != batches[:-1]) + 1)
        ends = np.append(firsts[1:], len(rows))
        leaves = rows["leaf"].tobytes()
        parts = []
        table = np.zeros(len(firsts), PART)
        for number, (first, end) in enumerate(zip(firsts.tolist(), ends.tolist(), strict=True)):
            batch = int(rows["batch"][first])
            digest = part_digest(
                self._class, batch, leaves[32 * first : 32 * end], int(rows["version"][first])
            )
            parts.append((batch, end - first, digest))
            table[number] = (batch, end - first, first, digest)
        self._parts = table
        return tuple(parts)

    def sections(self) -> dict[str, bytes]:
        """The sections `parts` and `marks` of the index; call after `parts`."""
        assert self._parts is not None
        return {"parts": self._parts.tobytes(), "marks": self.marks(MARK)}

    def marks(self, size: int) -> bytes:
        """The first bytes of each leaf, by batch and position; call after `parts`."""
        assert self._sorted is not None
        leaves = np.frombuffer(self._sorted["leaf"].tobytes(), np.uint8).reshape(-1, 32)
        return leaves[:, :size].tobytes()
