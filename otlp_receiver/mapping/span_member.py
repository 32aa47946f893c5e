"""metadata.span: the fields of a span that have no column, enough to restore it as sent.

Source: opentelemetry-proto trace.proto. Enums are open: an unknown number becomes the unspecified
value, and the number is kept.
"""

from otlp_receiver.export import SpanEvent, SpanLink, SpanRow
from otlp_receiver.mapping.metadata import sorted_object
from storage.record.canonical import canonical, object_of

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUSES = ("UNSET", "OK", "ERROR")


def span_member(span: SpanRow) -> bytes:
    """Metadata's `"span": {…}`."""
    members = {"name": canonical(span.name), "kind": _named(KINDS, span.kind)}
    if not 0 <= span.kind < len(KINDS):
        members["kind_number"] = b"%d" % span.kind
    status = {"code": _named(STATUSES, span.status_code)}
    if not 0 <= span.status_code < len(STATUSES):
        status["code_number"] = b"%d" % span.status_code
    if span.status_message:
        status["message"] = canonical(span.status_message)
    members["status"] = sorted_object(status)
    if span.trace_state:
        members["trace_state"] = canonical(span.trace_state)
    if span.events:
        members["events"] = _list([_event(event) for event in span.events])
    if span.links:
        members["links"] = _list([_link(link) for link in span.links])
    _numbers(
        members,
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        flags=span.flags,
        dropped_attributes_count=span.dropped,
        dropped_events_count=span.dropped_events,
        dropped_links_count=span.dropped_links,
    )
    return b'"span": ' + sorted_object(members)


def _event(event: SpanEvent) -> bytes:
    members = {"name": canonical(event.name)}
    if event.attributes:
        members["attributes"] = object_of(event.attributes)
    _numbers(members, time_ns=event.time_ns, dropped_attributes_count=event.dropped)
    return sorted_object(members)


def _link(link: SpanLink) -> bytes:
    members = {
        "trace_id": canonical(link.trace_id.hex()),
        "span_id": canonical(link.span_id.hex()),
    }
    if link.trace_state:
        members["trace_state"] = canonical(link.trace_state)
    if link.attributes:
        members["attributes"] = object_of(link.attributes)
    _numbers(members, flags=link.flags, dropped_attributes_count=link.dropped)
    return sorted_object(members)


def _named(names: tuple[str, ...], number: int) -> bytes:
    return canonical(names[number] if 0 <= number < len(names) else names[0])


def _list(items: list[bytes]) -> bytes:
    return b"[" + b", ".join(items) + b"]"


def _numbers(members: dict[str, bytes], **numbers: int) -> None:
    for name, number in numbers.items():
        if number:
            members[name] = b"%d" % number
