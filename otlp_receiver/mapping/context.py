"""What the mapping of one request knows and fills."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from config.levels import Level
from otlp_receiver.export import Odd, Stream
from otlp_receiver.mapping.attribute_shapes import Shape
from otlp_receiver.mapping.columns.identity import NEXT_PLACE
from otlp_receiver.mapping.columns.texts import cut
from otlp_receiver.mapping.columns.times import (
    OBSERVED,
    RECEIVED,
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
"""Column to the attribute or field that its value came from. Filled only for explain.py."""

Note: TypeAlias = Callable[[Record, Sources, str], None]
"""Told of every record that was mapped, and why it was not taken ("" when it was)."""

MAX_METADATA_BYTES = 512 * 2**20
"""Of all records of a request together. Only numbers like 1e308 grow so, which jsonb prints in
full: a hostile body must not fill the memory."""


SLICE_ROWS: Final = 100
"""Records that are mapped without a look at anything else: some two milliseconds. The writer's COPY
shares the event loop, and a socket to PostgreSQL holds work for no longer than that."""

PLACE_SOURCE = "time and place in the request"
"""Of the id of a record that has no identity of its own."""
_TIME_SOURCES = {
    "": "the record's own time",
    OBSERVED: "observed_time_unix_nano",
    RECEIVED: "the time of arrival",
}


@dataclass(slots=True)
class MappingContext:
    """One request on its way through the mapping."""

    batch: Batch
    received_ns: int
    tail: int
    """Of the id of the last record without an identity; its low 34 bits are random."""
    min_level: Level | None
    max_message_bytes: int
    shapes: dict[tuple[str, ...], Shape]
    """Those used lately; `shape_of` knows or makes the others."""
    shape_of: Callable[[tuple[str, ...]], Shape]
    facts_of: Callable[[Stream], StreamFacts]
    note: Note | None = None
    short_message: int = field(init=False)
    """Characters up to which a message fits for certain: each takes up to four bytes."""
    earliest_ns: int = field(init=False)
    latest_ns: int = field(init=False)
    room_bytes: int = field(init=False)
    """Metadata that the request may still have."""
    odd_times: int = 0
    """Records whose time is not plausible."""

    def __post_init__(self) -> None:
        self.room_bytes = MAX_METADATA_BYTES
        self.short_message = self.max_message_bytes // 4
        self.earliest_ns, self.latest_ns = plausible_ns(self.received_ns)

    def set_time(
        self, record: Record, time_ns: int, observed_ns: int, sources: Sources | None
    ) -> str:
        """Set created_unix_ns and odd_time; how far that can be trusted, "" for fully."""
        quality = ""
        if not time_ns:
            time_ns, quality = time_without_own(observed_ns, self.received_ns)
            if quality == RECEIVED:
                self.batch.every_record_has_time = False
        odd = quality_of(time_ns, self.earliest_ns, self.latest_ns)
        record.created_unix_ns, record.odd_time = time_ns, bool(odd)
        self.odd_times += bool(odd)
        if sources is not None:
            sources["createdAt"] = _TIME_SOURCES[quality]
        return odd or quality

    def cut_message(self, message: str, odd: Odd | None) -> tuple[str, Odd | None]:
        """The message within its limit, and the note of what it was."""
        size = len(message.encode())
        if size <= self.max_message_bytes:
            return message, odd
        odd = odd or Odd()
        odd.cuts["message"] = size
        return cut(message, self.max_message_bytes), odd

    def note_odd(self, odd: Odd | None, replaced: int, extra: dict[str, bytes]) -> None:
        """Count what was replaced, and say it in the record's metadata.otel (`extra`)."""
        if odd is not None:
            replaced += odd.replaced
            extra.update(odd_members(odd))
        if replaced:
            self.batch.replaced_characters += replaced
            extra["replaced_characters"] = b"%d" % replaced

    def next_tail(self) -> int:
        """The tail of the id of the next record that has no identity of its own."""
        self.tail = (self.tail + NEXT_PLACE) & TAIL_MASK
        return self.tail

    def take(self, record: Record, sources: Sources | None, *, derived: bool = False) -> None:
        """The record is part of the batch, unless it is below the key's level or one too many."""
        reason = ""
        if self.room_bytes <= 0:
            reason = TOO_MUCH
        elif self.min_level is not None and record.level < self.min_level:
            reason = BELOW_MIN_LEVEL
        else:
            self.room_bytes -= len(record.metadata)
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
