"""POST /v1/logs:explain returns what would be stored."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.levels import Level
from otlp_receiver.errors import BadPayload
from otlp_receiver.explain import MAX_RECORDS, RULES, Explainer, values_of
from otlp_receiver.export import Encoding, Signal
from storage.record.classes import classify
from tests.support.telemetry import (
    NOW_NS,
    SPAN_ID,
    TRACE_ID,
    Key,
    log,
    logs_json,
    logs_proto,
    make_codec,
    span,
    spans_json,
    spans_proto,
    stored,
)
from tests.unit.otlp_receiver.test_both_encodings import attributes, logs, traced


def explained(body, signal=Signal.LOGS, encoding=Encoding.JSON, key=None, codec=None):
    """The parsed explanation."""
    explain = Explainer(codec or make_codec(), classify, lambda: NOW_NS)
    return json.loads(explain.explain(signal, encoding, body, key or Key()))


def test_each_field_has_value_source_and_rule():
    """The record also has its class, resource, scope and full metadata."""
    body = logs_json(
        log(
            {"user.id": "u-1", "http.request.method": "GET", "http.route": "/x",
             "client.address": "10.0.0.1", "request.id": "r-1", "p": "hunter2"},
            body="hello", severityNumber=17, traceId=TRACE_ID, spanId=SPAN_ID,
        ),
        resource={"service.name": "shop"},
        scope={"name": "lib"},
    )  # fmt: skip

    explanation = explained(body)

    (record,) = explanation["records"]
    assert {name: (shown["value"], shown["from"]) for name, shown in record["fields"].items()} == {
        "id": (record["fields"]["id"]["value"], "time and position in the request"),
        "createdAt": ("2023-11-14T22:13:19.000000000Z", "time_unix_nano"),
        "level": ("ERROR", "severity_number"),
        "sourceModule": ("shop", "resource.service.name"),
        "action": ("GET /x", "http.route"),
        "resourceType": (None, None),
        "resourceId": (None, None),
        "actorId": ("u-1", "user.id"),
        "ipAddress": ("10.0.0.1", "client.address"),
        "correlationId": ("r-1", "request.id"),
        "traceId": (TRACE_ID, "trace_id"),
        "spanId": (SPAN_ID, "span_id"),
        "parentSpanId": (None, None),
        "durationNs": (None, None),
        "message": ("hello", "body"),
    }
    assert (record["stored"], record["class"], record["kind"]) == (True, "error", "log")
    assert record["resource"] == {"service.name": "shop"}
    assert record["scope"] == {"name": "lib", "version": ""}
    assert record["metadata"]["redaction"] == [
        {"rule": "password", "count": 1, "field": "attributes.p"}
    ]
    assert explanation["redactions"] == {"password": 1}
    assert "hunter2" not in json.dumps(explanation)


@pytest.mark.parametrize(
    ("record", "field", "source"),
    [
        (log(timeUnixNano=0, observedTimeUnixNano=5), "createdAt", "observed_time_unix_nano"),
        (log(timeUnixNano=0), "createdAt", "time of arrival"),
        (log(timeUnixNano=5), "createdAt", "the record's own time"),
        (log(severityText="warn"), "level", "severity_text"),
        (log(), "level", "default"),
        (log({"log.record.uid": "x"}), "id", "log.record.uid"),
        (log({"trace_id": TRACE_ID}), "traceId", "trace_id"),
        (log(body={"trace_id": TRACE_ID, "msg": "m"}), "traceId", "body.trace_id"),
        (log(body={"msg": "m"}), "message", "body.msg"),
        (log({"exception.type": "E"}), "message", "exception"),
        (log(eventName="e"), "message", "event_name"),
        (log({"resource.id": "7"}), "resourceId", "resource.id"),
        (log(), "sourceModule", "default"),
        (log({"code.function.name": "a.b"}), "sourceModule", "code.function.name"),
    ],
    ids=str,
)
def test_sources_are_named(record, field, source):
    """By OTLP attribute or field."""
    (shown,) = explained(logs_json(record))["records"]

    assert shown["fields"][field]["from"] == source


def test_rejected_records_have_reason_and_path():
    """In request order."""
    key = Key(min_level=Level.WARN)
    body = logs_json("no record", log(severityNumber=5), log(severityNumber=17, flags="x"), 5)

    explanation = explained(body, key=key)

    assert [shown["position"] for shown in explanation["records"]] == [0, 1, 2, 3]
    assert [shown["stored"] for shown in explanation["records"]] == [False, False, True, False]
    assert [shown.get("reason") for shown in explanation["records"]] == [
        "bad_value",
        "below_min_level",
        None,
        "bad_value",
    ]
    assert explanation["records"][3]["where"].endswith("logRecords[3]")
    assert "another key" in explanation["records"][1]["why"]
    assert explanation["rejected"] == {"bad_value": 2, "below_min_level": 1}
    assert explanation["stored"] == 1


def test_derived_rows_follow_their_span():
    """With the index of the event; the position is the span's."""
    body = spans_json("x", span(events=[{"name": "a"}, {"name": "exception"}]), span())

    explanation = explained(body, Signal.TRACES)

    assert [shown["position"] for shown in explanation["records"]] == [0, 1, 1, 2]
    assert explanation["records"][2]["derivedFrom"] == "events[1]"
    assert explanation["records"][1]["fields"]["durationNs"]["from"] == "end_time_unix_nano"
    assert (explanation["received"], explanation["derived"], explanation["stored"]) == (3, 1, 3)


def test_long_explanations_are_truncated():
    """With the number of omitted records."""
    explanation = explained(logs_json(*[log() for _ in range(MAX_RECORDS + 5)]))

    assert (len(explanation["records"]), explanation["omitted"]) == (MAX_RECORDS, 5)


def test_an_invalid_body_is_rejected_like_an_export():
    """400 with the same error."""
    with pytest.raises(BadPayload):
        explained(b"[]")


def test_every_column_has_its_rule():
    """Rule names are module names of the mapping."""
    from importlib.util import find_spec

    record = stored(logs_json(log())).records[0]

    assert set(values_of(record)) == set(RULES)
    for rule in set(RULES.values()):
        assert find_spec(f"otlp_receiver.mapping.{rule}") or find_spec(
            f"otlp_receiver.mapping.columns.{rule}"
        )


@settings(max_examples=50, deadline=None)
@given(st.lists(logs, max_size=3), st.lists(traced, max_size=2), attributes)
def test_explained_values_are_the_stored_ones(sent_logs, sent_spans, resource):
    """All columns and the metadata, for any telemetry."""
    for signal, request in (
        (Signal.LOGS, logs_proto(*[item.proto() for item in sent_logs], resource=resource)),
        (Signal.TRACES, spans_proto(*[item.proto() for item in sent_spans])),
    ):
        body = request.SerializeToString()
        batch = stored(body, signal, Encoding.PROTOBUF)

        explanation = explained(body, signal, Encoding.PROTOBUF)

        assert len(explanation["records"]) == len(batch.records)
        for shown, record in zip(explanation["records"], batch.records, strict=True):
            fields = shown["fields"]
            expected = values_of(record)
            assert {name: fields[name]["value"] for name in fields if name != "id"} == {
                name: value for name, value in expected.items() if name != "id"
            }
            assert shown["metadata"] == json.loads(record.metadata)
            for name, value in expected.items():
                assert (value is None) == (fields[name]["from"] is None), name
                assert fields[name]["from"] != "", name
