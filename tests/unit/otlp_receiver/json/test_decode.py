"""OTLP/JSON: points 51 to 79 and those shared by both encodings."""

import json

import pytest

from config.levels import LEVEL_NAMES
from otlp_receiver.errors import BadPayload
from otlp_receiver.export import Encoding, Signal
from otlp_receiver.json.text import scrub
from tests.support.telemetry import (
    NOW_NS,
    SPAN_ID,
    TRACE_ID,
    columns_of,
    log,
    logs_json,
    make_codec,
    metadata_of,
    one_log,
    span,
    spans,
    spans_json,
    stored,
)


def value_of(any_value):
    """The stored value of an attribute with this AnyValue, given as JSON text.

    UNREADABLE if it is kept as text, with a note.
    """
    body = logs_json(log(attributes=[{"key": "a", "value": "@"}])).replace(
        b'"@"', any_value.encode()
    )
    metadata = metadata_of(stored(body).records[0])
    value = metadata["attributes"]["a"]
    if "unreadable" not in metadata["otel"]:
        return value
    (note,) = metadata["otel"]["unreadable"]
    assert note["field"].startswith("attributes[0].value")
    assert value is None or isinstance(value, str)
    return UNREADABLE


def notes_of(record):
    """Path of each value of the record that was not read, and what is kept of it in the note."""
    notes = metadata_of(record)["otel"].get("unreadable", [])
    return [(note["field"], note.get("sent")) for note in notes]


def rejects_of(body, signal=Signal.LOGS):
    """Paths of the rejected records."""
    rejects = make_codec().decode(signal, Encoding.JSON, body).tallies.rejects
    return [where for reject in rejects for where in [reject.where] * reject.count]


REJECTED = {"bad_value": 1}
UNREADABLE = "(kept as text, with a note)"


@pytest.mark.parametrize("ids", [(TRACE_ID, SPAN_ID), (TRACE_ID.upper(), SPAN_ID.title())])
def test_point_51_ids_are_hex_of_any_case(ids):
    """Of records, spans, parents and links; never base64."""
    record = one_log(traceId=ids[0], spanId=ids[1])
    (traced,) = spans(
        span(traceId=ids[0], spanId=ids[1], parentSpanId=ids[1],
             links=[{"traceId": ids[0], "spanId": ids[1]}])
    )  # fmt: skip

    assert (record.trace_id.hex(), record.span_id.hex()) == (TRACE_ID, SPAN_ID)
    assert traced.parent_span_id.hex() == SPAN_ID
    assert metadata_of(traced)["span"]["links"] == [{"trace_id": TRACE_ID, "span_id": SPAN_ID}]


@pytest.mark.parametrize("bad", ["S/kvNXezTaajzpKdDg5HNg==", "zz", "abc", "é" * 32])
def test_point_52_base64_ids_are_ignored(bad):
    """The record is stored without them."""
    record = one_log(traceId=bad, spanId=bad)

    assert (record.trace_id, record.span_id) == (None, None)


INTEGERS = [
    ('"9223372036854775807"', 2**63 - 1),  # 53: decimal text
    ('"-9223372036854775808"', -(2**63)),
    ("9007199254740993", 9007199254740993),  # 54: exact beyond 2^53
    ("9223372036854775807", 2**63 - 1),
    ("-9223372036854775808", -(2**63)),
    ("1e3", 1000),  # 55: whole numbers in any spelling
    ("5.0", 5),
    ('"1e2"', 100),
    ('"5.00"', 5),
    ('"1.5e1"', 15),
    ("-0.0", 0),
    ("9007199254740993.0", 9007199254740993),
    ("9.223372036854775e18", 9223372036854775000),
    ("null", None),  # 66
    ('"9223372036854775808"', UNREADABLE),  # 56: out of int64 as text
    ('"1e30"', UNREADABLE),
    ('"1e999999999"', UNREADABLE),
    ('"1e99999999999999999999"', UNREADABLE),
    ("1.5", UNREADABLE),
    ('"1.5"', UNREADABLE),
    ('"word"', UNREADABLE),
    ('""', UNREADABLE),
    ('" 5"', UNREADABLE),
    ('"1_000"', UNREADABLE),
    ('"٣"', UNREADABLE),
    ("true", UNREADABLE),
    ("{}", UNREADABLE),
    ("[]", UNREADABLE),
    ("1e+300", 1e300),  # 57: how JavaScript writes a large double
    ("9223372036854775808", 9223372036854775808.0),
    ("-9223372036854775809", -9223372036854775808.0),
    ("18446744073709551616", 18446744073709551616.0),
    ("1e19", 1e19),
]


@pytest.mark.parametrize(("written", "expected"), INTEGERS)
def test_points_53_to_57_integers(written, expected):
    """String or number; exact; a number beyond int64 becomes a double."""
    value = value_of(f'{{"intValue": {written}}}')

    assert value == expected
    assert type(value) is type(expected)


DOUBLES = [
    ("null", None),  # 58
    ("1.5", 1.5),  # 59
    ('"1.5"', 1.5),
    ('"NaN"', "NaN"),
    ('"Infinity"', "Infinity"),
    ('"-Infinity"', "-Infinity"),
    ("1e300", 1e300),
    ("5e-324", 5e-324),
    ("3", 3.0),
    ("-0.0", 0.0),
    ("123456789012345678901234567890", 123456789012345678901234567890.0),
    ('"1e-7"', 1e-7),
    ('"nan"', UNREADABLE),
    ('"word"', UNREADABLE),
    ('"1e999"', UNREADABLE),
    ("1" + "0" * 400, UNREADABLE),
    ("true", UNREADABLE),
    ("[1]", UNREADABLE),
]


@pytest.mark.parametrize(("written", "expected"), DOUBLES, ids=lambda case: str(case)[:30])
def test_points_58_and_59_doubles(written, expected):
    """Numbers, strings, NaN and infinities; null is an empty value."""
    value = value_of(f'{{"doubleValue": {written}}}')

    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize("bare", ["NaN", "Infinity", "-Infinity"])
def test_point_60_bare_nan_is_not_json(bare):
    """Python's own parser would accept it."""
    with pytest.raises(BadPayload, match="not a JSON number"):
        value_of(f'{{"doubleValue": {bare}}}')


@pytest.mark.parametrize("member", ["doubleValue", "intValue"])
def test_point_61_a_number_beyond_doubles_is_stored_or_noted(member):
    """1e400."""
    assert value_of(f'{{"{member}": 1e400}}') in ("Infinity", UNREADABLE)


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        (9, 9),
        (99, 99),
        (-1, -1),
        ("SEVERITY_NUMBER_WARN2", 14),
        ("WARN", 13),
        ("9", 9),
        (9.0, 9),
        (None, 0),
    ],
)
def test_points_62_and_63_enums_are_integers_or_names(number, kept):
    """Unknown integers are accepted as well."""
    assert one_log(severityNumber=number).severity_number == kept


@pytest.mark.parametrize("number", ["LOUD", 1.5, True, 2**31, [], {}])
def test_point_63_other_names_cost_the_number_only(number):
    """The record is stored without it; the note has what was sent."""
    (_, record) = stored(logs_json(log(), log(body="kept", severityNumber=number))).records

    assert (record.message, record.severity_number) == ("kept", 0)
    sent = number if isinstance(number, str) else json.dumps(number)
    assert notes_of(record) == [("severityNumber", sent)]


def test_enums_of_spans_may_be_names():
    """SPAN_KIND_SERVER, STATUS_CODE_ERROR."""
    (record,) = spans(span(kind="SPAN_KIND_SERVER", status={"code": "STATUS_CODE_ERROR"}))

    assert metadata_of(record)["span"]["kind"] == "SERVER"
    assert LEVEL_NAMES[record.level] == "ERROR"


def test_point_64_unknown_names_are_ignored_at_every_level():
    """With any value."""
    unknown = {"x": [{"y": None}], "future": {"z": 1}}
    body = {
        **unknown,
        "resourceLogs": [
            {
                **unknown,
                "resource": {
                    **unknown,
                    "attributes": [
                        {
                            **unknown,
                            "key": "service.name",
                            "value": {**unknown, "stringValue": "shop"},
                        }
                    ],
                },
                "scopeLogs": [{**unknown, "scope": {**unknown, "name": "s"},
                               "logRecords": [{**log({"a": 1}, body="m"), **unknown}]}],
            }
        ],
    }  # fmt: skip

    (record,) = stored(json.dumps(body).encode()).records

    assert (record.source_module, record.message) == ("shop", "m")


SNAKE = """{"resource_logs": [{"resource": {"attributes": [{"key": "service.name", "value":
{"string_value": "shop"}}], "dropped_attributes_count": 1}, "schema_url": "u", "scope_logs":
[{"scope": {"name": "s"}, "schema_url": "v", "log_records": [{"time_unix_nano": "5",
"observed_time_unix_nano": 6, "severity_number": 9, "severity_text": "I", "trace_id": "%s",
"span_id": "%s", "event_name": "e", "dropped_attributes_count": 2, "attributes": [{"key": "a",
"value": {"kvlist_value": {"values": [{"key": "b", "value": {"array_value": {"values":
[{"int_value": 1}, {"bool_value": true}, {"double_value": 1.5}, {"bytes_value": "aGk="}]}}}]}}}]}]
}]}]}""" % (TRACE_ID, SPAN_ID)  # noqa: UP031 - braces everywhere


def test_point_65_snake_case_is_accepted():
    """Not in the specification, but ignoring it would silently drop data."""
    batch = stored(SNAKE.encode())

    (record,), (stream,) = batch.records, batch.streams.values()
    assert record.trace_id.hex() == TRACE_ID
    assert (record.source_module, record.action, record.created_unix_ns) == ("shop", "e", 5)
    assert metadata_of(record)["attributes"] == {"a": {"b": [1, True, 1.5, "aGk="]}}
    assert metadata_of(record)["otel"]["observed_ns"] == 6
    assert (stream.resource_schema_url, stream.scope_schema_url) == ("u", "v")


def test_point_66_null_is_the_default_of_every_field():
    """Also of every list and message."""
    names = [
        "timeUnixNano", "observedTimeUnixNano", "severityNumber", "severityText", "body",
        "attributes", "droppedAttributesCount", "flags", "traceId", "spanId", "eventName",
    ]  # fmt: skip
    record = dict.fromkeys(names)
    pair = {"key": None, "value": None}
    odd_values = [{"arrayValue": None}, {"kvlistValue": {"values": None}}, {"stringValue": None},
                  {"boolValue": None}, {"bytesValue": None}]  # fmt: skip
    more = {"attributes": [pair, *({"key": str(n), "value": v} for n, v in enumerate(odd_values))]}
    body = json.dumps({
        "resourceLogs": [
            None,
            {"resource": None, "scopeLogs": None, "schemaUrl": None},
            {"resource": {"attributes": None}, "scopeLogs": [
                None,
                {"scope": None, "logRecords": None},
                {"scope": {"name": None}, "logRecords": [record, more]},
            ]},
        ]
    }).encode()  # fmt: skip

    first, second = stored(body).records

    assert (first.created_unix_ns, first.message) == (NOW_NS, "")
    assert metadata_of(second)["attributes"] == {
        "": None, "0": None, "1": {}, "2": None, "3": None, "4": None,
    }  # fmt: skip
    assert stored(b'{"resourceLogs": null}').records == []


def test_point_66_in_spans():
    """Status, events, links."""
    fields = dict.fromkeys(
        ["parentSpanId", "traceState", "flags", "kind", "attributes", "events", "links", "status"]
    )

    first, second = spans(span(**fields), span(events=[None], links=[None], status={"code": None}))

    assert first.action == "GET /orders"
    assert metadata_of(second)["span"]["events"] == [{"name": ""}]
    assert metadata_of(second)["span"]["links"] == [{"span_id": "", "trace_id": ""}]


@pytest.mark.parametrize("written", ["+/+/8A==", "-_-_8A==", "+/+/8A", "-_-_8A", "-/+_8A="])
def test_point_67_bytes_in_any_base64(written):
    """Standard or URL-safe, padded or not; shown as standard base64."""
    assert value_of(json.dumps({"bytesValue": written})) == "+/+/8A=="


WRONG = [
    {"bytesValue": "?"},
    {"bytesValue": "aGkx1"},
    {"bytesValue": 5},
    {"stringValue": 5},
    {"stringValue": {}},
    {"boolValue": "true"},
    {"boolValue": 1},
    {"arrayValue": []},
    {"arrayValue": {"values": {}}},
    {"arrayValue": {"values": [5]}},
    {"kvlistValue": {"values": [5]}},
    {"kvlistValue": {"values": [{"key": 5}]}},
    "text",
    [],
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_point_68_a_wrong_value_costs_itself_only(wrong):
    """Its record and the others are stored; the warning has its path."""
    body = logs_json(log(), log(attributes=[{"key": "a"}, {"key": "b", "value": wrong}]), log())

    batch = stored(body)

    assert (len(batch.records), batch.rejected, batch.received) == (3, {}, 3)
    ((where, _),) = notes_of(batch.records[1])
    assert where.startswith("attributes[1].value")
    first = f"resourceLogs[0].scopeLogs[0].logRecords[1].{where}"
    assert (
        f"1 values cannot be read as what their fields require (first: {first})"
        in (batch.warnings[0])
    )


@pytest.mark.parametrize("record", ["a string", 5, [], True], ids=str)
def test_point_68_what_is_no_record_is_rejected(record):
    """The path names it."""
    assert rejects_of(logs_json(record)) == ["resourceLogs[0].scopeLogs[0].logRecords[0]"]
    assert rejects_of(spans_json(record), Signal.TRACES) == [
        "resourceSpans[0].scopeSpans[0].spans[0]"
    ]


PLACES = [
    ({"attributes": {}}, "attributes", "{}"),
    ({"attributes": ["x"]}, "attributes[0]", "x"),
    ({"attributes": [5, {"key": "a", "value": {}}, None]}, "attributes[0]", "5"),
    ({"attributes": [{"key": 5}]}, "attributes[0].key", None),
    ({"body": 5}, "body", None),
    ({"body": {"stringValue": 5}}, "body.stringValue", None),
    (
        {"body": {"arrayValue": {"values": [{"kvlistValue": {"values": [{"value": 5}]}}]}}},
        "body.arrayValue.values[0].kvlistValue.values[0].value",
        None,
    ),
    ({"timeUnixNano": "x"}, "timeUnixNano", "x"),
    ({"timeUnixNano": -1}, "timeUnixNano", "-1"),
    ({"timeUnixNano": 2**64}, "timeUnixNano", "1.8446744073709552e+19"),  # as orjson reads it
    ({"timeUnixNano": "99999999999999999999"}, "timeUnixNano", "99999999999999999999"),
    ({"severityText": 5}, "severityText", None),
    ({"flags": -1}, "flags", "-1"),
    ({"flags": 2**32}, "flags", str(2**32)),
    ({"droppedAttributesCount": "x"}, "droppedAttributesCount", "x"),
    ({"traceId": 5}, "traceId", "5"),
    ({"eventName": []}, "eventName", "[]"),
]


@pytest.mark.parametrize(("record", "where", "sent"), PLACES, ids=str)
def test_point_68_the_path_names_the_field(record, where, sent):
    """As in the request; the note has what is not kept in its place."""
    (kept,) = stored(logs_json(record)).records

    assert notes_of(kept)[0] == (where, sent)


SPAN_PLACES = [
    ({"name": 5}, "name", None),
    ({"events": {}}, "events", "{}"),
    ({"events": [5]}, "events[0]", "5"),
    ({"events": [{"name": 5}]}, "events[0].name", None),
    ({"events": [{"attributes": 5}]}, "events[0].attributes", "5"),
    ({"links": [{"traceId": 5}]}, "links[0].traceId", "5"),
    ({"status": 5}, "status", "5"),
    ({"status": {"code": "x"}}, "status.code", "x"),
    ({"endTimeUnixNano": True}, "endTimeUnixNano", "true"),
    ({"attributes": [{"value": {"intValue": "x"}}]}, "attributes[0].value.intValue", None),
]


@pytest.mark.parametrize(("sent", "where", "kept"), SPAN_PLACES, ids=str)
def test_point_68_in_spans(sent, where, kept):
    """The path names the field."""
    (record,) = spans(sent)

    assert notes_of(record) == [(where, kept)]


def envelope(resource=None, scope=None, **fields):
    """A request of two records with these members around them."""
    return json.dumps({
        "resourceLogs": [
            {"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": [log(), log()],
                                                  **fields}]},
            {"scopeLogs": [{"logRecords": [log()]}]},
        ]
    }).encode()  # fmt: skip


@pytest.mark.parametrize(
    ("body", "where", "sent"),
    [
        (envelope(resource=5), "resource", "5"),
        (envelope(resource=[]), "resource", "[]"),
        (envelope(resource={"attributes": {}}), "resource.attributes", "{}"),
        (
            envelope(resource={"attributes": [{"value": {"intValue": "x"}}]}),
            "resource.attributes[0].value.intValue",
            None,
        ),
        (
            envelope(resource={"droppedAttributesCount": "x"}),
            "resource.droppedAttributesCount",
            "x",
        ),
        (envelope(scope="x"), "scope", "x"),
        (envelope(scope={"name": 5}), "scope.name", None),
        (envelope(schemaUrl=5), "schemaUrl", None),
    ],
)
def test_point_68_a_wrong_resource_or_scope_costs_no_record(body, where, sent):
    """The note is stored with the resource."""
    batch = stored(body)

    assert (len(batch.records), batch.rejected) == (3, {})
    odd = json.loads(batch.streams[batch.records[0].stream_id].resource)
    (note,) = odd["opslog.unreadable"]
    assert (note["field"], note.get("sent")) == (where, sent)
    assert where in batch.warnings[0]


def test_an_unreadable_envelope_costs_itself_only():
    """How many records it has is unknown: it counts as one."""
    body = json.dumps({
        "resourceLogs": [
            5,
            {"scopeLogs": {"x": 1}},
            {"scopeLogs": [[], {"logRecords": "x"}, {"logRecords": [log(body="kept")]}]},
        ]
    }).encode()  # fmt: skip

    batch = stored(body)

    assert [record.message for record in batch.records] == ["kept"]
    assert (batch.received, batch.rejected) == (5, {"bad_value": 4})
    assert rejects_of(body) == [
        "resourceLogs[0]",
        "resourceLogs[1].scopeLogs",
        "resourceLogs[2].scopeLogs[0]",
        "resourceLogs[2].scopeLogs[1].logRecords",
    ]


def test_what_cannot_be_read_is_redacted():
    """In its place, in a note, and by the field's name."""
    (record,) = stored(
        logs_json(log(attributes=[{"key": "k", "value": {"doubleValue": ["hunter2"]}}, "hunter2"],
                      timeUnixNano="hunter2"))
    ).records  # fmt: skip

    assert b"hunter2" not in record.metadata
    assert {mark["field"] for mark in metadata_of(record)["redaction"]} == {
        "attributes.k", "unreadable.attributes[1]", "unreadable.timeUnixNano",
    }  # fmt: skip


SYNTAX = [
    b"",
    b" ",
    b'{"resourceLogs": [',
    b'{"resourceLogs": [],}',
    b'{"resourceLogs": [] // no\n}',
    b"{'resourceLogs': []}",
    b'{"a": "\x01"}',
    b'{"a": "\n"}',
    b"{} x",
    b"{} {}",
    b'{"a": 01}',
    b'{"a": +1}',
    b'{"a": .5}',
    b'{"a": "\\x"}',
    b"\x0a\x00",
    "{}".encode("utf-16"),
    b'{"a": ' + b"1" * 5000 + b', "b": "\\ud800"}',  # more digits than Python reads
]


@pytest.mark.parametrize("body", SYNTAX, ids=lambda body: repr(body)[:40])
def test_point_69_invalid_json_is_rejected(body):
    """With line and column, without the content."""
    with pytest.raises(BadPayload):
        stored(body)


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"5", b"null", b"true"])
def test_point_70_the_document_is_an_object(body):
    """Any other value is rejected."""
    with pytest.raises(BadPayload, match="not an object"):
        stored(body)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"resourceLogs": {}}', "resourceLogs"),
        (b'{"resourceLogs": "x"}', "resourceLogs"),
        (b'{"resourceLogs": [5]}', "resourceLogs[0]"),
        (b'{"resourceLogs": [{"scopeLogs": 5}]}', "resourceLogs[0].scopeLogs"),
        (b'{"resourceLogs": [{"scopeLogs": [[]]}]}', "resourceLogs[0].scopeLogs[0]"),
        (
            b'{"resourceLogs": [{"scopeLogs": [{"logRecords": {}}]}]}',
            "resourceLogs[0].scopeLogs[0].logRecords",
        ),
    ],
)
def test_point_71_invalid_envelopes_are_rejected(body, where):
    """No single record can be rejected."""
    with pytest.raises(BadPayload) as refused:
        stored(body)

    assert refused.value.where == where


def test_point_72_of_two_members_the_last_counts():
    """Of a oneof, and of a duplicate name."""
    assert value_of('{"stringValue": "a", "intValue": 5}') == 5
    assert value_of('{"intValue": 5, "stringValue": null}') == 5
    assert value_of('{"stringValue": "a", "stringValue": "b"}') == "b"


def test_point_73_a_byte_order_mark_is_ignored():
    """Only at the start."""
    assert len(stored(b"\xef\xbb\xbf" + logs_json(log())).records) == 1


def test_point_73_invalid_utf8_is_replaced_and_counted():
    """Latin-1 in one record does not lose the batch."""
    body = logs_json(log(body="caf@ \ufffd"), log(body="ok")).replace(b"@", b"\xe9")

    batch = stored(body)

    assert [record.message for record in batch.records] == ["caf\ufffd \ufffd", "ok"]
    assert batch.replaced_characters == 1


def test_point_74_lone_surrogates_are_replaced():
    """As the JavaScript SDK sends them; pairs are kept (point 75)."""
    body = (
        b'{"resourceLogs": [{"resource": {"attributes": [{"key": "r\\ud800", "value": '
        b'{"stringValue": "x"}}]}, "scopeLogs": [{"logRecords": [{"body": {"stringValue": '
        b'"a\\ud800b\\udc00 \\ud83d\\ude00"}, "attributes": [{"key": "k\\udfff", "value": '
        b'{"arrayValue": {"values": [{"stringValue": "\\ud800"}]}}}]}, {"body": {"stringValue": '
        b'"neighbour"}}]}]}]}'
    )
    codec = make_codec()

    for _ in range(2):
        batch = stored(body, codec=codec)

        odd, neighbour = batch.records
        assert odd.message == "a\ufffdb\ufffd \U0001f600"
        assert metadata_of(odd)["attributes"] == {"k\ufffd": ["\ufffd"]}
        assert metadata_of(odd)["otel"]["replaced_characters"] == 4
        assert "replaced_characters" not in metadata_of(neighbour)["otel"]
        assert batch.replaced_characters == 5
        (stream,) = batch.streams.values()
        assert json.loads(stream.resource) == {"r\ufffd": "x"}


@pytest.mark.parametrize("text", ["\uffff\u2028\u202e\u0301", '"\\/\b\f\n\r\t', "\x7f", "😀é"])
def test_point_75_every_other_character_is_kept(text):
    """Escaped or not."""
    assert one_log(body=text).message == text
    assert stored(json.dumps(json.loads(logs_json(log(body=text))), ensure_ascii=False)
                  .encode()).records[0].message == text  # fmt: skip


def test_point_76_nul_is_replaced():
    """In texts, keys and names; other records are unchanged."""
    first, second = stored(
        logs_json(log({"k\0": "v\0"}, body="a\0b", severityText="x\0"), log(body="ok"))
    ).records

    assert first.message == "a\ufffdb"
    assert metadata_of(first)["attributes"] == {"k\ufffd": "v\ufffd"}
    assert metadata_of(first)["otel"]["replaced_characters"] == 4
    assert second.message == "ok"


def test_nul_in_spans_is_replaced():
    """The same."""
    (record,) = spans(span({"a\0": 1}, name="n\0"))

    assert record.action == "n\ufffd"
    assert metadata_of(record)["attributes"] == {"a\ufffd": 1}


@pytest.mark.parametrize("depth", [65, 300, 500, 20_000, 100_000])
def test_point_78_deep_nesting_does_not_stop_the_server(depth):
    """Rejected, or stored with a marker."""
    value = '{"arrayValue": {"values": [' * depth + '{"intValue": 1}' + "]}}" * depth
    unknown = f'{{"x": {"[" * depth}{"]" * depth}, "resourceLogs": []}}'
    for body in (logs_json(log(body="@")).replace(b'{"stringValue": "@"}', value.encode()),
                 unknown.encode()):  # fmt: skip
        try:
            batch = stored(body)
        except BadPayload:
            continue  # the test of syntax errors looks at the message
        else:
            assert depth <= 500
            for record in batch.records:
                assert "[cut: nested too deep]" in record.message
                assert metadata_of(record)["otel"]["cut"] == {"too_deep": 1}


def test_point_91_string_indexes_are_empty_and_counted():
    """In both spellings."""
    record = one_log(
        attributes=[
            {"keyStrindex": 5, "value": {"stringValueStrindex": 6}},
            {"key_strindex": 5, "value": {"string_value_strindex": 6}},
        ]
    )

    assert metadata_of(record)["attributes"] == {"": None}
    assert metadata_of(record)["otel"]["string_table_references"] == 4


def test_lists_are_bounded():
    """Three bytes of text can be an object in memory."""
    values = [{}] * 100_010

    record = one_log(
        body=[], attributes=[{"key": "a", "value": {"arrayValue": {"values": values}}}]
    )

    assert len(metadata_of(record)["attributes"]["a"]) == 100_000
    assert metadata_of(record)["otel"]["cut"] == {"too_many_elements": 1}


def test_similar_attributes_are_distinguished():
    """1, 1.0, true and "1" are equal or similar in Python; the memos distinguish them."""
    codec = make_codec()
    cases = [
        ({"intValue": 1}, 1),
        ({"boolValue": True}, True),
        ({"doubleValue": 1}, 1.0),
        ({"doubleValue": 1.0}, 1.0),
        ({"intValue": "1"}, 1),
        ({"stringValue": "1"}, "1"),
        ({"bytesValue": "1aaa"}, "1aaa"),
        ({"intValue": 1.0}, 1),
    ]
    for _ in range(2):
        for any_value, expected in cases:
            record = one_log(attributes=[{"key": "a", "value": any_value}], codec=codec)
            value = metadata_of(record)["attributes"]["a"]
            assert (value, type(value)) == (expected, type(expected))
        for wrong in ({"boolValue": 1}, {"stringValue": 1}, {"intValue": True}):
            record = one_log(attributes=[{"key": "a", "value": wrong}], codec=codec)
            assert metadata_of(record)["attributes"]["a"] in ("1", "true")


def test_a_repeated_request_is_read_from_the_memos():
    """With the same result."""
    codec = make_codec()
    body = logs_json(log({"a": 1, "b": "x" * 5000, "c": [1]}), resource={"service.name": "s"})

    first, again = stored(body, codec=codec), stored(body, codec=codec)

    assert columns_of(first.records[0]) == columns_of(again.records[0])
    assert first.streams == again.streams


def test_exact_and_fast_number_parsing_agree():
    """A float in place of an integer causes the whole body to be parsed again."""
    around = {"a": 1.5, "b": [2.25, "x"], "n": 5}
    exact = [{"key": "i", "value": {"intValue": 9007199254740993}}]
    hidden = logs_json(log(attributes=[*log(around)["attributes"], *exact])).replace(
        b"9007199254740993", b"9007199254740993.0"
    )

    record = stored(hidden).records[0]

    assert metadata_of(record)["attributes"] == {**around, "i": 9007199254740993}


def test_extreme_numbers_are_rejected_without_a_crash():
    """Digits and exponents that Decimal itself rejects."""
    body = logs_json(log(attributes=[{"key": "a", "value": {"intValue": "@"}}])).replace(
        b'"@"', b'9007199254740993.0, "x": 1e99999999999999999999999'
    )

    assert metadata_of(stored(body).records[0])["attributes"] == {"a": 9007199254740993}


def test_huge_streams_are_not_cached():
    """Also with integers that orjson cannot serialize."""
    resource = {"attributes": [{"key": "big", "value": {"stringValue": "x" * 70_000}}]}
    odd = {"attributes": [{"key": "d", "value": {"doubleValue": 1.5}}], "x": 2**70}
    codec = make_codec()

    for _ in range(2):
        body = json.dumps({
            "resourceLogs": [
                {"resource": resource, "scopeLogs": [{"logRecords": [{}]}]},
                {"resource": odd, "scopeLogs": [{"logRecords": [{"eventName": "\ud800"}]}]},
            ]
        }).encode()  # fmt: skip
        assert len(stored(body, codec=codec).records) == 2


def test_scrub_cleans_whole_trees():
    """Keys, texts, nested lists; characters are counted."""
    document = {"a\0": ["x\0\ud800", {"b": "\0"}, [["\0"]], 5], "c": {"d\0": {}}, "e": None}

    assert scrub(document) == 6
    assert document == {
        "a\ufffd": ["x\ufffd\ufffd", {"b": "\ufffd"}, [["\ufffd"]], 5],
        "c": {"d\ufffd": {}},
        "e": None,
    }
