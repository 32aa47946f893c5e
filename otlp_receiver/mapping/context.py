"""State of the mapping of one request."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from config.levels import Level
from otlp_receiver.export import Odd, Stream
from otlp_receiver.mapping.attribute_shapes import Shape
from otlp_receiver.mapping.columns.identity import NEXT_POSITION
from otlp_receiver.mapping.columns.texts import cut
from otlp_receiver.mapping.columns.times import (
    OBSERVED,
    RECEIVED,
    SKEW_NS,
    plausible_ns,
    quality_of,
    time_without_own,
)
from otlp_receiver.mapping.metadata import odd_members
from otlp_receiver.mapping.reject_reasons import BELOW_MIN_LEVEL, TOO_MUCH
from otlp_receiver.mapping.streams import StreamFacts
from storage.record.record import Batch, Record
from storage.record.record_ids import TAIL_MASK

Sources: TypeAlias = dict[str, str]
"""Source attribute or field by column. Filled only for explain.py."""

Note: TypeAlias = Callable[[Record, Sources, str], None]
"""Called with every mapped record, and the reason if it was rejected (else "")."""

MAX_METADATA_BYTES = 512 * 2**20
"""Limit for all records of a request. Only numbers like 1e308 grow that much, because jsonb prints
them in full: a malicious body must not exhaust memory."""


SLICE_ROWS: Final = 100
"""Records mapped without yielding, about 2 ms. The writer's COPY shares the event loop, and a
socket to PostgreSQL buffers no more work than that."""

POSITION_SOURCE = "time and position in the request"
"""Source of the id of a record without a natural key."""
_TIME_SOURCES = {
    "": "the record's own time",
    OBSERVED: "observed_time_unix_nano",
    RECEIVED: "time of arrival",
}


@dataclass(slots=True)
class MappingContext:
    """State of the mapping of one request."""

    batch: Batch
    received_ns: int
    tail: int
    """Tail of the id of the last record without a natural key; its low 34 bits are random."""
    min_level: Level | None
    max_message_bytes: int
    shapes: dict[tuple[str, ...], Shape]
    """Recently used shapes; `shape_of` returns the others."""
    shape_of: Callable[[tuple[str, ...]], Shape]
    facts_of: Callable[[Stream], StreamFacts]
    note: Note | None = None
    short_message: int = field(init=False)
    """Characters up to which a message certainly fits: each takes up to four bytes."""
    earliest_ns: int = field(init=False)
    latest_ns: int = field(init=False)
    remaining_bytes: int = field(init=False)
    """Remaining metadata of the request."""
    skewed_ns: int = field(init=False)
    """Records dated later are ahead of our clock."""
    odd_times: int = 0
    """Records with an implausible time."""
    ahead_times: int = 0
    """Records with a plausible time that is ahead of our clock."""
    most_ahead_ns: int = 0
    """How far the latest of them is ahead."""

    def __post_init__(self) -> None:
        self.remaining_bytes = MAX_METADATA_BYTES
        self.short_message = self.max_message_bytes // 4
        self.earliest_ns, self.latest_ns = plausible_ns(self.received_ns)
        self.skewed_ns = self.received_ns + SKEW_NS

    def set_time(
        self, record: Record, time_ns: int, observed_ns: int, sources: Sources | None
    ) -> str:
        """Set created_unix_ns and odd_time; return the time quality, "" if normal."""
        quality = ""
        if not time_ns:
            time_ns, quality = time_without_own(observed_ns, self.received_ns)
            if quality == RECEIVED:
                self.batch.every_record_has_time = False
        odd = quality_of(time_ns, self.earliest_ns, self.latest_ns)
        record.created_unix_ns, record.odd_time = time_ns, bool(odd)
        self.odd_times += bool(odd)
        if time_ns > self.skewed_ns and not odd:
            self.ahead_times += 1
            self.most_ahead_ns = max(self.most_ahead_ns, time_ns - self.received_ns)
        if sources is not None:
            sources["createdAt"] = _TIME_SOURCES[quality]
        return odd or quality

    def cut_message(self, message: str, odd: Odd | None) -> tuple[str, Odd | None]:
        """Truncate the message to its limit, and note its original size."""
        size = len(message.encode())
        if size <= self.max_message_bytes:
            return message, odd
        odd = odd or Odd()
        odd.cuts["message"] = size
        return cut(message, self.max_message_bytes), odd

    def note_odd(self, odd: Odd | None, replaced: int, extra: dict[str, bytes]) -> None:
        """Count replaced characters, and add anomalies to the record's metadata.otel (`extra`)."""
        if odd is not None:
            replaced += odd.replaced
            extra.update(odd_members(odd))
        if replaced:
            self.batch.replaced_characters += replaced
            extra["replaced_characters"] = b"%d" % replaced

    def next_tail(self) -> int:
        """The tail of the id of the next record without a natural key."""
        self.tail = (self.tail + NEXT_POSITION) & TAIL_MASK
        return self.tail

    def take(self, record: Record, sources: Sources | None, *, derived: bool = False) -> None:
        """Add the record to the batch, unless it is below the key's level or over the limit."""
        reason = ""
        if self.remaining_bytes <= 0:
            reason = TOO_MUCH
        elif self.min_level is not None and record.level < self.min_level:
            reason = BELOW_MIN_LEVEL
        else:
            self.remaining_bytes -= len(record.metadata)
            self.batch.records.append(record)
            self.batch.derived += derived
        if reason and not derived:
            self._reject(reason, record.source_module)
        if sources is not None and self.note is not None:
            self.note(record, sources, reason)

    def _reject(self, reason: str, module: str) -> None:
        rejected, by_module = self.batch.rejected, self.batch.rejected_modules
        rejected[reason] = rejected.get(reason, 0) + 1
        by_module[reason, module] = by_module.get((reason, module), 0) + 1
