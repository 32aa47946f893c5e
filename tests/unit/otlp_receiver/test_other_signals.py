"""200 only for what was understood: an export of another signal is refused with the right path.

Every signal to every path, in both encodings; empty exports and unknown fields stay accepted.
"""

import json
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import (
    ExportProfilesServiceRequest,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otlp_receiver.errors import WrongSignal
from otlp_receiver.export import Encoding, Signal
from tests.support.telemetry import (
    NOW_NS,
    any_proto,
    attributes_proto,
    log,
    logs_json,
    logs_proto,
    span,
    spans_json,
    spans_proto,
    stored,
)

ATTRIBUTES = attributes_proto({"http.route": "/orders", "n": 5})

LOG_RECORDS = {
    "full": LogRecord(
        time_unix_nano=NOW_NS, severity_number=9, body=any_proto("x"), attributes=ATTRIBUTES
    ),
    "only observed": LogRecord(observed_time_unix_nano=NOW_NS, body=any_proto({"a": 1})),
    "only a time": LogRecord(time_unix_nano=NOW_NS),
    "with ids": LogRecord(time_unix_nano=NOW_NS, trace_id=b"t" * 16, span_id=b"s" * 8, flags=1),
}
SPANS = {
    "full": Span(
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        name="GET",
        kind=Span.SpanKind.SPAN_KIND_SERVER,
        start_time_unix_nano=NOW_NS,
        end_time_unix_nano=NOW_NS,
        attributes=ATTRIBUTES,
    ),
    "without times": Span(trace_id=b"t" * 16, span_id=b"s" * 8, name="GET"),
    "with a parent": Span(
        trace_id=b"t" * 16, span_id=b"s" * 8, parent_span_id=b"p" * 8, trace_state="a=b"
    ),
}


def metric(kind: str, **fields: Any) -> Metric:
    """A metric of a kind with one data point."""
    found = Metric(name="http.server.duration", **fields)
    point = getattr(found, kind).data_points.add(time_unix_nano=NOW_NS)
    point.attributes.extend(ATTRIBUTES)
    return found


METRICS = {
    kind: metric(kind, unit="s", description="d")
    for kind in ("gauge", "sum", "histogram", "exponential_histogram", "summary")
} | {
    "bare gauge": metric("gauge"),
    "name of a trace id's size": Metric(
        name="n" * 16,
        description="d" * 8,
        gauge={"data_points": [NumberDataPoint(as_double=1.5)]},
    ),
}


def protobuf_of(signal: str, record: Any) -> bytes:
    """A request of this record."""
    if signal == "logs":
        return logs_proto(record, resource={"service.name": "s"}).SerializeToString()
    if signal == "traces":
        return spans_proto(record).SerializeToString()
    if signal == "metrics":
        request = ExportMetricsServiceRequest()
        request.resource_metrics.add().scope_metrics.add().metrics.append(record)
        return request.SerializeToString()
    profiles = ExportProfilesServiceRequest()
    profile = (
        profiles.resource_profiles.add()
        .scope_profiles.add()
        .profiles.add(time_unix_nano=NOW_NS, duration_nano=5, profile_id=b"p" * 16)
    )
    profile.sample_type.type_strindex = 1
    profile.samples.add(values=[1])
    profiles.dictionary.string_table.extend(["", "cpu"])
    return profiles.SerializeToString()


RECORDS = [
    *(("logs", name, record) for name, record in LOG_RECORDS.items()),
    *(("traces", name, record) for name, record in SPANS.items()),
    *(("metrics", name, record) for name, record in METRICS.items()),
    ("profiles", "cpu", None),
]
ADVICE = {
    "logs": "send it to /v1/logs",
    "traces": "send it to /v1/traces",
    "metrics": "remove its metrics exporter",
    "profiles": "remove its profiles exporter",
}


@pytest.mark.parametrize("path", [Signal.LOGS, Signal.TRACES])
@pytest.mark.parametrize(
    ("signal", "record"), [pytest.param(*case[::2], id=" ".join(case[:2])) for case in RECORDS]
)
def test_protobuf_of_another_signal_is_refused(path, signal, record):
    """The message names the signal and where it belongs; its own path takes it."""
    body = protobuf_of(signal, record)
    if signal == path.value:
        assert len(stored(body, path, Encoding.PROTOBUF).records) == 1
        return

    with pytest.raises(WrongSignal, match=ADVICE[signal]) as refused:
        stored(body, path, Encoding.PROTOBUF)

    assert refused.value.code == "wrong_signal"
    assert f"export of {signal}" in str(refused.value)


JSON_NAMES = {
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
    "profiles": ("resourceProfiles", "scopeProfiles", "profiles"),
}


def snake(name: str) -> str:
    """The name in snake_case."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


@pytest.mark.parametrize("spelling", [str, snake], ids=["camel", "snake"])
@pytest.mark.parametrize("path", [Signal.LOGS, Signal.TRACES])
@pytest.mark.parametrize("signal", JSON_NAMES)
@pytest.mark.parametrize("level", [0, 1, 2], ids=["request", "resource", "scope"])
def test_json_of_another_signal_is_refused(path, signal, spelling, level):
    """By the name of a list at any level."""
    own, other = JSON_NAMES[path.value], JSON_NAMES[signal]
    names = [spelling(name) for name in (*own[:level], *other[level:])]
    body = json.dumps({names[0]: [{names[1]: [{names[2]: [{"name": "x"}]}]}]}).encode()
    if signal == path.value:
        assert len(stored(body, path).records) == 1
        return

    with pytest.raises(WrongSignal, match=ADVICE[signal]):
        stored(body, path)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"resourceLogs": []},
        {"resourceSpans": []},
        {"unknown": [{"x": 1}]},
        {"resourceLogs": [{"resource": {}, "unknown": 5}]},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": []}]}]},
    ],
    ids=str,
)
def test_empty_exports_and_unknown_fields_are_accepted(body):
    """Nothing is lost."""
    assert stored(json.dumps(body).encode()).received == 0


def test_unknown_fields_beside_records_are_ignored():
    """A list of another signal beside the own one is an unknown field."""
    logs, spans = json.loads(logs_json(log())), json.loads(spans_json(span()))

    assert len(stored(json.dumps({**logs, **spans}).encode()).records) == 1
    assert len(stored(json.dumps({**logs, **spans}).encode(), Signal.TRACES).records) == 1
