"""Events of the live tail, and their ids. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventId:
    """Id of an event, which a reconnecting client sends as Last-Event-ID."""

    batch_id: int
    position: int

    def __str__(self) -> str:
        return f"{self.batch_id}.{self.position}"

    def covers(self, other: "EventId") -> bool:
        """Whether the other event is of the same batch and not after this one."""
        return other.batch_id == self.batch_id and other.position <= self.position

    @classmethod
    def parse(cls, text: str) -> "EventId | None":
        """The id in a string; None if it is malformed."""
        batch, _, position = text.partition(".")
        if not (batch.isascii() and batch.isdigit() and len(batch) < 20):
            return None
        if not (position.isascii() and position.isdigit() and len(position) < 10):
            return None
        return cls(int(batch), int(position)) if int(batch) < 2**63 else None


@dataclass(frozen=True, slots=True)
class Event:
    """One record for a subscriber."""

    id: EventId
    body: bytes
