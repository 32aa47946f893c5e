"""OTLP in protobuf: points 80 to 96 and 117 to 123."""

import json
from base64 import b64encode

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, EntityRef, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from config.levels import LEVEL_NAMES
from otlp_receiver.errors import BadPayload
from otlp_receiver.export import Encoding, Signal
from otlp_receiver.protobuf.locate import locate_error
from storage.record.record import RECORD_FIELDS
from tests.support.telemetry import (
    NOW_NS,
    SPAN_ID,
    TRACE_ID,
    any_proto,
    attributes_proto,
    logs_proto,
    make_codec,
    metadata_of,
    spans_proto,
    stored,
)
from tests.unit.otlp_receiver.protobuf.test_wire import KEY, nested, sized, tag, text, varint


def logs(body, **around):
    """Decode, redact and map a protobuf export of logs."""
    raw = body if isinstance(body, bytes) else body.SerializeToString()
    return stored(raw, Signal.LOGS, Encoding.PROTOBUF, **around)


def traces(body, **around):
    """Decode, redact and map a protobuf export of spans."""
    raw = body if isinstance(body, bytes) else body.SerializeToString()
    return stored(raw, Signal.TRACES, Encoding.PROTOBUF, **around)


RECORD = LogRecord(body=AnyValue(string_value="hello"))


@pytest.mark.parametrize(
    "body",
    [b"", b"\x0a\x00", b"\x0a\x02\x12\x00", logs_proto().SerializeToString()],
    ids=repr,
)
def test_points_94_and_95_without_records_nothing_is_stored(body):
    """Zero bytes, empty envelopes; for both signals."""
    assert (logs(body).received, logs(body).records) == (0, [])
    assert (traces(body).received, traces(body).streams) == (0, {})


def test_point_96_a_record_of_defaults_is_stored():
    """Arrival time, INFO, empty message."""
    (record,) = logs(logs_proto(LogRecord())).records

    assert record.created_unix_ns == NOW_NS
    assert (LEVEL_NAMES[record.level], record.message) == ("INFO", "")
    assert (record.source_module, record.action) == ("unknown_service", "log")


def test_every_field_of_a_log_record_is_mapped():
    """With resource, scope and both schema URLs (point 118)."""
    request = logs_proto(
        LogRecord(
            time_unix_nano=NOW_NS - 7,
            observed_time_unix_nano=NOW_NS - 6,
            severity_number=17,
            severity_text="ERROR",
            body=AnyValue(string_value="boom"),
            attributes=attributes_proto({"user.id": "u"}),
            dropped_attributes_count=3,
            flags=1,
            trace_id=bytes.fromhex(TRACE_ID),
            span_id=bytes.fromhex(SPAN_ID),
            event_name="order.failed",
        ),
        resource={"service.name": "shop"},
    )
    envelope = request.resource_logs[0]
    envelope.schema_url = "https://one"
    envelope.resource.dropped_attributes_count = 2
    envelope.resource.entity_refs.add().CopyFrom(EntityRef(type="service", id_keys=["x"]))
    scope = envelope.scope_logs[0]
    scope.schema_url = "https://two"
    scope.scope.name, scope.scope.version = "shop.orders", "1.2"
    scope.scope.attributes.extend(attributes_proto({"a": 1}))
    scope.scope.dropped_attributes_count = 4

    batch = logs(request)

    (record,), (stream,) = batch.records, batch.streams.values()
    assert record.trace_id.hex() == TRACE_ID
    assert record.span_id.hex() == SPAN_ID
    assert (LEVEL_NAMES[record.level], record.action, record.actor_id) == (
        "ERROR",
        "order.failed",
        "u",
    )
    assert metadata_of(record)["otel"] == {
        "severity_number": 17,
        "severity_text": "ERROR",
        "flags": 1,
        "event_name": "order.failed",
        "observed_ns": NOW_NS - 6,
        "dropped_attributes_count": 3,
    }
    assert json.loads(stream.resource) == {
        "service.name": "shop",
        "otel.dropped_attributes_count": 2,
    }
    assert json.loads(stream.scope) == {
        "name": "shop.orders",
        "version": "1.2",
        "attributes": {"a": 1},
        "dropped_attributes_count": 4,
    }
    assert (stream.resource_schema_url, stream.scope_schema_url) == ("https://one", "https://two")
    assert stream.id == int.from_bytes(stream.digest[:8], "big", signed=True)
    assert record.stream_id == stream.id


def test_point_119_each_record_has_its_own_resource_and_scope():
    """Many resources in one request; equal ones are one stream."""
    request = ExportLogsServiceRequest()
    for name in ("a", "b", "a"):
        envelope = request.resource_logs.add()
        envelope.resource.attributes.extend(attributes_proto({"service.name": name}))
        for scope in ("x", "y"):
            inner = envelope.scope_logs.add()
            inner.scope.name = scope
            inner.log_records.add().body.string_value = f"{name}{scope}"

    batch = logs(request)

    assert [record.source_module for record in batch.records] == ["a", "a", "b", "b", "a", "a"]
    assert [record.message for record in batch.records] == ["ax", "ay", "bx", "by", "ax", "ay"]
    assert len(batch.streams) == 4


def test_points_80_and_81_unknown_fields_and_any_order():
    """The resource after its records still applies; unknown ones at every level are skipped."""
    unknown = sized(77, b"?") + tag(78, 0) + varint(5) + tag(536_870_911, 1) + b"12345678"
    record = unknown + RECORD.SerializeToString() + unknown
    scope = unknown + sized(2, record) + sized(1, unknown + sized(1, b"scope") + unknown)
    attribute = unknown + sized(2, text("shop") + unknown) + sized(1, b"service.name")
    resource = unknown + sized(2, scope) + sized(1, unknown + sized(1, attribute))

    (stored_record,) = logs(unknown + sized(1, resource)).records

    assert (stored_record.source_module, stored_record.message) == ("shop", "hello")


def test_point_82_a_message_in_two_parts_is_merged():
    """Resource, scope and body; a list of the body grows."""
    one = sized(1, sized(1, KeyValue(key="service.name", value=any_proto("s")).SerializeToString()))
    two = sized(1, sized(1, KeyValue(key="host.name", value=any_proto("h")).SerializeToString()))
    body = sized(5, sized(5, sized(1, text("a")))) + sized(5, sized(5, sized(1, text("b"))))
    scope = sized(1, sized(1, b"name")) + sized(1, sized(2, b"version")) + sized(2, body)

    batch = logs(sized(1, one + sized(2, scope) + two))

    (stream,) = batch.streams.values()
    assert json.loads(stream.resource) == {"service.name": "s", "host.name": "h"}
    assert json.loads(stream.scope) == {"name": "name", "version": "version"}
    assert metadata_of(batch.records[0])["body"] == ["a", "b"]


TWO = logs_proto(LogRecord(body=AnyValue(string_value="a")), RECORD).SerializeToString()
BROKEN = [
    (TWO[:-1], ""),  # the outermost length is the first that is wrong
    (b'{"resourceLogs": []}', ""),
    (b"\x00", ""),
    (b"\x0a", ""),
    (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", ""),
    (sized(1, b"\x12\x7f"), "resource_logs[0]"),
    (sized(1, sized(2, b"\x12\x7f")), "resource_logs[0].scope_logs[0]"),
]


@pytest.mark.parametrize(("raw", "where"), BROKEN, ids=repr)
def test_point_84_invalid_bytes_are_rejected_with_the_path(raw, where):
    """The first error, with the protocol's field names."""
    with pytest.raises(BadPayload) as refused:
        logs(raw)

    assert refused.value.where == where


BAD = b"\x0a\x09x"
"""A text of nine bytes, of which there is one."""
PARTIAL = [
    (sized(2, RECORD.SerializeToString() + b"\x1a\x09x"), "LogRecord", "\x1a\x09x"),
    (sized(2, sized(6, KEY) + sized(6, BAD)), "attributes[1]", None),
    (sized(2, sized(5, BAD)), "body", None),
]


@pytest.mark.parametrize(("scope", "where", "sent"), PARTIAL, ids=repr)
def test_invalid_bytes_in_a_record_cost_no_more_than_themselves(scope, where, sent):
    """The record is stored with what can be read, and a note."""
    batch = logs(sized(1, sized(2, sized(2, RECORD.SerializeToString()) + scope)))

    first, second = batch.records
    assert first.message == "hello"
    (note,) = metadata_of(second)["otel"]["unreadable"]
    kept = None if sent is None else b64encode(sent.encode()).decode()
    assert (note["field"], note.get("sent")) == (where, kept)
    assert f"resource_logs[0].scope_logs[0].log_records[1].{where}" in batch.warnings[0]


def test_invalid_bytes_in_resource_and_scope_cost_no_record():
    """The note is stored with the resource."""
    resource = sized(1, sized(1, KeyValue(key="service.name", value=any_proto("shop"))
                              .SerializeToString()) + BAD)  # fmt: skip
    record = sized(2, RECORD.SerializeToString())

    batch = logs(sized(1, resource + sized(2, sized(1, sized(1, b"name") + BAD) + record)))

    (stream,) = batch.streams.values()
    assert (batch.records[0].message, batch.records[0].source_module) == ("hello", "shop")
    notes = json.loads(stream.resource)["opslog.unreadable"]
    assert [note["field"] for note in notes] == ["resource", "scope"]


def test_invalid_bytes_in_spans_cost_no_more_than_themselves():
    """Attributes of the span, of an event, of a link."""
    span = sized(5, b"name")
    for raw, where in (
        (span + sized(9, BAD), "attributes[0]"),
        (span + sized(11, sized(3, BAD)), "events[0].attributes[0]"),
        (span + sized(13, b"") + sized(13, sized(4, BAD)), "links[1].attributes[0]"),
        (span + BAD, "Span"),
        (span + sized(11, sized(2, b"e") + BAD), "events[0]"),
        (span + sized(15, sized(2, b"m") + tag(3, 1)), "status"),
    ):
        record = traces(sized(1, sized(2, sized(2, raw)))).records[0]

        assert record.action == "name"
        assert [note["field"] for note in metadata_of(record)["otel"]["unreadable"]] == [where]


def test_locate_error_without_an_error():
    """A depth that protobuf rejects and this function accepts."""
    assert locate_error(ExportLogsServiceRequest.DESCRIPTOR, TWO) == ("", "cannot be decoded")


def test_point_85_the_wrong_signal_is_read_or_rejected():
    """A trace export on the logs path: no crash, and no span stored as a log with its content."""
    span = Span(name="n", trace_id=b"t" * 16, attributes=attributes_proto({"a": "b"}))
    raw = spans_proto(span).SerializeToString()

    for read in (logs, traces):
        try:
            assert read(raw).received == 1
        except BadPayload:
            assert read is logs


def test_point_85_groups_are_skipped():
    """Inside and outside of a record."""
    group = tag(9, 3) + sized(1, b"x") + tag(9, 4)
    record = RECORD.SerializeToString() + tag(200, 3) + tag(200, 4)

    (kept,) = logs(group + sized(1, sized(2, group + sized(2, record)))).records

    assert kept.message == "hello"


def test_points_86_and_121_invalid_characters_affect_only_their_text():
    """Replaced in every text and key, counted per record and in total."""
    record = (
        sized(3, b"\xff")
        + sized(12, b"e\x00")
        + sized(5, sized(1, b"caf\xe9"))
        + sized(6, sized(1, b"k\x00") + sized(2, sized(1, b"v\xff")))
    )
    scope = (
        sized(1, sized(1, b"sc\xff") + sized(2, b"1\x00") + sized(3, sized(1, b"a\x00")))
        + sized(2, record)
        + sized(2, RECORD.SerializeToString())
        + sized(3, b"https://\xff")
    )
    resource = sized(1, sized(1, sized(1, b"r\xff") + sized(2, text("x"))))
    codec = make_codec()

    for _ in range(2):  # the second time from the memos
        batch = logs(sized(1, resource + sized(2, scope)), codec=codec)

        odd, neighbour = batch.records
        assert odd.message == "caf\ufffd"
        assert metadata_of(odd)["attributes"] == {"k\ufffd": "v\ufffd"}
        assert metadata_of(odd)["otel"] == {
            "severity_number": 0,
            "severity_text": "\ufffd",
            "event_name": "e\ufffd",
            "replaced_characters": 5,
        }
        assert "replaced_characters" not in metadata_of(neighbour)["otel"]
        (stream,) = batch.streams.values()
        assert json.loads(stream.resource) == {"r\ufffd": "x"}
        assert json.loads(stream.scope)["name"] == "sc\ufffd"
        assert batch.replaced_characters == 5 + 5


def test_invalid_characters_in_spans_are_counted_as_well():
    """Name, trace state, status, events, links."""
    span = (
        sized(5, b"n\xff")
        + sized(3, b"t\xff")
        + sized(15, sized(2, b"m\xff"))
        + sized(11, sized(2, b"e\xff") + sized(3, sized(1, b"k\xff")))
        + sized(13, sized(3, b"l\xff"))
    )

    batch = traces(sized(1, sized(2, sized(2, span))))

    assert batch.replaced_characters == 6
    assert metadata_of(batch.records[0])["otel"]["replaced_characters"] == 6
    assert batch.records[0].message == "n\ufffd UNSET"


def test_point_87_all_fields_of_an_attribute_are_optional():
    """No value, an empty value, an empty key."""
    record = sized(6, b"") + sized(6, sized(1, b"a")) + sized(6, sized(1, b"b") + sized(2, b""))

    (kept,) = logs(sized(1, sized(2, sized(2, record)))).records

    assert metadata_of(kept)["attributes"] == {"": None, "a": None, "b": None}


def test_points_89_and_90_depth_is_bounded_without_losing_the_record():
    """64 maps are kept; 8000 lists are replaced by a marker."""
    raw = sized(6, sized(1, b"maps") + sized(2, nested(64, text("x"), 6))) + sized(
        6, sized(1, b"lists") + sized(2, nested(8000, text("x"), 5))
    )

    (kept,) = logs(sized(1, sized(2, sized(2, raw)))).records

    metadata = metadata_of(kept)
    assert json.dumps(metadata["attributes"]["maps"]).count("{") == 64
    assert "[cut: nested too deep]" in json.dumps(metadata["attributes"]["lists"])
    assert metadata["otel"]["cut"] == {"too_deep": 1}


def test_point_91_string_indexes_are_empty_and_counted():
    """Not fatal."""
    record = sized(6, tag(3, 0) + b"\x05" + sized(2, tag(8, 0) + b"\x06"))

    (kept,) = logs(sized(1, sized(2, sized(2, record)))).records

    assert metadata_of(kept)["attributes"] == {"": None}
    assert metadata_of(kept)["otel"]["string_table_references"] == 2


def test_point_92_the_old_field_of_2021_is_read_as_scopes():
    """instrumentation_library_logs and _spans, number 1000."""
    old_logs = sized(1000, sized(1, sized(1, b"lib")) + sized(2, RECORD.SerializeToString()))
    old_spans = sized(1000, sized(2, Span(name="n").SerializeToString()))

    assert logs(sized(1, old_logs)).records[0].source_module == "lib"
    assert traces(sized(1, old_spans)).records[0].action == "n"


def test_point_111_integers_are_exact():
    """In the full range of int64."""
    request = logs_proto(LogRecord(attributes=attributes_proto({"a": 2**63 - 1, "b": -(2**63)})))

    metadata = logs(request).records[0].metadata

    assert b'"a": 9223372036854775807, "b": -9223372036854775808' in metadata


def test_point_122_the_order_of_a_request_is_kept():
    """Also across scopes."""
    request = logs_proto(*[LogRecord(body=AnyValue(string_value=str(n))) for n in range(50)])

    assert [record.message for record in logs(request).records] == [str(n) for n in range(50)]


def test_a_repeated_attribute_is_in_the_manifest_each_time():
    """Memos include redactions: within a request and in the next one."""
    request = logs_proto(
        *[LogRecord(attributes=attributes_proto({"p": "hunter2", "q": n % 2})) for n in range(4)]
    )
    codec = make_codec()

    for _ in range(2):
        batch = logs(request, codec=codec)

        assert batch.redactions == {"password": 4}
        for record in batch.records:
            assert metadata_of(record)["redaction"] == [
                {"rule": "password", "count": 1, "field": "attributes.p"}
            ]


def test_every_text_of_an_export_is_redacted():
    """Bodies, keys, names, resource, scope, schema URLs, span parts."""
    secret = "x hunter2"
    request = logs_proto(
        LogRecord(body=any_proto(secret), severity_text=secret, event_name=secret),
        LogRecord(
            body=any_proto({secret: [secret]}), attributes=attributes_proto({secret: secret})
        ),
        resource={secret: secret},
    )
    envelope = request.resource_logs[0]
    envelope.schema_url = envelope.scope_logs[0].schema_url = secret
    scope = envelope.scope_logs[0].scope
    scope.name = scope.version = secret
    scope.attributes.extend(attributes_proto({secret: secret}))
    span = Span(name=secret, trace_state=secret, attributes=attributes_proto({"a": secret}))
    span.status.message = secret
    span.events.add(name=secret).attributes.extend(attributes_proto({"a": secret}))
    span.links.add(trace_state=secret).attributes.extend(attributes_proto({"a": secret}))

    for batch in (logs(request), traces(spans_proto(span))):
        for record in batch.records:
            shown = [str(getattr(record, name)) for name in RECORD_FIELDS]
            assert "hunter2" not in " ".join(shown)
        for stream in batch.streams.values():
            assert "hunter2" not in repr(stream)
    assert logs(request).redactions == {"password": 15}
    assert traces(spans_proto(span)).redactions == {"password": 8}
    fields = [
        mark["field"] for mark in metadata_of(traces(spans_proto(span)).records[0])["redaction"]
    ]
    assert fields == [
        "attributes.a",
        "events[0].attributes.a",
        "events[0].name",
        "links[0].attributes.a",
        "links[0].trace_state",
        "span.name",
        "span.status.message",
        "span.trace_state",
    ]


def test_a_stream_too_large_to_cache_is_read_each_time():
    """A resource of 70,000 bytes."""
    request = logs_proto(RECORD, resource={"big": "x" * 70_000})
    codec = make_codec()

    first, again = logs(request, codec=codec), logs(request, codec=codec)

    assert first.streams == again.streams


def test_more_attributes_than_the_limit_are_dropped_and_counted():
    """Of logs, spans, events and links; the dropped ones are not even decoded."""
    codec = make_codec({"attributes": 128})
    many = attributes_proto({f"k{n}": n for n in range(200)})
    traced = Span(name="n", attributes=many)
    traced.events.add().attributes.extend(many)

    for _ in range(2):  # the second time from the memos
        record = logs(logs_proto(LogRecord(attributes=many)), codec=codec).records[0]
        span = traces(spans_proto(traced), codec=codec).records[0]

        assert len(metadata_of(record)["attributes"]) == 128
        assert metadata_of(record)["otel"]["cut"] == {"attributes": 200}
        assert len(metadata_of(span)["span"]["events"][0]["attributes"]) == 128
        assert metadata_of(span)["otel"]["cut"] == {
            "attributes": 200,
            "events[0].attributes": 200,
        }


def test_an_attribute_of_the_older_generation_is_taken_from_there():
    """Memos may evict while a request is read."""
    codec = make_codec()
    request = logs_proto(*[LogRecord(attributes=attributes_proto({"a": n})) for n in range(9)])
    first = logs(request, codec=codec)
    attributes = codec._memos.attributes
    attributes._old, attributes.young = attributes.young, {}

    again = logs(request, codec=codec)

    assert [record.metadata for record in again.records] == [
        record.metadata for record in first.records
    ]
    assert len(attributes.young) == 9
