"""Reading a pack: filters, columns, records and tuples, block by block.

The index is mapped; only its header is a Python object. Threads may share a pack.
"""

import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from storage.filtering.filters import Filter
from storage.packs.blocks import Block, DataFile
from storage.packs.errors import PackDamaged
from storage.packs.index.layout import BLOCK, MARK, PART, TAIL, IndexFile, tail_hash
from storage.packs.index.templates import COUNT, Templates
from storage.packs.metadata import plan_of_promoted
from storage.packs.parquet.encode import Array
from storage.packs.parquet.places import PAGE
from storage.packs.rows import block as rows_block
from storage.packs.search.candidates import Candidates
from storage.packs.search.matching import Matcher
from storage.packs.search.verdicts import Tally

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


class Pack:
    """One pack. Raises PackDamaged when opened, and whenever damage is found while reading."""

    def __init__(self, directory: Path, segment: int) -> None:
        self.segment = segment
        self.path = directory / f"{segment}.parquet"
        self.index = IndexFile(directory / f"{segment}.idx")
        header = self.index.header
        if header["segment"] != segment:
            raise PackDamaged(self.index.path, f"index of segment {header['segment']}")
        self.plan = plan_of_promoted(header["promoted"])
        self.class_name: str = header["class"]
        self._data = DataFile(self.path, self.plan)
        if self._data.size != header["data_size"]:
            raise PackDamaged(self.path, "its size is not the one in its index")
        if tail_hash(self._data.tail(TAIL)) != header["tail_sha256"]:
            raise PackDamaged(self.path, "does not belong to its index")
        self.blocks: Array = self.index.array("blocks", BLOCK)
        """Zone maps (index/layout.py, BLOCK)."""
        self._pages = self.index.array("pages", PAGE).reshape(-1, len(self.plan.columns))
        if len(self._pages) != len(self.blocks):
            raise PackDamaged(self.index.path, "the numbers of blocks and pages differ")

    @property
    def rows_total(self) -> int:
        """The number of rows."""
        return int(self.blocks["rows"].sum())

    @property
    def is_whole(self) -> bool:
        """Whether both files are as long as when they were opened.

        What was cut off reads as zeros, or ends the process.
        """
        return self.index.is_whole and self._data.is_whole

    @property
    def data_sha256(self) -> str:
        """The hash of the data file that the index contains."""
        return str(self.index.header["data_sha256"])

    @property
    def parts(self) -> Array:
        """Batches with rows and digests (index/layout.py, PART)."""
        return self.index.array("parts", PART)

    @property
    def marks(self) -> Array:
        """The first bytes of each leaf hash, by batch and position."""
        return self.index.array("marks", f"V{MARK}")

    def release(self) -> None:
        """Release the memory of what was read of the data file."""
        self._data.release()

    def fetch(self, blocks: Sequence[int], columns: Collection[str] | None = None) -> None:
        """Start to read these columns of blocks (None: all) from disk, without waiting."""
        self._data.fetch([(int(self.blocks["at"][n]), self._pages[n]) for n in blocks], columns)

    def block(self, number: int) -> Block:
        """A block; each column is decoded on first access."""
        zone = self.blocks[number]
        return Block(self._data, number, int(zone["at"]), int(zone["rows"]), self._pages[number])

    def columns(self, block: int, names: Sequence[str]) -> dict[str, list[Any]]:
        """Columns of system_logs, or of the file, of all rows of a block."""
        read = self.block(block)
        return {name: self._column(read, name) for name in names}

    def _column(self, block: Block, name: str) -> list[Any]:
        try:
            if name == "id":
                return [UUID(bytes=raw) for raw in self._ids(block)]
            if name == "metadata":
                texts = rows_block.metadata(block.get, self.plan)
                return [text.decode() for text in texts]
            values = block.get(name).values()
            convert = _AS_PYTHON.get(name)
            if convert is None:
                return list(values)
            return [None if value is None else convert(value) for value in values]
        except (ValueError, TypeError, IndexError, OverflowError) as error:
            raise PackDamaged(self.path, f"column {name}: {error}", block=block.number) from error

    @staticmethod
    def _ids(block: Block) -> list[bytes]:
        numbers = [block.get(n).array() for n in ("created_at", "created_ns", "position")]
        return rows_block.ids(block.get, *numbers)

    def rows(self, block: int, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """Whole records, with the types of asyncpg; metadata as canonical JSON text."""
        columns = self.columns(block, RECORD_COLUMNS)
        return [{name: values[at] for name, values in columns.items()} for at in numbers]

    def tuples(self, block: int) -> tuple[list[bytes], list[bytes | None]]:
        """(COPY tuples, stored nonces of rows of encoding version 2)."""
        return self.block(block).tuples()

    def candidate_blocks(self, condition: Filter) -> list[int]:
        """Blocks that may have matching rows; the others have none."""
        found: list[int] = np.flatnonzero(Candidates(self).of(condition)).tolist()
        return found

    def matches(self, block: int, condition: Filter) -> list[int]:
        """The rows of a block that match, the same as PostgreSQL selects."""
        matcher = Matcher(self.block(block), self.plan, lambda: self.templates)
        found: list[int] = np.flatnonzero(matcher.of(condition)).tolist()
        return found

    def count(self, condition: Filter) -> int:
        """Count matching rows; without reading blocks that zone maps and templates decide."""
        tally = Tally(self, condition)
        undecided = tally.undecided > 0
        rows = int(tally.sure[~undecided].sum())
        blocks = np.flatnonzero(undecided).tolist()
        return rows + sum(len(self.matches(block, condition)) for block in blocks)

    @cached_property
    def templates(self) -> Templates | None:
        """The pack's message templates; None if it had too many. Raises PackDamaged."""
        if not self.index.header["templates"]["kept"]:
            return None
        try:
            return Templates(
                self.index.bytes_of("templates"),
                self.index.array("template_counts", COUNT),
                lambda: self.index.array("row_templates", np.uint8),
                self.index.array("variable_grams", np.uint8),
                len(self.blocks),
            )
        except (zlib.error, ValueError) as error:
            raise PackDamaged(self.index.path, f"templates: {error}") from error

    def each_block(self) -> Iterator[Block]:
        """All blocks in order, with the memory of a few."""
        for number in range(len(self.blocks)):
            if number % 32 == 0:
                self.release()
                self.fetch(range(number, min(number + 32, len(self.blocks))))
            yield self.block(number)


def moment(microseconds: int) -> datetime:
    """Microseconds since 1970 as a datetime, clipped to the range of datetime."""
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return _LATEST if microseconds > 0 else _EARLIEST


def address(text: bytes) -> Any:
    """An inet value as asyncpg returns it."""
    host = text.decode()
    return ip_interface(host) if "/" in host else ip_address(host)


_TEXT_COLUMNS = (
    *("level", "source_module", "action", "resource_type", "resource_id", "actor_id"),
    *("correlation_id", "message", "metadata_rest"),
)
_AS_PYTHON: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_TEXT_COLUMNS, bytes.decode),
    **dict.fromkeys(("created_at", "received_at"), moment),
    **dict.fromkeys(("trace_id", "id_exact"), lambda raw: UUID(bytes=raw)),
    "ip_address": address,
}
RECORD_COLUMNS = (
    *("created_at", "received_at", "batch_id", "stream_id", "duration_ns", "position"),
    *("ingest_key_id", "tenant", "level", "created_ns", "severity_number", "kind", "id"),
    *("trace_id", "span_id", "parent_span_id", "nonce", "ip_address", "source_module", "action"),
    *("resource_type", "resource_id", "actor_id", "correlation_id", "message", "metadata"),
)
"""The columns of system_logs."""
