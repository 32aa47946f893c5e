"""Rewrites packs: without some rows (purge, hold carry-over), or several as one (merge)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from storage.packs.blocks import Block
from storage.packs.pack import Pack
from storage.packs.writer import PackWriter

Rows = tuple[list[bytes], list[bytes | None]]
"""COPY tuples, and the stored nonce of each (None: not stored, or in the tuple)."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row that is kept, as passed to `Nonce`."""

    batch_id: int
    position: int
    version: int


Nonce = Callable[[Row], bytes | None]
"""Returns the nonce to store with a row of version 2; None: store none."""


def rows_without(block: Block, dropped: Sequence[int], nonce: Nonce | None = None) -> Rows:
    """The rows of a block without `dropped`; rows of version 2 may get a stored nonce."""
    tuples, nonces = block.tuples()
    gone = set(dropped)
    kept = [row for row in range(block.rows) if row not in gone]
    if nonce is not None:
        names = ("batch_id", "position", "encoding_version")
        columns = [block.get(name).array().tolist() for name in names]
        for row in kept:
            if nonces[row] is None and columns[2][row] != 1:
                nonces[row] = nonce(Row(*[column[row] for column in columns]))
    return [tuples[row] for row in kept], [nonces[row] for row in kept]


def copy_without(
    pack: Pack,
    writer: PackWriter,
    dropped: Callable[[Block], Sequence[int]],
    nonce: Nonce | None = None,
) -> int:
    """Feed a writer all rows except those that `dropped` returns; returns how many were dropped."""
    gone = 0
    for block in pack.each_block():
        rows = dropped(block)
        gone += len(rows)
        tuples, nonces = rows_without(block, rows, nonce)
        if tuples:
            writer.add(tuples, nonces)
    return gone


def merge(packs: Iterable[Pack], writer: PackWriter) -> None:
    """Feed a writer all rows of several packs."""
    for pack in packs:
        copy_without(pack, writer, lambda _: ())
