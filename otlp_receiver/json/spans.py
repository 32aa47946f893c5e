"""Spans of OTLP/JSON."""

from otlp_receiver.export import RawEvent, RawLink, RawSpan
from otlp_receiver.json.attributes import AttributeReader
from otlp_receiver.json.fields import EVENT, LINK, SPAN, STATUS, list_of, object_of, values_of
from otlp_receiver.json.values import WrongValue


def read_span(raw: object, attributes: AttributeReader) -> RawSpan:
    """Read a Span. Raises WrongValue if it is not an object."""
    if type(raw) is not dict:
        raise WrongValue("not an object")
    attributes.clean(raw)
    tally = attributes.tally
    fields = object_of(raw, tally, "")
    own = attributes.read(fields.get("attributes"), "attributes")
    events = [
        _event(event, f"events[{n}]", attributes)
        for n, event in enumerate(attributes.some(list_of(fields, "events", tally), "events"))
    ]
    links = [
        _link(link, f"links[{n}]", attributes)
        for n, link in enumerate(attributes.some(list_of(fields, "links", tally), "links"))
    ]
    code, message = values_of(
        object_of(fields.get("status"), tally, "status"), STATUS, tally, "status."
    )
    (
        trace_id,
        span_id,
        parent_span_id,
        trace_state,
        flags,
        name,
        kind,
        start_ns,
        end_ns,
        dropped,
        dropped_events,
        dropped_links,
    ) = values_of(fields, SPAN, tally)
    return RawSpan(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent_span_id,
        trace_state=trace_state,
        flags=flags,
        name=name,
        kind=kind,
        start_ns=start_ns,
        end_ns=end_ns,
        attributes=own,
        dropped=dropped,
        events=events,
        dropped_events=dropped_events,
        links=links,
        dropped_links=dropped_links,
        status_code=code,
        status_message=message,
        fresh=attributes.fresh(),
        odd=attributes.odd(),
    )


def _event(raw: object, where: str, attributes: AttributeReader) -> RawEvent:
    fields = object_of(raw, attributes.tally, where)
    own = attributes.read(fields.get("attributes"), f"{where}.attributes")
    time_ns, name, dropped = values_of(fields, EVENT, attributes.tally, f"{where}.")
    return RawEvent(time_ns, name, own, dropped)


def _link(raw: object, where: str, attributes: AttributeReader) -> RawLink:
    fields = object_of(raw, attributes.tally, where)
    own = attributes.read(fields.get("attributes"), f"{where}.attributes")
    trace_id, span_id, trace_state, flags, dropped = values_of(
        fields, LINK, attributes.tally, f"{where}."
    )
    return RawLink(trace_id, span_id, trace_state, own, flags, dropped)
