"""Spans and their exceptions: OTLP's points 124 to 129."""

import json

import pytest

from config.levels import Level
from otlp_receiver.export import Signal
from tests.support.telemetry import (
    NOW_NS,
    SPAN_ID,
    TRACE_ID,
    Key,
    attributes_json,
    columns_of,
    make_codec,
    metadata_of,
    span,
    spans,
    spans_json,
    stored,
)

EXCEPTION = {
    "name": "exception",
    "timeUnixNano": str(NOW_NS - 5),
    "attributes": attributes_json(
        {
            "exception.type": "ValueError",
            "exception.message": "no hunter2 here",
            "exception.stacktrace": "at line 1",
        }
    ),
}


def test_point_124_all_fields_of_a_span_are_kept():
    """Fields without a column are in metadata.span, under the protocol's names."""
    link = {
        "traceId": TRACE_ID,
        "spanId": SPAN_ID,
        "traceState": "b=2",
        "attributes": attributes_json({"l": 1}),
        "flags": 1,
        "droppedAttributesCount": 4,
    }
    event = {
        "name": "retry",
        "timeUnixNano": "7",
        "attributes": attributes_json({"n": 2}),
        "droppedAttributesCount": 5,
    }

    (record,) = spans(
        span(
            {"a": True},
            parentSpanId="1122334455667788",
            traceState="a=1",
            flags=257,
            kind=2,
            events=[event],
            links=[link],
            status={"code": 2, "message": "no"},
            droppedAttributesCount=1,
            droppedEventsCount=2,
            droppedLinksCount=3,
        )
    )

    start = NOW_NS - 10**9
    assert record.kind == "span"
    assert record.parent_span_id.hex() == "1122334455667788"
    assert metadata_of(record) == {
        "attributes": {"a": True},
        "level_source": "span_status",
        "span": {
            "name": "GET /orders",
            "kind": "SERVER",
            "start_ns": start,
            "end_ns": start + 12_300_000,
            "flags": 257,
            "trace_state": "a=1",
            "status": {"code": "ERROR", "message": "no"},
            "events": [
                {
                    "name": "retry",
                    "time_ns": 7,
                    "attributes": {"n": 2},
                    "dropped_attributes_count": 5,
                }
            ],
            "links": [
                {
                    "trace_id": TRACE_ID,
                    "span_id": SPAN_ID,
                    "trace_state": "b=2",
                    "attributes": {"l": 1},
                    "flags": 1,
                    "dropped_attributes_count": 4,
                }
            ],
            "dropped_attributes_count": 1,
            "dropped_events_count": 2,
            "dropped_links_count": 3,
        },
    }


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (0, "UNSPECIFIED"),
        (1, "INTERNAL"),
        (2, "SERVER"),
        (3, "CLIENT"),
        (4, "PRODUCER"),
        (5, "CONSUMER"),
    ],
)
def test_kinds_are_shown_by_name(kind, name):
    """The names of SpanKind."""
    kept = metadata_of(spans(span(kind=kind))[0])["span"]

    assert kept["kind"] == name
    assert "kind_number" not in kept


@pytest.mark.parametrize("number", [6, 99, -1])
def test_point_125_unknown_kinds_and_codes_are_kept_as_numbers(number):
    """Shown as unspecified."""
    (record,) = spans(span(kind=number, status={"code": number}))

    kept = metadata_of(record)["span"]
    assert (kept["kind"], kept["kind_number"]) == ("UNSPECIFIED", number)
    assert kept["status"] == {"code": "UNSET", "code_number": number}
    assert record.level == Level.INFO


@pytest.mark.parametrize("parent", ["", "0000000000000000", "1234", None])
def test_point_126_a_root_span_has_no_parent(parent):
    """NULL, not zeros."""
    assert spans(span(parentSpanId=parent))[0].parent_span_id is None


@pytest.mark.parametrize("key", ["parent_span_id", "ParentId"])
def test_the_parent_may_be_in_an_attribute(key):
    """As sent by .NET."""
    (record,) = spans(span({key: "1122334455667788"}))

    assert record.parent_span_id.hex() == "1122334455667788"


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"traceId": "", "spanId": ""}, None),
        ({"traceId": "00" * 16, "spanId": "00" * 8}, None),
        ({"traceId": "abcd"}, {"trace_id": "abcd", "span_id": SPAN_ID}),
        ({"spanId": "abcd"}, {"span_id": "abcd"}),
    ],
    ids=str,
)
def test_point_128_a_span_without_valid_ids_is_kept_unassociated(fields, kept):
    """As in the Collector; the invalid ids are in metadata."""
    batch = stored(spans_json(span(**fields), span()), Signal.TRACES)

    assert len(batch.records) == 2
    assert batch.rejected == {}
    assert batch.records[0].span_id is None
    assert metadata_of(batch.records[0]).get("otel") == kept


def test_point_129_an_empty_name_is_an_unknown_span():
    """With that action."""
    assert spans(span(name=""))[0].action == "unknown"


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("GET /orders", "GET /orders"),
        ("GET /orders/17", "GET /orders/{id}"),
        ("GET /orders/17/items/4?x=1", "GET /orders/{id}/items/{id}?x=1"),
        ("order 9f1c2a3b-0000-4000-8000-000000000000", "order {id}"),
        ("job 4bf92f3577b34da6a3ce929d0e0e4736", "job {id}"),
        ("user 123456", "user {id}"),
        ("HTTP/1.1 v2 step 12", "HTTP/1.1 v2 step 12"),
        ("x" * 2000, "x" * 91 + "-" + "40d04c27"),
    ],
)
def test_ids_in_span_names_do_not_reach_the_index(name, action):
    """The name itself is in metadata.span and in the message."""
    (record,) = spans(span(name=name))

    assert record.action[:91] == action[:91]
    assert len(record.action) <= 100
    assert metadata_of(record)["span"]["name"] == name


@pytest.mark.parametrize(("kind", "seen"), [(0, 0), (1, 0), (2, 1), (3, 0), (4, 0), (5, 1)])
def test_addresses_count_on_the_receiving_side_only(kind, seen):
    """SERVER and CONSUMER; elsewhere the same attribute names the remote peer."""
    (record,) = spans(span({"client.address": "10.0.0.1"}, kind=kind))

    assert (record.ip_address is not None) == bool(seen)


def test_a_span_sent_again_has_the_same_id():
    """By trace id, span id and start."""
    first, again = spans(span())[0], spans(span())[0]
    other = spans(span(spanId="1122334455667788"))[0]

    assert first.id == again.id
    assert first.id != other.id


def test_spans_without_ids_get_random_ids():
    """Each a different one."""
    records = spans(span(spanId=""), span(spanId=""))

    assert len({record.id for record in records}) == 2


def test_an_exception_event_becomes_a_separate_error():
    """Derived: counted separately, with the ids, module and actor of its span."""
    batch = stored(
        spans_json(
            span(
                {"user.id": "u-1", "client.address": "10.0.0.1", "request.id": "r"},
                kind=2,
                events=[{"name": "other"}, EXCEPTION],
            ),
            resource={"service.name": "shop"},
        ),
        Signal.TRACES,
    )

    parent, error = batch.records
    assert (batch.received, batch.derived, len(batch.records)) == (1, 1, 2)
    assert columns_of(error) | {"metadata": b""} == {
        "kind": "log",
        "level": Level.ERROR,
        "severity_number": 0,
        "created_unix_ns": NOW_NS - 5,
        "odd_time": False,
        "stream_id": parent.stream_id,
        "duration_ns": None,
        "trace_id": bytes.fromhex(TRACE_ID),
        "span_id": bytes.fromhex(SPAN_ID),
        "parent_span_id": None,
        "ip_address": bytes([10, 0, 0, 1]),
        "source_module": "shop",
        "action": "exception",
        "resource_type": None,
        "resource_id": None,
        "actor_id": "u-1",
        "correlation_id": "r",
        "message": "ValueError: no [hidden] here",
        "metadata": b"",
    }
    assert metadata_of(error) == {
        "attributes": {
            "exception.type": "ValueError",
            "exception.message": "no [hidden] here",
            "exception.stacktrace": "at line 1",
        },
        "exception": {
            "type": "ValueError",
            "message": "no [hidden] here",
            "stacktrace": "at line 1",
        },
        "level_source": "exception",
        "redaction": [{"rule": "password", "count": 1, "field": "attributes.exception.message"}],
    }
    assert metadata_of(parent)["redaction"][0]["field"] == "events[1].attributes.exception.message"


def test_an_exception_without_time_or_text_uses_those_of_its_span():
    """All fields of an event are optional."""
    parent, error = spans(span(events=[{"name": "exception"}]))

    assert error.created_unix_ns == parent.created_unix_ns
    assert error.message == "exception"


def test_exceptions_have_stable_ids_by_position():
    """Two in one span differ, and each has the same id if sent again."""
    sent = span(events=[EXCEPTION, EXCEPTION])

    first, again = spans(sent), spans(sent)

    assert [record.id for record in first] == [record.id for record in again]
    assert len({record.id for record in first}) == 3


def test_a_minimum_level_drops_the_span_and_keeps_its_error():
    """Derived records are not counted as rejected."""
    key = Key(min_level=Level.ERROR)

    batch = stored(spans_json(span(events=[EXCEPTION])), Signal.TRACES, key=key)

    assert [record.action for record in batch.records] == ["exception"]
    assert batch.rejected == {"below_min_level": 1}
    assert (batch.received, batch.derived) == (1, 1)


def test_spans_and_their_exceptions_hold_canonical_metadata():
    """PostgreSQL returns it byte by byte as written."""
    from storage.record.canonical import canonical

    records = spans(span({"b": 1, "aa": 2, "a": 3}, events=[EXCEPTION], traceState="x"))

    for record in records:
        assert canonical(json.loads(record.metadata)) == record.metadata


def test_a_codec_reads_logs_and_spans_alike():
    """Memos are shared."""
    codec = make_codec()
    body = spans_json(span({"user.id": "u"}))

    first = spans(span({"user.id": "u"}), codec=codec)
    again = stored(body, Signal.TRACES, codec=codec).records

    assert columns_of(first[0]) == columns_of(again[0])
