"""A frame, and the outcome of its rows in a transaction of the writer."""

from dataclasses import dataclass, field

from storage.record.record import Part
from storage.spool.frame import Frame


@dataclass(frozen=True, slots=True)
class DeadRow:
    """A row that PostgreSQL rejected."""

    class_name: str
    position: int
    leaf: bytes
    source_module: str


@dataclass(slots=True)
class StoredFrame:
    """A frame, and the outcome of its rows."""

    frame: Frame
    parts: tuple[Part, ...]
    """As stored: without rejected rows."""
    dead_rows: list[DeadRow] = field(default_factory=list)
    duplicate_of: int | None = None
    replayed: int = 0
    """Rows that were dead letters until now: they were counted as received in their first batch."""

    @property
    def dead(self) -> int:
        """Rejected rows; negative where dead letters were replayed."""
        return len(self.dead_rows) - self.replayed

    @property
    def stored(self) -> int:
        """Rows stored."""
        return sum(part.rows for part in self.parts)

    @property
    def duplicate(self) -> int:
        """Rows not stored because another batch has them."""
        return self.frame.rows if self.duplicate_of is not None else 0
