"""Writes a pack: COPY tuples in, a Parquet file and its index out.

    feed* -> finish: sort -> blocks -> data file -> sync -> read back, digests -> index -> rename

Every tuple is rebuilt from the written file and hashed. The caller compares the resulting digests
of the batches with the recorded ones before it drops the rows.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

import numpy as np

from storage import failpoints
from storage.packs.blocks import Block, BufferedColumn, DataFile
from storage.packs.errors import NotPackable, WritingCancelled
from storage.packs.index import bloom
from storage.packs.index.build import IndexBuilder
from storage.packs.index.layout import TAIL, tail_hash
from storage.packs.index.signature import signature
from storage.packs.metadata import key_values
from storage.packs.parquet.encode import Array, encode, pages
from storage.packs.parquet.footer import MAGIC, Placed, footer, row_group
from storage.packs.parquet.places import page_of, pages_array
from storage.packs.proof import VERSION_1, Leaf, Proof
from storage.packs.rows.block import PG_EPOCH_US, columns_of, walker_of
from storage.packs.rows.promote import plan_of
from storage.packs.rows.tuples import with_nonce
from storage.packs.rows.walk import Misfit
from storage.packs.schema import Plan
from storage.packs.spool import TupleSpool, fresh_file, sync_folder
from storage.record.nonces import Completer

ROWS = 2048
"""Maximum rows of a block."""
MOST_GRAMS = 64_000
"""Maximum distinct 5-grams of a block (which has at least STEP rows)."""
MOST_TEXT = 1 << 20
"""Maximum bytes of a block's tuples, counting only what exceeds ORDINARY in each."""
ORDINARY = 600
STEP = 128
MODE = 0o440
_SAMPLE = 2048
_DAY_US = 86_400_000_000
_RELEASE_EVERY = 32

Streams = Callable[[list[int]], Mapping[int, Mapping[str, str]]]
"""Returns {resource, scope, ...} of each stream id, as texts."""


@dataclass(frozen=True, slots=True)
class PackFacts:
    """What the catalogue records of a pack."""

    rows: int
    file_bytes: int
    """Both files."""
    data_bytes: int
    index_bytes: int
    copy_bytes: int
    min_created_us: int | None
    """Among rows with plausible times; None: there are none."""
    max_created_us: int | None
    min_received_us: int
    max_received_us: int
    odd_times: int
    data_sha256: str
    index_sha256: str
    parts: tuple[tuple[int, int, bytes], ...]
    """(batch id, rows, digest) in order of batch id, of the rows read back from the file."""
    blocks: int


class PackWriter:
    """Writes one pack.

    `version_2`: batches of encoding version 2. A nonce in one of their tuples is stored beside the
    row, and not part of it.
    """

    def __init__(
        self,
        directory: Path,
        segment: int,
        class_name: str,
        streams: Streams,
        *,
        leaf: Leaf | Completer = VERSION_1,
        version_2: Collection[int] = (),
    ) -> None:
        self._folder = directory
        self._segment = segment
        self._class = class_name
        self._streams = streams
        self._version_2 = version_2
        self._is_cancelled = False
        self._proof = Proof(class_name, leaf)
        self._spool = TupleSpool(directory)
        self._data = directory / f"{segment}.parquet.tmp"
        self._index = directory / f"{segment}.idx.tmp"
        self.builder: IndexBuilder | None = None
        self.column_bytes: dict[str, int] = {}
        """Bytes of pages and their headers by column."""
        self.measures = False
        self._seen: set[int] = set()

    def cancel(self) -> None:
        """Make whatever another thread does with this writer raise WritingCancelled soon."""
        self._is_cancelled = True

    def go_on(self) -> None:
        """Called between two blocks. Raises WritingCancelled."""
        if self._is_cancelled:
            raise WritingCancelled

    def feed(self, data: bytes) -> None:
        """Add COPY bytes in any chunking and order. Raises NotPackable after cleaning up."""
        self.go_on()
        try:
            self._spool.feed(data)
        except NotPackable:
            self.abandon()
            raise

    def start_copy(self) -> None:
        """Start another COPY, which begins with its header."""
        self._spool.start_copy()

    def add(self, tuples: list[bytes], nonces: list[bytes | None]) -> None:
        """Add tuples of another pack with its stored nonces (Pack.tuples)."""
        self.go_on()
        rows = [
            row if nonce is None else with_nonce(row, nonce)
            for row, nonce in zip(tuples, nonces, strict=True)
        ]
        self._spool.start_copy()
        self._spool.add(rows, [nonce is not None for nonce in nonces])

    def abandon(self) -> None:
        """Remove all temporary files."""
        self._spool.close()
        if self.builder is not None:
            self.builder.close()
        self._data.unlink(missing_ok=True)
        self._index.unlink(missing_ok=True)

    def finish(self) -> PackFacts:
        """Write, sync, read back and rename. Raises NotPackable if there are no rows."""
        try:
            return self._finish()
        finally:
            self.abandon()

    def _finish(self) -> PackFacts:
        keys = self._spool.keys()
        if not len(keys):
            raise NotPackable("a pack needs at least one row")
        self._mark_stored_nonces(keys)
        plan = self._plan(keys)
        while True:
            builder = self.builder = IndexBuilder(plan, self._folder)
            builder.measures = self.measures
            try:
                table, size, digest = self._write_data(keys, plan, builder)
                break
            except Misfit as misfit:
                builder.close()
                plan = plan.widened(misfit.slot)
        self._spool.release()
        parts = self._read_back(plan, table)
        data = DataFile(self._data, plan)
        header = index_header(plan, self._class, self._segment, data, digest)
        index_digest = builder.finish(self._index, header, self._proof.sections())
        index_size = self._index.stat().st_size
        self.go_on()
        bloom.add(self._folder, self._segment, bytes.fromhex(digest), builder.ids())
        failpoints.reach("pack.before_rename")
        self._rename(self._data, "parquet")
        failpoints.reach("pack.between_files")
        self._rename(self._index, "idx")
        sync_folder(self._folder)
        return self._facts(
            keys,
            size=size,
            index_size=index_size,
            digest=digest,
            index_digest=index_digest,
            parts=parts,
            blocks=len(table),
        )

    def _mark_stored_nonces(self, keys: Array) -> None:
        """Rows of encoding version 2 whose nonce is in the tuple count as version 2."""
        self_contained = keys["version"] == 1
        if self._version_2 and self_contained.any():
            of_version_2 = np.fromiter(self._version_2, np.int64)
            keys["version"][self_contained & np.isin(keys["batch"], of_version_2)] = 2

    def _rename(self, path: Path, ending: str) -> None:
        path.chmod(MODE)
        os.replace(path, self._folder / f"{self._segment}.{ending}")  # noqa: PTH105

    def _plan(self, keys: Array) -> Plan:
        """Choose the columns from a sample of the rows."""
        step = max(1, len(keys) // _SAMPLE)
        rows = self._spool.sample(keys[::step][:_SAMPLE])
        columns = columns_of(rows, np.ones(len(rows), np.int64), Plan(()), walker_of(Plan(())))
        metadata = columns["metadata_rest"]
        assert isinstance(metadata, list)
        return plan_of([text for text in metadata if text is not None], columns)

    def _write_data(
        self, keys: Array, plan: Plan, builder: IndexBuilder
    ) -> tuple[list[tuple[int, int, Array]], int, str]:
        """(place, rows and pages of each block; size; SHA-256) of the data file."""
        walker = walker_of(plan)
        self.column_bytes = dict.fromkeys([spec.name for spec in plan.columns], 0)
        table: list[tuple[int, int, Array]] = []
        groups: list[bytes] = []
        first = 0
        with _Hashed(fresh_file(self._data)) as out:
            out.write(MAGIC)
            while first < len(keys):
                self.go_on()
                count = _rows_within(keys["size"][first : first + ROWS])
                while True:
                    some = keys[first : first + count]
                    columns = columns_of(self._spool.rows(some), some["version"], plan, walker)
                    buffered = {name: BufferedColumn(data) for name, data in columns.items()}
                    parts = signature(buffered.__getitem__, plan)
                    grams = len(parts.grams["grams 5"])
                    if count <= STEP or grams <= MOST_GRAMS:
                        break
                    count = max(STEP, int(count * MOST_GRAMS / grams * 0.9) // STEP * STEP)
                at = out.size
                placed, pages_ = self._write_block(out, plan, columns, buffered, count)
                groups.append(row_group(plan.columns, placed, count))
                builder.add(buffered.__getitem__, count, at, pages_, parts)
                table.append((at, count, pages_))
                first += count
                if len(table) % _RELEASE_EVERY == 0:
                    self._spool.release()
            streams = self._streams(sorted(self._seen))
            values = key_values(plan, self._class, self._segment, streams)
            out.write(footer(plan.columns, groups, len(keys), values))
        return table, out.size, out.digest()

    def _write_block(
        self,
        out: "_Hashed",
        plan: Plan,
        columns: Mapping[str, Any],
        buffered: Mapping[str, BufferedColumn],
        rows: int,
    ) -> tuple[list[Placed], Array]:
        start = out.size
        placed, records = [], []
        for spec in plan.columns:
            chunk = encode(spec, columns[spec.name], rows, buffered[spec.name].few)
            first, second = pages(chunk, rows)
            at = out.size
            before = first or second
            body = chunk.dictionary + second + chunk.data if first else chunk.data
            gap = len(second) if first else 0
            out.write(before + body)
            self.column_bytes[spec.name] += len(before) + len(body)
            raw = len(first) + len(second) + chunk.raw_dictionary + chunk.raw_data
            data_at = at + len(first) + len(chunk.dictionary)
            placed.append(Placed(chunk, at, data_at, len(before) + len(body), raw))
            records.append(page_of(at + len(before) - start, chunk, gap, crc32(body)))
            if spec.name == "stream_id":
                self._seen.update(np.unique(columns["stream_id"][0]).tolist())
        return placed, pages_array(records)

    def _read_back(
        self, plan: Plan, table: list[tuple[int, int, Array]]
    ) -> tuple[tuple[int, int, bytes], ...]:
        data = DataFile(self._data, plan)
        for number, (at, rows, pages_) in enumerate(table):
            self.go_on()
            self._proof.add(Block(data, number, at, rows, pages_))
            if number % _RELEASE_EVERY == 0:
                data.release()
        data.release()
        return self._proof.parts()

    def _facts(
        self,
        keys: Array,
        *,
        size: int,
        index_size: int,
        digest: str,
        index_digest: str,
        parts: tuple[tuple[int, int, bytes], ...],
        blocks: int,
    ) -> PackFacts:
        created = keys["created"] + np.int64(PG_EPOCH_US)
        received = keys["received"] + np.int64(PG_EPOCH_US)
        plausible = (created >= received - 400 * _DAY_US) & (created <= received + _DAY_US)
        within = created[plausible]
        return PackFacts(
            rows=len(keys),
            file_bytes=size + index_size,
            data_bytes=size,
            index_bytes=index_size,
            copy_bytes=int(keys["size"].sum()),
            min_created_us=int(within.min()) if len(within) else None,
            max_created_us=int(within.max()) if len(within) else None,
            min_received_us=int(received.min()),
            max_received_us=int(received.max()),
            odd_times=int((~plausible).sum()),
            data_sha256=digest,
            index_sha256=index_digest,
            parts=parts,
            blocks=blocks,
        )


def _rows_within(sizes: Array) -> int:
    """How many rows fit into a block by their size."""
    beyond = np.cumsum(np.maximum(sizes.astype(np.int64) - ORDINARY, 0))
    return max(1, int(np.searchsorted(beyond, MOST_TEXT, side="right")))


def index_header(
    plan: Plan, class_name: str, segment: int, data: DataFile, digest: str
) -> dict[str, Any]:
    """The header of the index, without what the builder adds."""
    return {
        "format": 1,
        "class": class_name,
        "segment": segment,
        "data_size": data.size,
        "data_sha256": digest,
        "tail_sha256": tail_hash(data.tail(TAIL)),
        "promoted": [[i.top, i.key, i.kind, i.scale, i.link] for i in plan.promoted],
    }


class _Hashed:
    """A file that is hashed while written, and synced when closed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def digest(self) -> str:
        return self._hash.hexdigest()

    def __enter__(self) -> "_Hashed":  # noqa: PYI034 - never derived from
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            if not exception[0]:
                self._file.flush()
                failpoints.reach("pack.before_sync")
                os.fsync(self._file.fileno())
        finally:
            self._file.close()
