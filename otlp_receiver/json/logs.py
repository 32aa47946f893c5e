"""Log records of OTLP/JSON. Hot: loadtests/bench_codec.py."""

from typing import Any

from otlp_receiver.export import RawLog
from otlp_receiver.json.attributes import AttributeReader
from otlp_receiver.json.fields import (
    LOG,
    LOG_CAMEL,
    LOG_NAMES,
    SEVERITIES,
    Object,
    renamed,
    values_of,
)
from otlp_receiver.json.values import WrongValue, any_value, enum, hex_id, text, uint32, uint64
from otlp_receiver.tally import Tally
from storage.record.record import Value


def read_log(raw: object, attributes: AttributeReader) -> RawLog:
    """Read a LogRecord. Raises WrongValue if it is not an object."""
    if type(raw) is not dict:
        raise WrongValue("not an object")
    if attributes.dirty:
        attributes.clean(raw)
    fields: Object = raw if LOG_CAMEL.issuperset(raw) else renamed(raw, LOG_NAMES)
    get = fields.get
    tally = attributes.tally
    own = attributes.read(get("attributes"), "attributes")
    body = _body(get("body"), tally)
    try:
        number, severity = enum(get("severityNumber"), SEVERITIES), text(get("severityText"))
        flags, event_name = uint32(get("flags")), text(get("eventName"))
        dropped = uint32(get("droppedAttributesCount"))
        time_ns, observed_ns = uint64(get("timeUnixNano")), uint64(get("observedTimeUnixNano"))
        trace_id, span_id = hex_id(get("traceId")), hex_id(get("spanId"))
    except WrongValue:
        number, severity, flags, event_name, dropped, time_ns, observed_ns, trace_id, span_id = (
            values_of(fields, LOG, tally)
        )
    return (
        (number, severity, flags, event_name, dropped),
        time_ns,
        observed_ns,
        trace_id,
        span_id,
        body,
        own,
        attributes.fresh(),
        attributes.odd(),
    )


def _body(body: Any, tally: Tally) -> Value:
    if type(body) is dict and len(body) == 1:
        message: Value = body.get("stringValue")
        if type(message) is str:
            return message
    before = len(tally.notes)
    value = any_value(body, tally)
    if len(tally.notes) > before:
        tally.place(before, "body")
    return value
