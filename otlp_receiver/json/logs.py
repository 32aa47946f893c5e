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
    at_fault,
    renamed,
)
from otlp_receiver.json.values import WrongValue, any_value, enum, hex_id, text, uint32, uint64
from storage.record.record import Value


def read_log(raw: object, attributes: AttributeReader) -> RawLog:
    """Read a LogRecord. Raises WrongValue with the path in it."""
    if type(raw) is not dict:
        raise WrongValue("not an object")
    if attributes.dirty:
        attributes.clean(raw)
    fields: Object = raw if LOG_CAMEL.issuperset(raw) else renamed(raw, LOG_NAMES)
    get = fields.get
    own = attributes.read(get("attributes"), "attributes")
    body = _body(get("body"), attributes)
    try:
        head = (
            enum(get("severityNumber"), SEVERITIES),
            text(get("severityText")),
            uint32(get("flags")),
            text(get("eventName")),
            uint32(get("droppedAttributesCount")),
        )
        return (
            head,
            uint64(get("timeUnixNano")),
            uint64(get("observedTimeUnixNano")),
            hex_id(get("traceId")),
            hex_id(get("spanId")),
            body,
            own,
            attributes.fresh(),
            attributes.odd(),
        )
    except WrongValue as wrong:
        wrong.where = at_fault(fields, LOG)
        raise


def _body(body: Any, attributes: AttributeReader) -> Value:
    if type(body) is dict and len(body) == 1:
        message: Value = body.get("stringValue")
        if type(message) is str:
            return message
    try:
        return any_value(body, attributes.tally)
    except WrongValue as wrong:
        wrong.where = f"body.{wrong.where}".rstrip(".")
        raise
