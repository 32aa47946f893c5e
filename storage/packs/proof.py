"""Leaf hashes of a pack's rows: a digest per batch, and the first four bytes of each (its mark)."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from storage.packs.index.layout import PART
from storage.packs.parquet.encode import Array
from storage.record.copy_binary import leaf_of, part_digest

Leaf: TypeAlias = Callable[[str, int, int, bytes, bytes | None], bytes]
"""(class, batch id, position, COPY tuple, stored nonce of a row of version 2) -> leaf hash."""

ROW = np.dtype([("batch", "<i8"), ("position", "<i4"), ("version", "<i4"), ("leaf", "V32")])
MARK = 4


def leaf_of_version_1(
    class_name: str, batch_id: int, position: int, row: bytes, nonce: bytes | None
) -> bytes:
    """The leaf hash of a row whose nonce is in its tuple."""
    del class_name, batch_id, position, nonce
    return leaf_of(row)


class Proof:
    """Collects the leaf hashes of a pack."""

    def __init__(self, class_name: str, leaf: Leaf) -> None:
        self._class = class_name
        self._leaf = leaf
        self._rows: list[Array] = []
        self._sorted: Array | None = None
        self._parts: Array | None = None

    def add(
        self,
        tuples: Sequence[bytes],
        nonces: Sequence[bytes | None],
        batches: Array,
        positions: Array,
        versions: Array,
    ) -> None:
        """Add the rows of a block."""
        rows = np.empty(len(tuples), ROW)
        rows["batch"], rows["position"], rows["version"] = batches, positions, versions
        if self._leaf is leaf_of_version_1:
            leaves = [leaf_of(row) for row in tuples]
        else:
            name, leaf = self._class, self._leaf
            leaves = [
                leaf(name, *of)
                for of in zip(batches.tolist(), positions.tolist(), tuples, nonces, strict=True)
            ]
        rows["leaf"] = np.frombuffer(b"".join(leaves), "V32")
        self._rows.append(rows)

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
        assert self._sorted is not None
        assert self._parts is not None
        leaves = np.frombuffer(self._sorted["leaf"].tobytes(), np.uint8).reshape(-1, 32)
        return {"parts": self._parts.tobytes(), "marks": leaves[:, :MARK].tobytes()}
