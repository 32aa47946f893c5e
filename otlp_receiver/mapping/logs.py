"""Log records: one row each, one line per column.

Hot (loadtests/bench_codec.py): a rule is called only if the record's shape has attributes for it
(attribute_shapes.py), and `_map_log` is long because a function call costs as much as a column.
explain.py uses the same code: `sources` is filled along with the columns.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from otlp_receiver.export import Group, Head, LogRow, Stream
from otlp_receiver.mapping.attribute_shapes import Shape
from otlp_receiver.mapping.audit import audit_member
from otlp_receiver.mapping.columns.action import CHARACTERS, action_of
from otlp_receiver.mapping.columns.address import address_of
from otlp_receiver.mapping.columns.exception import exception_member
from otlp_receiver.mapping.columns.identity import NEXT_POSITION, tail_of
from otlp_receiver.mapping.columns.levels import level_without_number
from otlp_receiver.mapping.columns.message import message_in_body, message_without_text
from otlp_receiver.mapping.columns.module import CHARACTERS as MODULE_CHARACTERS
from otlp_receiver.mapping.columns.module import UNKNOWN, module_in_body
from otlp_receiver.mapping.columns.names import Named, named
from otlp_receiver.mapping.columns.texts import fit
from otlp_receiver.mapping.columns.trace_ids import NO_SPAN, NO_TRACE
from otlp_receiver.mapping.context import POSITION_SOURCE, SLICE_ROWS, MappingContext, Sources
from otlp_receiver.mapping.metadata import assembled, sorted_object
from otlp_receiver.mapping.otel_member import otel_member
from otlp_receiver.mapping.shared_columns import fill_shared_columns
from otlp_receiver.mapping.streams import StreamFacts
from otlp_receiver.mapping.trace_context import set_trace_context
from storage.record.canonical import canonical
from storage.record.record import Attribute, Record
from storage.record.record_ids import TAIL_MASK, id_of

NO_MEMBERS: Final[Named] = {}
"""Of a body that is not a map."""
_EVENT_SOURCES: Final = frozenset(("event.name", "logrecord.event.name"))
"""Sources of an action that name the event of a record without text, too."""


def map_logs(groups: Iterable[Group[Stream, LogRow]], context: MappingContext) -> Iterator[None]:
    """Map all log records of a request into `context.batch`; yields after each slice."""
    for group in groups:
        facts = context.facts_of(group.stream)
        context.batch.streams[facts.definition.id] = facts.definition
        context.batch.replaced_characters += group.stream.replaced
        rows = iter(group.rows)
        while _map_some(rows, facts, context) == SLICE_ROWS:
            yield


def _map_some(rows: Iterator[LogRow], facts: StreamFacts, context: MappingContext) -> int:
    """Map at most SLICE_ROWS of `rows`; return how many."""
    count = 0
    for row in islice(rows, SLICE_ROWS):
        sources: Sources | None = None if context.note is None else {}
        context.take(_map_log(row, facts, context, sources), sources)
        count += 1
    return count


def _map_log(  # noqa: C901, PLR0912, PLR0915 - hot path, see above
    row: LogRow, facts: StreamFacts, context: MappingContext, sources: Sources | None
) -> Record:
    head, time_ns, observed_ns, trace_id, span_id, text, body, attributes, marks, odd = row
    keys = tuple([attribute.key for attribute in attributes])
    shape = context.shapes.get(keys) or context.shape_of(keys)
    full: dict[str, bytes] = {}
    value = None if body is None else body.value
    members = NO_MEMBERS if body is None else named(value)
    record = Record()
    record.kind = "log"
    record.stream_id = facts.definition.id
    record.duration_ns = record.parent_span_id = None

    quality = ""
    if context.earliest_ns <= time_ns <= context.skewed_ns:
        record.created_unix_ns, record.odd_time = time_ns, False
        if sources is not None:
            sources["createdAt"] = "time_unix_nano"
    else:
        quality = context.set_time(record, time_ns, observed_ns, sources)

    level, level_source, level_path = head.level, "", "severity_number"
    if level is None:
        level, level_source, level_path = _level(head, members, attributes, shape)
    record.level, record.severity_number = level, head.severity_number

    fill_shared_columns(record, attributes, shape, facts, full, sources)
    if members and record.source_module == UNKNOWN:
        _set_module_of_body(record, members, full, sources)
    name, action_source = action_of(attributes, shape.action, head.event)
    if len(name) > CHARACTERS:
        full["action"] = canonical(name)
        name = fit(name, CHARACTERS)
    record.action = name
    record.ip_address, address_source = (
        address_of(attributes, shape.address) if shape.address else (None, "")
    )

    extra: dict[str, bytes] = {}
    if len(trace_id) == 16 and len(span_id) == 8 and trace_id != NO_TRACE and span_id != NO_SPAN:
        record.trace_id, record.span_id = trace_id, span_id
        if sources is not None:
            sources.update(traceId="trace_id", spanId="span_id")
    else:
        set_trace_context(record, (trace_id, span_id), (attributes, shape, members), extra, sources)
    tail, id_source = tail_of(attributes, shape.identity) if shape.identity else (None, "")
    if tail is None:
        tail = context.tail = (context.tail + NEXT_POSITION) & TAIL_MASK
    record.id = id_of(record.created_unix_ns, tail)

    message, message_source = text, "body"
    if not message:
        event = name if action_source in _EVENT_SOURCES else head.event
        message, message_source = message_without_text(
            value, members, event, attributes, shape.exception
        )
    elif members and sources is not None:
        message_source = message_in_body(members)[1]
    if len(message) > context.short_message:
        message, odd = context.cut_message(message, odd)
    record.message = message

    if odd is not None or head.replaced:
        context.note_odd(odd, head.replaced, extra)
    if full:
        extra["full"] = sorted_object(full)
    inside = b", ".join(shape.arrange([attribute.json for attribute in attributes]))
    if (
        inside
        and observed_ns
        and not (body or marks or quality or level_source or extra or shape.special or text == "")
    ):
        record.metadata = b"".join((head.before, b"%d" % observed_ns, head.between, inside, b"}}"))
    else:
        record.metadata = assembled(
            attributes=inside,
            body=body.json if body else (b'"body": ""' if text == "" else b""),
            otel=otel_member(head, observed_ns, extra),
            audit=audit_member(attributes, shape.audit) if shape.audit else b"",
            exception=exception_member(attributes, shape.exception) if shape.exception else b"",
            marks=marks,
            level_source=level_source,
            time_quality=quality,
        )
    if sources is not None:
        sources.update(
            id=id_source or POSITION_SOURCE,
            level=level_path,
            action=action_source,
            ipAddress=address_source,
            message=message_source,
        )
    return record


def _level(
    head: Head, members: Named, attributes: list[Attribute], shape: Shape
) -> tuple[int, str, str]:
    outcome = None if shape.audit_outcome is None else attributes[shape.audit_outcome].value
    return level_without_number(
        head.severity_text,
        (attributes, shape.level, members),
        has_exception=bool(shape.exception),
        audit_outcome=outcome,
    )


def _set_module_of_body(
    record: Record, members: Named, full: dict[str, bytes], sources: Sources | None
) -> None:
    name, source = module_in_body(members)
    if len(name) > MODULE_CHARACTERS:
        full["source_module"] = canonical(name)
        name = fit(name, MODULE_CHARACTERS)
    record.source_module = name
    if sources is not None and source != "default":
        sources["sourceModule"] = source
