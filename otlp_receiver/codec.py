"""The three stages from the bytes of a request to its records.

    decode   bytes           -> Export           protobuf/, json/
    redact   Export          -> RedactedExport   redaction/
    map      RedactedExport  -> RedactedBatch    mapping/

Redaction precedes mapping, so that no derived value can contain a secret. The stages are chained
generators, so that a record passes all of them while it is in the CPU cache. The memos are the only
state.
"""

from collections.abc import Iterator
from os import urandom
from typing import Protocol

from config.levels import Level
from config.settings import LimitSettings, MappingSettings
from otlp_receiver.export import Encoding, Export, RedactedExport, Signal, Stream
from otlp_receiver.json.decode import JsonReader
from otlp_receiver.mapping.attribute_shapes import Shape, ShapeMaker
from otlp_receiver.mapping.columns.identity import random_bits_of
from otlp_receiver.mapping.columns.times import odd_times_text, skewed_text
from otlp_receiver.mapping.context import MappingContext, Note
from otlp_receiver.mapping.logs import map_logs
from otlp_receiver.mapping.metadata import unreadable_text
from otlp_receiver.mapping.spans import map_spans
from otlp_receiver.mapping.streams import StreamFacts, facts_of
from otlp_receiver.memos import Memos
from otlp_receiver.protobuf.decode import ProtobufReader
from otlp_receiver.redaction.limiting import RedactorLike
from otlp_receiver.redaction.redacting import Redacting
from storage.record.record import Batch, RedactedBatch, Value


class SenderKey(Protocol):
    """The ingest key as the mapping uses it (otlp_receiver.admission.keys.KeyInfo)."""

    @property
    def id(self) -> int:
        """0 without a key."""

    @property
    def attributes(self) -> tuple[tuple[str, Value], ...]:
        """Added to each resource."""

    @property
    def min_level(self) -> Level | None:
        """Records below it are rejected."""


class Codec:
    """One per process."""

    def __init__(
        self, redactor: RedactorLike, limits: LimitSettings, mapping: MappingSettings
    ) -> None:
        self._redactor = redactor
        self._limits = limits
        self._mapping = mapping
        self._memos = Memos()
        self._redacting = Redacting(redactor, limits, self._memos)
        self._make_shape = ShapeMaker(mapping)

    def twin(self) -> "Codec":
        """Another codec with separate memos, for use in another thread."""
        return Codec(self._redactor, self._limits, self._mapping)

    def decode(self, signal: Signal, encoding: Encoding, body: bytes) -> Export:
        """Decode a body.

        Raises BadPayload for an invalid body; invalid values in protobuf may be detected only when
        `map` reads their row.
        """
        reader: ProtobufReader | JsonReader
        if encoding is Encoding.PROTOBUF:
            reader = ProtobufReader(self._memos, self._limits)
        else:
            reader = JsonReader(self._memos, self._limits)
        return reader.logs(body) if signal is Signal.LOGS else reader.traces(body)

    def redact(self, export: Export) -> RedactedExport:
        """Redact secrets."""
        return self._redacting(export)

    def map(
        self,
        export: RedactedExport,
        *,
        received_unix_ns: int,
        key: SenderKey,
        note: Note | None = None,
    ) -> RedactedBatch:
        """Map all records; consumes the export, and raises the decoding errors found on the way.

        `note` is called with each record and the source of each of its columns (explain.py).
        """
        slices = self.map_in_slices(export, received_unix_ns=received_unix_ns, key=key, note=note)
        batch = next(slices)
        for _ in slices:
            pass
        return batch

    def map_in_slices(
        self,
        export: RedactedExport,
        *,
        received_unix_ns: int,
        key: SenderKey,
        note: Note | None = None,
    ) -> Iterator[RedactedBatch]:
        """Yield the same batch after each slice of records, while they are in the CPU cache.

        All other fields of the batch are valid only after the last slice.
        """
        tallies = export.tallies
        batch = Batch([], {}, 0, redactions=tallies.redactions)
        context = MappingContext(
            batch=batch,
            received_ns=received_unix_ns,
            tail=random_bits_of(urandom(5)),
            min_level=key.min_level,
            max_message_bytes=self._limits.message_bytes,
            shapes=self._memos.shapes.young,
            shape_of=self._shape_of,
            facts_of=lambda stream: self._facts_of(stream, key),
            note=note,
        )
        redacted = RedactedBatch(batch)
        for _ in map_logs(export.logs, context):
            yield redacted
        for _ in map_spans(export.spans, context):
            yield redacted
        batch.received = tallies.received
        batch.replaced_characters += tallies.replaced
        for reject in tallies.rejects:
            batch.rejected[reject.reason] = batch.rejected.get(reject.reason, 0) + reject.count
            batch.rejected_at.setdefault(reject.reason, reject.where)
        if context.odd_times:
            batch.warnings.append(odd_times_text(context.odd_times))
        if context.ahead_times:
            batch.warnings.append(skewed_text(context.ahead_times, context.most_ahead_ns))
        if tallies.unreadable:
            batch.warnings.append(unreadable_text(tallies.unreadable, tallies.unreadable_at))
        yield redacted

    def _shape_of(self, keys: tuple[str, ...]) -> Shape:
        shape = self._memos.shapes.find(keys)
        if shape is None:
            shape = self._make_shape(keys)
            self._memos.shapes.add(keys, shape, 200 * len(keys) + sum(map(len, keys)))
        return shape

    def _facts_of(self, stream: Stream, key: SenderKey) -> StreamFacts:
        facts = self._memos.facts.find((stream, key.id))
        # The attributes of an ingest key may change at runtime.
        if facts is None or facts.key_attributes != key.attributes:
            added = [self._redactor.attribute(name, value) for name, value in key.attributes]
            facts = facts_of(stream, added, key.attributes, self._mapping, self._make_shape)
            size = len(facts.definition.resource) + len(facts.definition.scope)
            self._memos.facts.add((stream, key.id), facts, 2 * size)
        return facts
