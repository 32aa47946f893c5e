"""Verifies a pack, by the hash of its file or row by row, and rebuilds its index."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from storage.packs.blocks import Block, DataFile
from storage.packs.errors import PackDamaged, unreadable
from storage.packs.index import bloom
from storage.packs.index.bloom import ClassFilters
from storage.packs.index.build import IndexBuilder
from storage.packs.index.layout import MARK
from storage.packs.index.signature import ID_COLUMNS
from storage.packs.metadata import plan_of_promoted, read_key_values
from storage.packs.pack import Pack
from storage.packs.parquet.fallback import open_file
from storage.packs.parquet.inspect import chunks
from storage.packs.proof import VERSION_1, Leaf, Proof
from storage.packs.writer import MODE, index_header
from storage.record.nonces import Completer

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class FullCheck:
    """The result of verifying a whole pack."""

    parts: tuple[tuple[int, int, bytes], ...]
    """(batch id, rows, digest) of the rows read."""
    first_bad: tuple[int, int] | None
    """(block, row) of the first row whose leaf hash differs from the index."""

    @property
    def is_intact(self) -> bool:
        """Whether all rows match the index."""
        return self.first_bad is None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file. Raises PackDamaged if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    except OSError as error:
        raise unreadable(path, error) from error
    return digest.hexdigest()


def check_quick(path: Path, sha256: str) -> None:
    """Compare a file with its hash. Raises PackDamaged."""
    if sha256_of(path) != sha256:
        raise PackDamaged(path, "the file does not match its hash")


def check_full(pack: Pack, leaf: Leaf | Completer = VERSION_1) -> FullCheck:
    """Read and hash every row and compare with the index. Raises PackDamaged."""
    pack.index.check_all()
    proof = Proof(pack.class_name, leaf)
    places: list[tuple[int, int, int, int]] = []
    for block in pack.each_block():
        proof.add(block)
        batch, position = block.get("batch_id").array(), block.get("position").array()
        places += [
            (*key, block.number, row)
            for row, key in enumerate(zip(batch.tolist(), position.tolist(), strict=True))
        ]
    parts = proof.parts()
    sections = proof.sections()
    expected = pack.index.bytes_of("marks")
    wrong = sections["marks"] != expected
    bad: tuple[int, int] | None = None
    if wrong or sections["parts"] != pack.index.bytes_of("parts"):
        places.sort()
        found = [
            (block, row)
            for at, (_, _, block, row) in enumerate(places)
            if sections["marks"][MARK * at : MARK * (at + 1)]
            != expected[MARK * at : MARK * (at + 1)]
        ]
        bad = min(found, default=(0, 0))
    return FullCheck(parts, bad)


def check_filter(pack: Pack, filters: ClassFilters) -> None:
    """Compare the class's filter with the ids of a pack's rows. Raises PackDamaged."""
    digest = bytes.fromhex(pack.data_sha256)
    found: list[int] = []
    for block in pack.each_block():
        for column in ID_COLUMNS:
            values = block.get(column).distinct()
            found += bloom.id_hashes(column, [value for value in values if value is not None])
    hashes = np.unique(np.array(found, np.uint32))
    if filters.record(pack.segment, digest) != bloom.record_of(pack.segment, digest, hashes):
        raise PackDamaged(filters.path, f"the filter of segment {pack.segment} has other ids")


def rebuild_index(path: Path, target: Path, leaf: Leaf | Completer = VERSION_1) -> str:
    """Rebuild the index of a data file as `target`, and the pack's record in the filters beside it.

    Returns the index's SHA-256. Raises PackDamaged.
    """
    values = read_key_values(path)
    plan = plan_of_promoted(orjson.loads(values["opslog.promoted"]))
    class_name = values["opslog.class"]
    table = chunks(path, open_file(path).metadata)
    data = DataFile(path, plan)
    builder = IndexBuilder(plan, target.parent)
    proof = Proof(class_name, leaf)
    for number, (at, rows, pages) in enumerate(table):
        block = Block(data, number, at, rows, pages)
        builder.add(block.get, rows, at, pages)
        proof.add(block)
    proof.parts()
    header = index_header(plan, class_name, int(values["opslog.segment"]), data, sha256_of(path))
    digest = builder.finish(target, header, proof.sections())
    target.chmod(MODE)
    bloom.add(target.parent, header["segment"], bytes.fromhex(header["data_sha256"]), builder.ids())
    return digest
