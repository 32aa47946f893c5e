"""The smallest thing that is wrong is what is lost: each field of a full record, damaged in turn.

Both encodings, all fields, every kind of damage; what is lost is counted against the same request
undamaged. Fields are found by walking the request, so a new one is damaged as well.
"""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otlp_receiver.errors import BadPayload
from otlp_receiver.export import Encoding, Signal
from otlp_receiver.protobuf.repair import encoded
from otlp_receiver.protobuf.wire import FIXED32, FIXED64, LENGTH, VARINT, fields
from storage.record.record import RedactedBatch
from tests.support.telemetry import (
    NOW_NS,
    any_json,
    any_proto,
    attributes_json,
    attributes_proto,
    logs_proto,
    metadata_of,
    stored,
)

VALUES = {
    "text": "x",
    "number": 5,
    "fraction": 1.5,
    "flag": True,
    "bytes": b"hi",
    "list": ["a", 1, {"deep": "d"}],
    "map": {"a": "b", "n": [2]},
    "last": "kept",
}
FEW = {"list": ["a", {"deep": "d"}], "last": "kept"}
TIME = NOW_NS - 10**9


def full_log() -> dict[str, Any]:
    """A log record with every field."""
    return {
        "timeUnixNano": str(TIME),
        "observedTimeUnixNano": str(TIME + 1),
        "severityNumber": 9,
        "severityText": "INFO",
        "body": any_json({"message": "m", "n": 5, "inner": {"list": [1, "x"]}}),
        "attributes": attributes_json(VALUES),
        "droppedAttributesCount": 3,
        "flags": 257,
        "traceId": "74" * 16,
        "spanId": "73" * 8,
        "eventName": "order.placed",
    }


def full_span() -> dict[str, Any]:
    """A span with every field, two events and two links."""
    around = {"attributes": attributes_json(FEW), "droppedAttributesCount": 2}
    return {
        "traceId": "74" * 16,
        "spanId": "73" * 8,
        "parentSpanId": "70" * 8,
        "traceState": "a=b",
        "flags": 257,
        "name": "GET /orders",
        "kind": 2,
        "startTimeUnixNano": str(TIME),
        "endTimeUnixNano": str(TIME + 5),
        "attributes": attributes_json(VALUES),
        "droppedAttributesCount": 1,
        "events": [
            {"timeUnixNano": str(TIME + 1), "name": "first", **around},
            {"timeUnixNano": str(TIME + 2), "name": "second", **around},
        ],
        "droppedEventsCount": 1,
        "links": [
            {"traceId": "6c" * 16, "spanId": "6c" * 8, "traceState": "c=d", "flags": 1, **around},
            {"traceId": "6d" * 16, "spanId": "6d" * 8, "traceState": "e=f", "flags": 1, **around},
        ],
        "droppedLinksCount": 1,
        "status": {"code": 1, "message": "fine"},
    }


NAMES = {
    Signal.LOGS: ("resourceLogs", "scopeLogs", "logRecords", full_log),
    Signal.TRACES: ("resourceSpans", "scopeSpans", "spans", full_span),
}


def full_json(signal: Signal) -> dict[str, Any]:
    """Two resources with two full records each, with every field of the envelopes."""
    resources, scopes, records, full = NAMES[signal]
    around = {"attributes": attributes_json({"service.name": "shop", **VALUES})}
    scope = {
        "scope": {"name": "lib", "version": "1", "droppedAttributesCount": 1, **around},
        records: [full(), full()],
        "schemaUrl": "https://scope",
    }
    resource = {
        "resource": {"droppedAttributesCount": 1, **around},
        scopes: [scope],
        "schemaUrl": "https://resource",
    }
    return {resources: [copy.deepcopy(resource), copy.deepcopy(resource)]}


Path = tuple[str | int, ...]


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """The path of every value in a document, without the second of its resources and records."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            if not (path[-1] in NO_SECOND and place):
                yield from places(inner, (*path, place))


NO_SECOND = {"resourceLogs", "resourceSpans", "logRecords", "spans"}

DAMAGES = [
    {}, [], "", "?", -1, 2**70, 1.5, True, {"type": "Buffer", "data": [1]}, [1, 2], [[]], {"x": {}},
]  # fmt: skip
"""What encoders write in the place of something else: null is not among them, it is a default."""


def damaged(document: Any, path: Path, damage: Any) -> bytes:
    """The document as JSON, with this in the place of the value at a path."""
    changed = json.loads(json.dumps(document))
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = damage
    return json.dumps(changed).encode()


def expected_records(path: Path, signal: Signal) -> int:
    """How many of the four records a damage at a path may leave at least."""
    resources, scopes, records, _ = NAMES[signal]
    if path[0] != resources or len(path) == 1:
        return 0
    if len(path) == 2 or path[2:] in {(scopes,), (scopes, 0), (scopes, 0, records)}:
        return 2
    return 3 if path[2:] == (scopes, 0, records, 0) else 4


@dataclass
class Content:
    """What a batch kept, as one text of values."""

    values: list[str]
    notes: int


def content_of(batch: RedactedBatch) -> Content:
    """All leaves of metadata and streams, and how many notes there are."""
    values: list[str] = []
    notes = 0
    documents = [metadata_of(record) for record in batch.records]
    for stream in batch.streams.values():
        documents += [json.loads(stream.resource), json.loads(stream.scope)]
        documents.append({"urls": [stream.resource_schema_url, stream.scope_schema_url]})
    for document in documents:
        otel = document.get("otel", {}) if isinstance(document.get("otel"), dict) else {}
        notes += len(otel.pop("unreadable", [])) + len(document.pop("opslog.unreadable", []))
        values += leaves(document)
    return Content(sorted(values), notes)


def leaves(value: Any) -> list[str]:
    """The texts of all scalars in a document."""
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [json.dumps(value)]


def leaves_at(document: Any, path: Path) -> int:
    """How many scalars the value at a path has, at most."""
    for step in path:
        document = document[step]
    return max(len(leaves(document)), 1)


def missing(whole: Content, rest: Content) -> int:
    """How many values of `whole` are not in `rest`."""
    left = list(rest.values)
    count = 0
    for value in whole.values:
        if value in left:
            left.remove(value)
        else:
            count += 1
    return count


JSON_CASES = [
    pytest.param(signal, path, id=".".join(map(str, path)))
    for signal in NAMES
    for path in places(full_json(signal))
]


@pytest.mark.parametrize(("signal", "path"), JSON_CASES)
def test_json_each_field_damaged_in_turn(signal: Signal, path: Path) -> None:
    """At most the damaged value is lost: no record, no neighbour; each loss has a note or reject."""
    document = full_json(signal)
    whole = content_of(stored(json.dumps(document).encode(), signal))
    for damage in DAMAGES:
        body = damaged(document, path, damage)
        least = expected_records(path, signal)
        try:
            batch = stored(body, signal)
        except BadPayload:
            assert not least
            continue
        assert len(batch.records) >= least, damage
        assert len(batch.records) + sum(batch.rejected.values()) == batch.received
        if len(batch.records) < 4:
            assert batch.rejected or damage == [] or isinstance(damage, dict)  # without records
            continue
        rest = content_of(batch)
        # Values of resource and scope are stored once for all of their records.
        assert missing(whole, rest) <= leaves_at(document, path) + len(batch.streams), damage
        elements = len(damage) if isinstance(damage, list) else 1
        assert rest.notes <= max(elements, 1), damage
        if missing(whole, rest) > 1:  # an object with unknown members is a message without fields
            assert rest.notes or damage == [] or isinstance(damage, dict), damage


# -- protobuf ---------------------------------------------------------------------------------


def log_proto() -> LogRecord:
    """The same log record."""
    return LogRecord(
        time_unix_nano=TIME,
        observed_time_unix_nano=TIME + 1,
        severity_number=9,
        severity_text="INFO",
        body=any_proto({"message": "m", "n": 5, "inner": {"list": [1, "x"]}}),
        attributes=attributes_proto(VALUES),
        dropped_attributes_count=3,
        flags=257,
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        event_name="order.placed",
    )


def span_proto() -> Span:
    """The same span."""
    around = {"attributes": attributes_proto(FEW), "dropped_attributes_count": 2}
    return Span(
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        parent_span_id=b"p" * 8,
        trace_state="a=b",
        flags=257,
        name="GET /orders",
        kind=Span.SpanKind.SPAN_KIND_SERVER,
        start_time_unix_nano=TIME,
        end_time_unix_nano=TIME + 5,
        dropped_events_count=1,
        events=[
            Span.Event(time_unix_nano=TIME + 1, name="first", **around),
            Span.Event(time_unix_nano=TIME + 2, name="second", **around),
        ],
        dropped_links_count=1,
        links=[
            Span.Link(trace_id=b"l" * 16, span_id=b"l" * 8, trace_state="c=d", flags=1, **around),
            Span.Link(trace_id=b"m" * 16, span_id=b"m" * 8, trace_state="e=f", flags=1, **around),
        ],
        status=Status(code=Status.StatusCode.STATUS_CODE_OK, message="fine"),
        attributes=attributes_proto(VALUES),
        dropped_attributes_count=1,
    )


OTHER_TYPES = {
    VARINT: (LENGTH, b"\x01"),
    LENGTH: (VARINT, 5),
    FIXED64: (VARINT, 5),
    FIXED32: (FIXED64, b"12345678"),
}


def fields_of(raw: bytes) -> list[tuple[int, int, int | bytes]]:
    """The fields of a message."""
    return list(fields(raw))


def joined(parts: list[tuple[int, int, int | bytes]]) -> bytes:
    """Their message."""
    return b"".join(encoded(*part) for part in parts)


def variants(raw: bytes, descriptor: Any, path: str = "") -> Iterator[tuple[str, bytes]]:
    """(name, message) for each field, at any depth, with another wire type, cut off, and broken."""
    parts = fields_of(raw)
    for place, (number, wire_type, content) in enumerate(parts):
        field = descriptor.fields_by_number[number]
        name = f"{path}{field.name}#{place}"
        before, after = parts[:place], parts[place + 1 :]
        other = OTHER_TYPES[wire_type]
        yield f"{name}: other type", joined([*before, (number, *other), *after])
        if field.type != FieldDescriptor.TYPE_MESSAGE:
            continue
        assert isinstance(content, bytes)
        yield (
            f"{name}: broken",
            joined([*before, (number, wire_type, content + b"\x0a\x7f"), *after]),
        )
        yield f"{name}: no message", joined([*before, (number, wire_type, b"\xff\xff"), *after])
        for inner, changed in variants(content, field.message_type, f"{name}."):
            yield inner, joined([*before, (number, wire_type, changed), *after])


PROTOBUF_CASES = [
    pytest.param(signal, changed, id=name)
    for signal, record in ((Signal.LOGS, log_proto()), (Signal.TRACES, span_proto()))
    for name, changed in variants(record.SerializeToString(), record.DESCRIPTOR)
]


def request_of(signal: Signal, *records: bytes) -> bytes:
    """A request of records, with resource and scope."""
    around = logs_proto(resource={"service.name": "shop"}).resource_logs[0]
    resource = around.resource.SerializeToString()
    scope = b"".join(encoded(2, LENGTH, record) for record in records)
    return encoded(1, LENGTH, encoded(1, LENGTH, resource) + encoded(2, LENGTH, scope))


@pytest.mark.parametrize(("signal", "changed"), PROTOBUF_CASES)
def test_protobuf_each_field_damaged_in_turn(signal: Signal, changed: bytes) -> None:
    """The record and its neighbours are stored; what is lost is one value, and has a note."""
    good = (log_proto() if signal is Signal.LOGS else span_proto()).SerializeToString()
    whole = content_of(stored(request_of(signal, good, good), signal, Encoding.PROTOBUF))

    batch = stored(request_of(signal, good, changed, good), signal, Encoding.PROTOBUF)

    assert (len(batch.records), batch.rejected) == (3, {})
    rest = content_of(batch)
    assert rest.notes == 1
    assert batch.warnings[0].startswith("1 values cannot be read")
    assert missing(whole, rest) == 0  # of the neighbours
    one = content_of(stored(request_of(signal, good), signal, Encoding.PROTOBUF))
    own = stored(request_of(signal, changed), signal, Encoding.PROTOBUF)
    # A value that is a message of several (an event, the body) is lost as a whole at most.
    assert missing(one, content_of(own)) <= max(1, MOST[signal])


MOST = {Signal.LOGS: 6, Signal.TRACES: 16}
"""Scalars of the largest value: the body; an event, a link."""


ENVELOPES = [
    (1, FIXED64, b"12345678"),
    (2, VARINT, 5),
    (3, FIXED32, b"1234"),
]


@pytest.mark.parametrize("odd", ENVELOPES, ids=str)
@pytest.mark.parametrize("signal", [Signal.LOGS, Signal.TRACES])
@pytest.mark.parametrize("level", ["request", "resource", "scope"])
def test_protobuf_envelopes_with_another_wire_type(signal, odd, level):
    """A resource, scope or schema URL costs itself; what may have held records is rejected."""
    good = (log_proto() if signal is Signal.LOGS else span_proto()).SerializeToString()
    extra = encoded(*odd)
    scope = encoded(2, LENGTH, good) + (extra if level == "scope" else b"")
    resource = encoded(2, LENGTH, scope) + (extra if level == "resource" else b"")
    body = encoded(1, LENGTH, resource) + (extra if level == "request" else b"")

    batch = stored(body, signal, Encoding.PROTOBUF)

    assert len(batch.records) == 1
    has_records = odd[0] == (1 if level == "request" else 2)
    assert batch.rejected == ({"bad_value": 1} if has_records else {})
    is_noted = not has_records and level != "request"
    assert bool(batch.warnings) == is_noted


def test_protobuf_of_odd_envelopes_only_is_refused():
    """Nothing was understood."""
    for body in (
        encoded(1, VARINT, 5),
        encoded(1, LENGTH, encoded(2, VARINT, 5)),
        encoded(1, LENGTH, encoded(2, LENGTH, encoded(2, FIXED32, b"1234"))),
    ):
        with pytest.raises(BadPayload):
            stored(body, Signal.TRACES, Encoding.PROTOBUF)
