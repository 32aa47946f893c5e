"""A frame, and what became of its rows in a transaction of the writer."""

from dataclasses import dataclass, field

from storage.record.record import Part
from storage.spool.frame import Frame


@dataclass(frozen=True, slots=True)
class DeadRow:
    """A row that PostgreSQL refused."""

    class_name: str
    position: int
    leaf: bytes
    source_module: str


@dataclass(slots=True)
class StoredFrame:
    """A frame, and what became of its rows."""

    frame: Frame
    parts: tuple[Part, ...]
    """As stored: without rows that were refused."""
    dead_rows: list[DeadRow] = field(default_factory=list)
    duplicate_of: int | None = None
    revived: int = 0
    """Rows that were dead letters until now: they count as received with their first batch."""

    @property
    def dead(self) -> int:
        """Rows that were refused; negative where dead letters came back to life."""
        return len(self.dead_rows) - self.revived

    @property
    def stored(self) -> int:
        """Rows stored."""
        return sum(part.rows for part in self.parts)

    @property
    def duplicate(self) -> int:
        """Rows not stored because another batch has them."""
        return self.frame.rows if self.duplicate_of is not None else 0
