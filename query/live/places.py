"""A record's place in the live tail, and a record on its way to a reader. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A record's place in the tail: what a reader that comes back shows."""

    batch_id: int
    position: int

    def __str__(self) -> str:
        return f"{self.batch_id}.{self.position}"

    def is_at_or_behind(self, other: "Place") -> bool:
        """Whether the other one is of the same request and not after it."""
        return other.batch_id == self.batch_id and other.position <= self.position

    @classmethod
    def read(cls, text: str) -> "Place | None":
        """What `str` made; None for anything else."""
        batch, _, position = text.partition(".")
        if not (batch.isascii() and batch.isdigit() and len(batch) < 20):
            return None
        if not (position.isascii() and position.isdigit() and len(position) < 10):
            return None
        return cls(int(batch), int(position)) if int(batch) < 2**63 else None


@dataclass(frozen=True, slots=True)
class Line:
    """One record for a watcher."""

    place: Place
    body: bytes
