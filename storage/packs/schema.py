"""The columns of a pack's Parquet file: the fixed ones, and promoted keys of metadata. Pure.

A column's kind determines its encoding and its logical type.
"""

from dataclasses import dataclass
from enum import Enum

from storage.packs.scalars import BOOLEAN, DECIMAL, DELAY, DOUBLE, INTEGER, LINK, STRING

FORMAT_VERSION = 1
"""Of data and index file together."""


class Kind(Enum):
    """Physical type with its logical type."""

    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    TIME = "time"
    DECIMAL = "decimal"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    TEXT = "text"
    BYTES = "bytes"
    UUID = "uuid"

    @property
    def is_number(self) -> bool:
        """Whether values are kept as a NumPy array, not as a list of bytes."""
        return self not in {Kind.TEXT, Kind.BYTES, Kind.UUID}


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One column of the file."""

    name: str
    kind: Kind
    is_optional: bool = False
    has_range: bool = False
    """Whether min and max are written with each chunk."""
    scale: int = 0
    """Of a DECIMAL."""


CREATED_AT = ColumnSpec("created_at", Kind.TIME, has_range=True)
SYSTEM: tuple[ColumnSpec, ...] = (
    CREATED_AT,
    ColumnSpec("created_ns", Kind.INT16),
    ColumnSpec("received_at", Kind.TIME),
    ColumnSpec("batch_id", Kind.INT64),
    ColumnSpec("position", Kind.INT32),
    ColumnSpec("encoding_version", Kind.INT32),
    ColumnSpec("stream_id", Kind.INT64),
    ColumnSpec("ingest_key_id", Kind.INT32),
    ColumnSpec("tenant", Kind.INT32),
    ColumnSpec("level", Kind.TEXT),
    ColumnSpec("severity_number", Kind.INT16),
    ColumnSpec("kind", Kind.TEXT),
    ColumnSpec("id_tail", Kind.INT64, is_optional=True),
    ColumnSpec("id_exact", Kind.UUID, is_optional=True),
    ColumnSpec("trace_id", Kind.UUID, is_optional=True),
    ColumnSpec("span_id", Kind.BYTES, is_optional=True),
    ColumnSpec("parent_span_id", Kind.BYTES, is_optional=True),
    ColumnSpec("nonce", Kind.BYTES, is_optional=True),
    ColumnSpec("ip_address", Kind.TEXT, is_optional=True),
    ColumnSpec("source_module", Kind.TEXT),
    ColumnSpec("action", Kind.TEXT),
    ColumnSpec("resource_type", Kind.TEXT, is_optional=True),
    ColumnSpec("resource_id", Kind.TEXT, is_optional=True),
    ColumnSpec("actor_id", Kind.TEXT, is_optional=True),
    ColumnSpec("correlation_id", Kind.TEXT, is_optional=True),
    ColumnSpec("message", Kind.TEXT),
    ColumnSpec("duration_ns", Kind.INT64, is_optional=True, has_range=True),
    ColumnSpec("exceptions", Kind.INT32),
    ColumnSpec("metadata_rest", Kind.TEXT),
)
SYSTEM_NAMES = tuple(spec.name for spec in SYSTEM)

LINKABLE = (
    *("actor_id", "correlation_id", "ip_address", "resource_id", "resource_type"),
    *("source_module", "action", "severity_number"),
)
"""Columns that a promoted key may equal."""

_KINDS = {
    STRING: Kind.TEXT,
    INTEGER: Kind.INT64,
    DECIMAL: Kind.DECIMAL,
    DOUBLE: Kind.DOUBLE,
    BOOLEAN: Kind.BOOLEAN,
    DELAY: Kind.INT64,
}


@dataclass(frozen=True, slots=True)
class Promoted:
    """A key of metadata that is stored as a column, or that equals one (a link)."""

    top: str
    key: str
    kind: int
    """A constant of scalars.py."""
    scale: int = 0
    link: str = ""
    """The column that it equals (kind LINK)."""

    @property
    def name(self) -> str:
        """The name of its column; a link has none, but a name for SQL users."""
        ending = ".after_created" if self.kind == DELAY else ""
        return f"{self.top}.{self.key}{ending}"

    @property
    def column(self) -> str:
        """The column that has its values: its own, or the one that it equals."""
        return self.link if self.kind == LINK else self.name

    @property
    def spec(self) -> ColumnSpec | None:
        """The column; None for a link."""
        if self.kind == LINK:
            return None
        return ColumnSpec(self.name, _KINDS[self.kind], is_optional=True, scale=self.scale)


@dataclass(frozen=True, slots=True)
class Plan:
    """The columns of a pack."""

    promoted: tuple[Promoted, ...]

    @property
    def columns(self) -> tuple[ColumnSpec, ...]:
        """All columns in the order of the file."""
        own = [item.spec for item in self.promoted]
        return (*SYSTEM, *[spec for spec in own if spec is not None])

    def promoted_at(self, top: str, key: str) -> tuple[int, Promoted] | None:
        """The slot of a key of metadata that is a column, or equals one."""
        for slot, item in enumerate(self.promoted):
            if item.top == top and item.key == key:
                return slot, item
        return None

    def widened(self, slot: int) -> "Plan":
        """The same plan with a DOUBLE in place of a DECIMAL that cannot hold all values."""
        item = self.promoted[slot]
        wider = Promoted(item.top, item.key, DOUBLE)
        return Plan((*self.promoted[:slot], wider, *self.promoted[slot + 1 :]))
