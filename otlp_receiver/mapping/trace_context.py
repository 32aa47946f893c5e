"""Set a record's trace and span ids, by the rules of columns/trace_ids.py."""

from otlp_receiver.mapping.attribute_shapes import Shape
from otlp_receiver.mapping.columns.names import Named
from otlp_receiver.mapping.columns.trace_ids import (
    SPAN_BYTES,
    SPAN_NAMES,
    TRACE_BYTES,
    TRACE_NAMES,
    named_id,
    valid,
)
from otlp_receiver.mapping.context import Sources
from storage.record.record import Attribute, Record

TRACE_KEY, SPAN_KEY = "trace_id", "span_id"
"""The fields, as sources and in metadata.otel."""
_MAX_SHOWN_BYTES = 64


def set_trace_context(
    record: Record,
    sent: tuple[bytes, bytes],
    where: tuple[list[Attribute], Shape, Named],
    extra: dict[str, bytes],
    sources: Sources | None,
) -> None:
    """Set trace_id and span_id if the fields (`sent`) do not contain two valid ids.

    `where`: the other sources, which are attributes, their shape, and the members of the body.

    Invalid ids, and a span id without a trace id, are kept in metadata.otel (`extra`).
    """
    sent_trace, sent_span = sent
    attributes, shape, members = where
    trace: bytes | None = sent_trace if valid(sent_trace, TRACE_BYTES) else None
    span: bytes | None = sent_span if valid(sent_span, SPAN_BYTES) else None
    trace_source, span_source = TRACE_KEY, SPAN_KEY
    if trace is None:
        _show(TRACE_KEY, sent_trace, extra)
        trace, trace_source = named_id(
            TRACE_NAMES, TRACE_BYTES, (attributes, shape.trace_id, members)
        )
    if span is None:
        _show(SPAN_KEY, sent_span, extra)
        span, span_source = named_id(SPAN_NAMES, SPAN_BYTES, (attributes, shape.span_id, members))
    if trace is None and span is not None:
        _show(SPAN_KEY, span, extra)
        span = None
    record.trace_id, record.span_id = trace, span
    if sources is not None:
        sources.update(
            traceId=trace_source if trace is not None else "",
            spanId=span_source if span is not None else "",
        )


def _show(key: str, raw: bytes, extra: dict[str, bytes]) -> None:
    if any(raw):
        extra[key] = b'"' + raw[:_MAX_SHOWN_BYTES].hex().encode() + b'"'
