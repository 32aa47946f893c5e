"""Bodies that are small on the wire and large in memory: limited before and during decoding."""

import json

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otlp_receiver.errors import BadPayload
from otlp_receiver.export import Encoding, Signal
from otlp_receiver.json import bombs as json_bombs
from otlp_receiver.protobuf import bombs
from tests.support.telemetry import (
    log,
    logs_json,
    logs_proto,
    make_codec,
    metadata_of,
    span,
    spans_json,
    spans_proto,
    stored,
)
from tests.unit.otlp_receiver.protobuf.test_wire import sized, tag
from tests.unit.otlp_receiver.test_explain import explained

ROWS = 10_000
"""The least that limits.request_rows may be."""


def codec():
    """A codec with that limit."""
    return make_codec({"request_rows": ROWS})


def bodies(count):
    """This many records in both encodings, in two scopes."""
    half = sized(2, b"\x12\x00" * (count // 2))
    rows = {"scopeLogs": [{"logRecords": [{}] * (count // 2)}] * 2}
    return [
        (Encoding.PROTOBUF, sized(1, half + half)),
        (Encoding.JSON, json.dumps({"resourceLogs": [rows]}).encode()),
    ]


@pytest.mark.parametrize("place", [0, 1], ids=["protobuf", "json"])
def test_records_beyond_the_limit_are_rejected_and_counted(place):
    """Those before it are stored; the others are not decoded."""
    encoding, body = bodies(ROWS + 50)[place]

    batch = stored(body, Signal.LOGS, encoding, codec=codec())

    assert len(batch.records) == ROWS
    assert batch.rejected == {"too_many": 50}
    assert batch.received == ROWS + 50


@pytest.mark.parametrize("place", [0, 1], ids=["protobuf", "json"])
def test_as_many_as_the_limit_are_stored(place):
    """None rejected."""
    encoding, body = bodies(ROWS)[place]

    assert stored(body, Signal.LOGS, encoding, codec=codec()).rejected == {}


def test_spans_events_and_links_share_the_limit():
    """Events and links beyond it are dropped and noted, spans rejected."""
    traced = span(events=[{}] * 1000, links=[{}] * 1000)
    message = Span(name="n")
    for _ in range(1000):
        message.events.add()
        message.links.add()
    for encoding, body in (
        (Encoding.JSON, spans_json(*[traced] * 6)),
        (Encoding.PROTOBUF, spans_proto(*[message] * 6).SerializeToString()),
    ):
        batch = stored(body, Signal.TRACES, encoding, codec=codec())

        last = metadata_of(batch.records[-1])
        assert len(batch.records) == 6
        assert last["otel"]["cut"] == {"events": 1000, "links": 1000}
        assert "events" not in last["span"]
        fourth = metadata_of(batch.records[4])
        assert len(fourth["span"]["events"]) == 1000


def test_a_span_has_no_more_events_than_a_record_attributes():
    """limits.attributes."""
    batch = stored(spans_json(span(events=[{}] * 1030)), Signal.TRACES)

    metadata = metadata_of(batch.records[0])
    assert len(metadata["span"]["events"]) == 1024
    assert metadata["otel"]["cut"] == {"events": 1030}


def test_explain_reports_the_rest_as_one_entry():
    """With their count."""
    body = logs_json(*[log(body="x")] * 3)

    explanation = explained(body)
    assert len(explanation["records"]) == 3

    many = explained(bodies(ROWS + 10)[0][1], encoding=Encoding.PROTOBUF, codec=codec())
    assert many["rejected"] == {"too_many": 10}
    assert many["omitted"] == ROWS + 1 - 1000


def test_a_dense_protobuf_body_is_rejected_before_decoding(monkeypatch):
    """Two bytes per message; with a lower limit, for a fast test."""
    monkeypatch.setattr(bombs, "MAX_MESSAGES", 5000)
    dense = sized(1, sized(2, b"\x12\x00" * 6000))

    with pytest.raises(BadPayload, match="more than 5000 messages"):
        stored(dense, Signal.LOGS, Encoding.PROTOBUF)
    with pytest.raises(BadPayload, match="more than 5000 messages"):
        stored(sized(1, sized(1000, b"\x12\x00" * 6000)), Signal.TRACES, Encoding.PROTOBUF)


def test_dense_bytes_without_messages_are_accepted(monkeypatch):
    """Line breaks in a text, a truncated body, a body of scalars."""
    monkeypatch.setattr(bombs, "MAX_MESSAGES", 5000)
    text = logs_proto(LogRecord(severity_text="\n" * 12_000)).SerializeToString()
    scalars = sized(1, sized(2, sized(2, (tag(200, 0) + b"\x12") * 6000)))

    assert len(stored(text, Signal.LOGS, Encoding.PROTOBUF).records) == 1
    assert len(stored(scalars, Signal.LOGS, Encoding.PROTOBUF).records) == 1
    with pytest.raises(BadPayload, match="not a protobuf export"):
        stored(b"\n" * 12_000 + b"\x05", Signal.LOGS, Encoding.PROTOBUF)


def test_a_dense_json_body_is_rejected_before_decoding(monkeypatch):
    """Objects and lists; long texts are accepted."""
    monkeypatch.setattr(json_bombs, "MAX_CONTAINERS", 5000)

    with pytest.raises(BadPayload, match="more than 5000 objects and lists"):
        stored(b'{"x": [' + b"[]," * 6000 + b"[]]}")
    assert len(stored(logs_json(log(body="x" * 20_000))).records) == 1


def test_the_load_tool_s_records_are_far_from_the_limits():
    """64 MiB of ordinary records: 110,000, with twelve messages and 28 objects each."""
    assert bombs.MAX_MESSAGES > 64 * 2**20 / 600 * 12
    assert json_bombs.MAX_CONTAINERS > 64 * 2**20 / 900 * 28


@pytest.mark.parametrize("pair", [b"\x32\x00", b"\x32\x01\x00", b"\x12\x00"])
def test_a_dense_body_is_detected_whatever_its_period(pair, monkeypatch):
    """Always: a stride of two would sample every second byte only."""
    monkeypatch.setattr(bombs, "MAX_MESSAGES", 20_000)
    inner = pair * 30_000
    body = sized(1, sized(2, sized(2, inner)))

    for _ in range(50):
        with pytest.raises(BadPayload, match="messages"):
            bombs.refuse_protobuf_bomb(body)
