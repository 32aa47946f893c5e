"""Both encodings of the same telemetry yield the same records; malformed bytes yield none."""

import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otlp_receiver.errors import BadPayload
from otlp_receiver.export import Encoding, Signal
from otlp_receiver.mapping.columns.action import EVENT_KEYS
from otlp_receiver.mapping.columns.actor import KEYS as ACTOR_KEYS
from otlp_receiver.mapping.columns.address import KEYS as ADDRESS_KEYS
from otlp_receiver.mapping.columns.correlation import KEYS as CORRELATION_KEYS
from storage.record.canonical import canonical
from storage.record.record import Value
from tests.support.telemetry import (
    NOW_NS,
    any_json,
    any_proto,
    attributes_json,
    attributes_proto,
    columns_of,
    log,
    logs_json,
    logs_proto,
    make_codec,
    span,
    spans_json,
    spans_proto,
    stored,
)

SIGNALS = [Signal.LOGS, Signal.TRACES]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    ["hunter2", "10.0.0.1", "x" * 300, "\0", "4bf92f3577b34da6a3ce929d0e0e4736", "anonymous"]
)
keys = texts | st.sampled_from(
    [
        *ACTOR_KEYS, *ADDRESS_KEYS, *CORRELATION_KEYS, *EVENT_KEYS, "resource.id", "resource.type",
        "exception.type", "exception.message", "exception.stacktrace", "audit.outcome", "action",
        "http.route", "http.request.method", "code.function.name", "source.module", "trace_id",
        "log.record.uid", "service.name",
    ]
)  # fmt: skip
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | texts
    | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
attributes = st.dictionaries(keys, values, max_size=6)
times = st.sampled_from([0, 1, NOW_NS - 10**9, NOW_NS + 5, 2**63, 2**64 - 1])
trace_ids = st.sampled_from([b"", bytes(16), b"t" * 16, b"short"])
span_ids = st.sampled_from([b"", bytes(8), b"spanspan", b"no"])
uint32 = st.sampled_from([0, 1, 257, 2**32 - 1])


@dataclass
class Log:
    """A log record that both encodings can represent."""

    time_ns: int
    observed_ns: int
    number: int
    text: str
    body: Value
    attributes: dict[str, Value]
    dropped: int
    flags: int
    trace_id: bytes
    span_id: bytes
    event_name: str

    def proto(self) -> LogRecord:
        """As protobuf."""
        return LogRecord(
            time_unix_nano=self.time_ns,
            observed_time_unix_nano=self.observed_ns,
            severity_number=self.number,
            severity_text=self.text,
            body=any_proto(self.body),
            attributes=attributes_proto(self.attributes),
            dropped_attributes_count=self.dropped,
            flags=self.flags,
            trace_id=self.trace_id,
            span_id=self.span_id,
            event_name=self.event_name,
        )

    def json(self) -> dict[str, object]:
        """As OTLP/JSON."""
        return {
            "timeUnixNano": str(self.time_ns),
            "observedTimeUnixNano": self.observed_ns,
            "severityNumber": self.number,
            "severityText": self.text,
            "body": any_json(self.body),
            "attributes": attributes_json(self.attributes),
            "droppedAttributesCount": self.dropped,
            "flags": self.flags,
            "traceId": self.trace_id.hex(),
            "spanId": self.span_id.hex(),
            "eventName": self.event_name,
        }


logs = st.builds(
    Log,
    times,
    times,
    st.sampled_from([0, 1, 9, 17, 24, 25, -1, 2**31 - 1]),
    texts,
    values,
    attributes,
    uint32,
    uint32,
    trace_ids,
    span_ids,
    texts,
)


@dataclass
class Event:
    """A span event; a link if it has ids."""

    name: str
    time_ns: int
    attributes: dict[str, Value]
    dropped: int
    trace_id: bytes
    span_id: bytes


events = st.builds(
    Event,
    st.just("exception") | texts,
    times,
    attributes,
    uint32,
    trace_ids,
    span_ids,
)


@dataclass
class Traced:
    """A span that both encodings can represent."""

    trace_id: bytes
    span_id: bytes
    parent: bytes
    state: str
    flags: int
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: dict[str, Value]
    dropped: int
    code: int
    message: str
    events: list[Event] = field(default_factory=list)

    def proto(self) -> Span:
        """As protobuf."""
        return Span(
            trace_id=self.trace_id,
            span_id=self.span_id,
            parent_span_id=self.parent,
            trace_state=self.state,
            flags=self.flags,
            name=self.name,
            kind=self.kind,
            start_time_unix_nano=self.start_ns,
            end_time_unix_nano=self.end_ns,
            attributes=attributes_proto(self.attributes),
            dropped_attributes_count=self.dropped,
            dropped_events_count=self.dropped,
            dropped_links_count=self.dropped,
            status=Status(code=self.code, message=self.message),
            events=[
                Span.Event(
                    time_unix_nano=event.time_ns,
                    name=event.name,
                    attributes=attributes_proto(event.attributes),
                    dropped_attributes_count=event.dropped,
                )
                for event in self.events
            ],
            links=[
                Span.Link(
                    trace_id=event.trace_id,
                    span_id=event.span_id,
                    trace_state=event.name,
                    attributes=attributes_proto(event.attributes),
                    dropped_attributes_count=event.dropped,
                    flags=event.dropped,
                )
                for event in self.events
            ],
        )

    def json(self) -> dict[str, object]:
        """As OTLP/JSON."""
        return {
            "traceId": self.trace_id.hex().upper(),
            "spanId": self.span_id.hex(),
            "parentSpanId": self.parent.hex(),
            "traceState": self.state,
            "flags": self.flags,
            "name": self.name,
            "kind": self.kind,
            "startTimeUnixNano": self.start_ns,
            "endTimeUnixNano": str(self.end_ns),
            "attributes": attributes_json(self.attributes),
            "droppedAttributesCount": self.dropped,
            "droppedEventsCount": self.dropped,
            "droppedLinksCount": self.dropped,
            "status": {"code": self.code, "message": self.message},
            "events": [
                {
                    "timeUnixNano": event.time_ns,
                    "name": event.name,
                    "attributes": attributes_json(event.attributes),
                    "droppedAttributesCount": event.dropped,
                }
                for event in self.events
            ],
            "links": [
                {
                    "traceId": event.trace_id.hex(),
                    "spanId": event.span_id.hex(),
                    "traceState": event.name,
                    "attributes": attributes_json(event.attributes),
                    "droppedAttributesCount": event.dropped,
                    "flags": event.dropped,
                }
                for event in self.events
            ],
        }


traced = st.builds(
    Traced,
    trace_ids,
    span_ids,
    span_ids,
    texts,
    uint32,
    texts,
    st.integers(-1, 7),
    times,
    times,
    attributes,
    uint32,
    st.integers(-1, 4),
    texts,
    st.lists(events, max_size=3),
)


def assert_same(one, other):
    """Assert that two batches are equal except for the random part of their ids."""
    assert [columns_of(record) for record in one.records] == [
        columns_of(record) for record in other.records
    ]
    assert one.streams == other.streams
    assert (one.received, one.derived, one.rejected) == (
        other.received,
        other.derived,
        other.rejected,
    )
    assert one.replaced_characters == other.replaced_characters
    assert one.redactions == other.redactions
    assert one.every_record_has_time == other.every_record_has_time
    for record in one.records:
        assert canonical(json.loads(record.metadata)) == record.metadata
        assert "hunter2" not in str(columns_of(record))


@settings(max_examples=150, deadline=None)
@given(st.lists(logs, max_size=3), attributes)
def test_logs_are_the_same_in_both_encodings(sent, resource):
    """All columns and counts; the second time from the memos."""
    protobuf = logs_proto(*[record.proto() for record in sent], resource=resource)
    text = logs_json(*[record.json() for record in sent], resource=resource)
    codec = make_codec()

    one = stored(protobuf.SerializeToString(), Signal.LOGS, Encoding.PROTOBUF, codec=codec)
    other = stored(text, codec=codec)
    again = stored(protobuf.SerializeToString(), Signal.LOGS, Encoding.PROTOBUF, codec=codec)

    assert_same(one, other)
    assert_same(one, again)


@settings(max_examples=100, deadline=None)
@given(st.lists(traced, max_size=2))
def test_spans_are_the_same_in_both_encodings(sent):
    """With their events, links and exceptions."""
    protobuf = spans_proto(*[item.proto() for item in sent]).SerializeToString()
    text = spans_json(*[item.json() for item in sent])
    codec = make_codec()

    one = stored(protobuf, Signal.TRACES, Encoding.PROTOBUF, codec=codec)
    other = stored(text, Signal.TRACES, codec=codec)
    again = stored(text, Signal.TRACES, codec=codec)

    assert_same(one, other)
    assert_same(one, again)


WHOLE = {
    Signal.LOGS: logs_proto(
        LogRecord(
            time_unix_nano=NOW_NS,
            severity_number=9,
            severity_text="INFO",
            body=any_proto({"a": [1, "x", b"y", None, 1.5, True]}),
            attributes=attributes_proto({"user.id": "u", "n": 5, "deep": {"a": {"b": [1]}}}),
            flags=1,
            trace_id=b"t" * 16,
            span_id=b"s" * 8,
        ),
        LogRecord(body=any_proto("second")),
        resource={"service.name": "shop", "list": ["a"]},
    ),
    Signal.TRACES: spans_proto(
        Traced(
            b"t" * 16, b"s" * 8, b"p" * 8, "a=1", 1, "name", 2, NOW_NS, NOW_NS + 5, {"a": "b"}, 1,
            2, "no", [Event("exception", NOW_NS, {"exception.type": "E"}, 1, b"t" * 16, b"s" * 8)],
        ).proto()
    ),
}  # fmt: skip
WHOLE_JSON = {
    Signal.LOGS: logs_json(log({"a": 1, "b": "x"}, body="m\0"), log(), resource={"r": 1}),
    Signal.TRACES: spans_json(span({"a": 1}, events=[{"name": "exception"}], links=[{}])),
}


def bodies(signal: Signal) -> list[tuple[Encoding, bytes]]:
    """A valid body in each encoding."""
    scope = InstrumentationScope(name="scope", version="1")
    request = WHOLE[signal]
    for resource in getattr(request, f"resource_{'logs' if signal is Signal.LOGS else 'spans'}"):
        for inner in getattr(resource, f"scope_{'logs' if signal is Signal.LOGS else 'spans'}"):
            inner.scope.CopyFrom(scope)
    return [
        (Encoding.PROTOBUF, request.SerializeToString()),
        (Encoding.JSON, WHOLE_JSON[signal]),
    ]


def read_or_reject(body: bytes, signal: Signal, encoding: Encoding) -> None:
    """Assert success or BadPayload; any other exception fails the test."""
    try:
        batch = stored(body, signal, encoding)
    except BadPayload:
        return
    taken = len(batch.records) - batch.derived + sum(batch.rejected.values())
    assert taken == batch.received


@pytest.mark.parametrize("signal", SIGNALS)
def test_bodies_truncated_at_every_byte_are_read_or_rejected(signal):
    """Records that are read are counted."""
    for encoding, body in bodies(signal):
        for end in range(len(body)):
            read_or_reject(body[:end], signal, encoding)


@pytest.mark.parametrize("signal", SIGNALS)
def test_bodies_with_any_byte_changed_are_read_or_rejected(signal):
    """Each byte changed to its neighbours, to 0 and to 255."""
    for encoding, body in bodies(signal):
        for place in range(len(body)):
            for byte in {body[place] ^ 1, body[place] ^ 0x80, 0, 255}:
                changed = body[:place] + bytes([byte]) + body[place + 1 :]
                read_or_reject(changed, signal, encoding)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SIGNALS), st.data())
def test_bodies_with_many_bytes_changed_are_read_or_rejected(signal, data):
    """Bytes replaced, doubled, dropped."""
    encoding, body = data.draw(st.sampled_from(bodies(signal)))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(body)))
        end = data.draw(st.integers(at, min(len(body), at + 20)))
        body = body[:at] + data.draw(st.binary(max_size=5) | st.just(body[at:end] * 2)) + body[end:]

    read_or_reject(body, signal, encoding)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(SIGNALS), st.sampled_from(list(Encoding)))
def test_any_bytes_are_read_or_rejected(body, signal, encoding):
    """Random bytes."""
    read_or_reject(body, signal, encoding)


jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            [
                "resourceLogs", "resourceSpans", "resource", "scopeLogs", "scopeSpans", "scope",
                "logRecords", "spans", "attributes", "key", "value", "stringValue", "intValue",
                "doubleValue", "boolValue", "bytesValue", "arrayValue", "kvlistValue", "values",
                "body", "timeUnixNano", "traceId", "events", "links", "status", "name", "kind",
                "severityNumber", "flags", "code", "droppedAttributesCount", "schemaUrl",
            ]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=30,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(jsons, st.sampled_from(SIGNALS), st.integers(0, 5))
def test_json_of_any_shape_is_read_or_rejected(document, signal, depth):
    """Known names with values of every wrong type, at every level."""
    kind = "Logs" if signal is Signal.LOGS else "Spans"
    rows = "logRecords" if signal is Signal.LOGS else "spans"
    wrappers = [
        lambda inner: {"attributes": [{"key": "a", "value": inner}], "body": inner},
        lambda inner: {rows: [inner, {}]},
        lambda inner: {f"scope{kind}": [inner]},
        lambda inner: {f"resource{kind}": [inner]},
    ]
    for wrap in wrappers[min(depth, 4) :]:
        document = wrap(document)

    read_or_reject(json.dumps(document).encode(), signal, Encoding.JSON)
