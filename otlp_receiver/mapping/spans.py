"""Spans: one row each, at their start time; span events named "exception" become derived rows.

Sources: opentelemetry-proto trace.proto; semantic conventions, exceptions/exceptions-spans.md. A
span without valid ids is stored without a trace, as in the Collector. `sources` as in logs.py.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from config.levels import Level
from otlp_receiver.export import Group, Odd, SpanEvent, SpanRow, Stream
from otlp_receiver.mapping.attribute_shapes import Shape
from otlp_receiver.mapping.audit import audit_member
from otlp_receiver.mapping.columns import action, address, identity, trace_ids
from otlp_receiver.mapping.columns.exception import EVENT_NAME, exception_member, exception_text
from otlp_receiver.mapping.columns.levels import level_of_span
from otlp_receiver.mapping.columns.message import message_of_span
from otlp_receiver.mapping.columns.module import Rank
from otlp_receiver.mapping.columns.texts import fit
from otlp_receiver.mapping.columns.times import duration_ns
from otlp_receiver.mapping.context import POSITION_SOURCE, SLICE_ROWS, MappingContext, Sources
from otlp_receiver.mapping.logs import NO_MEMBERS
from otlp_receiver.mapping.metadata import assembled, sorted_object
from otlp_receiver.mapping.shared_columns import fill_shared_columns
from otlp_receiver.mapping.span_member import span_member
from otlp_receiver.mapping.streams import StreamFacts
from otlp_receiver.mapping.trace_context import set_trace_context
from storage.record.canonical import canonical
from storage.record.record import Attribute, Record
from storage.record.record_ids import id_of


@dataclass(slots=True)
class _SpanAsParent:
    """Values that a span passes to the rows of its exception events."""

    module: tuple[Rank, str, str]
    actor: tuple[str | None, str]
    correlation: tuple[str | None, str]


def map_spans(groups: Iterable[Group[Stream, SpanRow]], context: MappingContext) -> Iterator[None]:
    """Map all spans of a request, each followed by its exceptions, into `context.batch`.

    Yields after each slice.
    """
    for group in groups:
        facts = context.facts_of(group.stream)
        context.batch.streams[facts.definition.id] = facts.definition
        context.batch.replaced_characters += group.stream.replaced
        for count, span in enumerate(group.rows, 1):
            if count % SLICE_ROWS == 0:
                yield
            record = _map_span(span, facts, context)
            rank = min(Rank.ATTRIBUTE, facts.module[0])
            for place, event in enumerate(span.events):
                if event.name == EVENT_NAME:
                    _map_exception(event, place, span, (record, rank), context)


def _map_span(span: SpanRow, facts: StreamFacts, context: MappingContext) -> Record:
    attributes = span.attributes
    shape = _shape(attributes, context)
    sources: Sources | None = None if context.note is None else {}
    full: dict[str, bytes] = {}
    extra: dict[str, bytes] = {}
    record = Record()
    record.kind = "span"
    record.stream_id = facts.definition.id
    record.severity_number = 0

    quality = context.set_time(record, span.start_ns, 0, sources)
    record.duration_ns = duration_ns(span.start_ns, span.end_ns)
    level, level_source = level_of_span(span.status_code)
    record.level = level
    fill_shared_columns(record, attributes, shape, facts, full, sources)
    name, action_source = action.action_of(
        attributes, shape.action, "", span_name=span.name, otherwise=action.OF_SPANS
    )
    if len(name) > action.CHARACTERS:
        full["action"] = canonical(name)
        name = fit(name, action.CHARACTERS)
    record.action = name
    record.ip_address, address_source = (
        address.address_of(attributes, shape.address)
        if span.kind in address.SPAN_KINDS
        else (None, "")
    )
    set_trace_context(
        record, (span.trace_id, span.span_id), (attributes, shape, NO_MEMBERS), extra, sources
    )
    _set_parent(record, span.parent_span_id, attributes, shape)
    record.id = id_of(record.created_unix_ns, _tail(record, context))
    message = message_of_span(span.name, span.status_code, record.duration_ns)
    record.message, odd = context.cut_message(message, span.odd)

    record.metadata = assembled(
        attributes=_inside(attributes, shape),
        otel=_otel(extra, full, odd, context),
        span=span_member(span),
        audit=audit_member(attributes, shape.audit) if shape.audit else b"",
        exception=exception_member(attributes, shape.exception) if shape.exception else b"",
        marks=span.marks,
        level_source=level_source,
        time_quality=quality,
    )
    if sources is not None:
        sources.update(
            id="trace_id, span_id" if record.trace_id and record.span_id else POSITION_SOURCE,
            durationNs="end_time_unix_nano",
            parentSpanId="parent_span_id",
            level=level_source or "default",
            action=action_source,
            ipAddress=address_source,
            message="span.name",
        )
    context.take(record, sources)
    return record


def _map_exception(
    event: SpanEvent,
    place: int,
    span: SpanRow,
    parent_row: tuple[Record, Rank],
    context: MappingContext,
) -> None:
    """An ERROR row with the span's ids; values missing in the event come from the span.

    `parent_row`: the span's row, and the rank of its module.
    """
    parent, rank = parent_row
    attributes = event.attributes
    shape = _shape(attributes, context)
    sources: Sources | None = None if context.note is None else {}
    full: dict[str, bytes] = {}
    record = Record()
    record.kind = "log"
    record.stream_id = parent.stream_id
    record.severity_number = 0
    record.duration_ns = record.parent_span_id = None

    quality = context.set_time(record, event.time_ns or parent.created_unix_ns, 0, sources)
    record.level = Level.ERROR
    parent_values = _SpanAsParent(
        (rank, parent.source_module, "span"),
        (parent.actor_id, "span"),
        (parent.correlation_id, "span"),
    )
    fill_shared_columns(record, attributes, shape, parent_values, full, sources)
    if record.resource_type is None and record.resource_id is None:
        record.resource_type, record.resource_id = parent.resource_type, parent.resource_id
        if sources is not None:
            sources.update(resourceType="span", resourceId="span")
    record.action, action_source = action.action_of(attributes, shape.action, EVENT_NAME)
    record.action = fit(record.action, action.CHARACTERS)
    record.ip_address = parent.ip_address
    record.trace_id, record.span_id = parent.trace_id, parent.span_id
    record.id = id_of(record.created_unix_ns, _tail(parent, context, place))
    message = exception_text(attributes, shape.exception) or EVENT_NAME
    record.message, odd = context.cut_message(message, None)

    marks_at = f"events[{place}]."
    record.metadata = assembled(
        attributes=_inside(attributes, shape),
        otel=_otel({}, full, odd, context),
        exception=exception_member(attributes, shape.exception) if shape.exception else b"",
        marks=[
            (where.removeprefix(marks_at), rule, count)
            for where, rule, count in span.marks
            if where.startswith(marks_at)
        ],
        level_source="exception",
        time_quality=quality,
    )
    if sources is not None:
        sources.update(
            id="the span's id and the position of the event",
            derivedFrom=f"events[{place}]",
            level="exception",
            action=action_source,
            ipAddress="span",
            traceId="span",
            spanId="span",
            message="exception",
        )
    context.take(record, sources, derived=True)


def _shape(attributes: list[Attribute], context: MappingContext) -> Shape:
    keys = tuple([attribute.key for attribute in attributes])
    return context.shapes.get(keys) or context.shape_of(keys)


def _inside(attributes: list[Attribute], shape: Shape) -> bytes:
    return b", ".join(shape.arrange([attribute.json for attribute in attributes]))


def _set_parent(record: Record, sent: bytes, attributes: list[Attribute], shape: Shape) -> None:
    parent = sent if trace_ids.valid(sent, trace_ids.SPAN_BYTES) else None
    for at, _ in shape.parents if parent is None else ():
        parent = parent or trace_ids.from_hex(attributes[at].value, trace_ids.SPAN_BYTES)
    record.parent_span_id = parent


def _tail(record: Record, context: MappingContext, event: int | None = None) -> int:
    """Derived from the span's ids if valid, so that duplicates have the same id."""
    if record.trace_id is None or record.span_id is None:
        return context.next_tail()
    ids = record.trace_id + record.span_id
    if event is None:
        return identity.tail_of_key("span", ids)
    return identity.tail_of_key("exception", ids + event.to_bytes(4, "big"))


def _otel(
    extra: dict[str, bytes], full: dict[str, bytes], odd: Odd | None, context: MappingContext
) -> bytes:
    if odd is not None:
        context.note_odd(odd, 0, extra)
    if full:
        extra["full"] = sorted_object(full)
    return b'"otel": ' + sorted_object(extra) if extra else b""
