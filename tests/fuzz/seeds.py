"""Seeds of the fuzzer: exports with all features of OTLP, and unusual values of each kind."""

import gzip
import json
import zlib
from collections.abc import Iterator

import zstandard
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.fuzz.targets import FRAMES, INFLATE, NOW_NS, field
from tests.support.records import full_record, make_frame, make_record
from tests.support.telemetry import any_json, any_proto, attributes_json, attributes_proto

NESTED: dict = {"leaf": 1}
for _ in range(20):
    NESTED = {"n": NESTED}

ODD_VALUES = [
    None, True, 0, -1, 2**63 - 1, -(2**63), 2**53 + 1, 0.0, -0.0, 1e308, 5e-324, 1e300,
    float("nan"), float("inf"), float("-inf"), "", "\0", "a\0b", "\uffff\u2028\u202e", "x" * 300,
    "\U0001f600", b"", b"\0\xff", [], {}, [1, "a", None, [2.5], {"k": b"v"}], {"": None, "a": {"": 1}},
    NESTED, "Bearer abcdefghijklmnopqrstuvwxyz012345", "4111 1111 1111 1111", "eve@example.org",
    "password=hunter2", "postgresql://u:secretpw@h/db", "192.0.2.7", "2001:db8::1",
]  # fmt: skip

KEYS = [
    "", "a", "service.name", "user.id", "enduser.id", "http.route", "http.request.method",
    "http.response.status_code", "exception.type", "exception.message", "exception.stacktrace",
    "client.address", "resource.type", "resource.id", "event.name", "correlation_id", "password",
    "log.record.uid", "audit.actor.id", "source.module", "action", "k" * 300, "\0", "db.system",
]  # fmt: skip

ODD_JSON = [
    b'{"intValue":1e+300}', b'{"intValue":9223372036854775808}', b'{"intValue":9007199254740993}',
    b'{"intValue":"1e2"}', b'{"intValue":""}', b'{"intValue":true}', b'{"intValue":{}}',
    b'{"intValue":1.5}', b'{"doubleValue":null}', b'{"doubleValue":"NaN"}', b'{"doubleValue":1e400}',
    b'{"doubleValue":"1.5"}', b'{"stringValue":5}', b'{"boolValue":"true"}', b'{"bytesValue":"-_8"}',
    b'{"bytesValue":"!"}', b'{"stringValue":"\\ud800"}', b'{"stringValue":"\\u0000"}', b"[]", b"5",
    b'{"arrayValue":{"values":[{}]}}', b'{"kvlistValue":{"values":[{"key":"\\u0000"}]}}', b'""',
    b'{"stringValueStrindex":3}', b'{"string_value":"snake"}', b'{"stringValue":"a","intValue":1}',
    b'{"arrayValue":{"values":null}}', b'{"arrayValue":{}}', b'{"arrayValue":[]}', b"null",
    b'{"intValue":123456789012345678901234567890123456789012345678901234567890}',
    b'{"intValue":9007199254740993.0}', b'{"unknown":{"deep":[[[[1]]]]}}',
]  # fmt: skip


def logs() -> ExportLogsServiceRequest:
    """Log records with all features."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add(schema_url="https://example.org/1")
    group.resource.attributes.extend(attributes_proto({"service.name": "shop", "host.name": "h"}))
    group.resource.dropped_attributes_count = 1
    scope = group.scope_logs.add(schema_url="https://example.org/2")
    scope.scope.name, scope.scope.version = "shop.cart", "1.2"
    scope.scope.attributes.extend(attributes_proto({"a": 1}))
    for number, value in enumerate(ODD_VALUES):
        record = scope.log_records.add(
            time_unix_nano=(NOW_NS, 0, 1, 2**64 - 1)[number % 4],
            observed_time_unix_nano=(0, NOW_NS)[number % 2],
            severity_number=(9, 0, 24, 17)[number % 4],
            severity_text=("", "warn", "FATAL", "x")[number % 4],
            event_name=("", "order.placed")[number % 2],
            flags=number,
            trace_id=(b"t" * 16, b"", b"x")[number % 3],
            span_id=(b"s" * 8, b"", bytes(8))[number % 3],
            dropped_attributes_count=number % 2,
        )
        record.body.CopyFrom(any_proto(value))
        key = KEYS[number % len(KEYS)]
        record.attributes.extend(attributes_proto({key: value, "n": number}))
    return request


def traces() -> ExportTraceServiceRequest:
    """Spans with all features."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(attributes_proto({"service.name": "shop"}))
    scope = group.scope_spans.add()
    for number, value in enumerate(ODD_VALUES):
        span = scope.spans.add(
            trace_id=(b"t" * 16, b"", b"x")[number % 3],
            span_id=(b"s" * 8, b"s" * 8, bytes(8))[number % 3],
            parent_span_id=(b"", b"p" * 8)[number % 2],
            trace_state=("", "a=b")[number % 2],
            name=("GET /orders", "")[number % 2],
            kind=number % 7,
            flags=number,
            start_time_unix_nano=(NOW_NS, 0, 2**64 - 1)[number % 3],
            end_time_unix_nano=(NOW_NS + 5, 1)[number % 2],
        )
        attributes = attributes_proto({KEYS[number % len(KEYS)]: value})
        span.attributes.extend(attributes)
        event = span.events.add(time_unix_nano=NOW_NS, name=("exception", "log")[number % 2])
        event.attributes.extend(
            attributes_proto({"exception.type": "E", "exception.message": value})
        )
        span.links.add(trace_id=b"l" * 16, span_id=b"l" * 8).attributes.extend(attributes)
        span.status.code, span.status.message = number % 4, "why"
    return request


def seeds() -> Iterator[bytes]:
    """Inputs for targets.try_input."""
    yield from _protobuf()
    yield from _json()
    for body in (b"", b"x", b"plain text " * 50, bytes(300_000)):
        for number, packed in enumerate(
            (gzip.compress(body, mtime=0), zlib.compress(body), zstandard.compress(body))
        ):
            for step in (0, 255):
                yield bytes([INFLATE, number, step]) + packed
                yield bytes([INFLATE, number, step]) + packed * 2
    frame = make_frame([make_record(), full_record()])
    from storage.spool.frame import encode_frame

    whole = b"".join(encode_frame(frame))
    yield bytes([FRAMES]) + whole
    yield bytes([FRAMES]) + whole + b"torn" + whole


def _protobuf() -> Iterator[bytes]:
    log_request, trace_request = logs(), traces()
    yield b"\x00" + log_request.SerializeToString()
    yield b"\x01" + trace_request.SerializeToString()
    for record in log_request.resource_logs[0].scope_logs[0].log_records:
        raw = record.SerializeToString()
        yield b"\x04" + raw
        yield b"\x00" + field(1, field(2, field(2, raw)))
    for span in trace_request.resource_spans[0].scope_spans[0].spans:
        yield b"\x05" + span.SerializeToString()
    # References into a string table, invalid UTF-8, the scopes of 2021, a group.
    yield b"\x04" + field(5, b"\x40\x01") + field(6, b"\x18\x05" + field(2, b"\x10\x01"))
    yield b"\x04" + field(5, field(1, b"caf\xe9 \xed\xa0\x80")) + field(6, field(1, b"\xff"))
    yield b"\x00" + field(1, field(1000, field(2, field(5, field(1, b"old")))))
    yield b"\x04\x7b\x08\x01\x7c" + field(3, b"WARN")


def _json() -> Iterator[bytes]:
    for first, request in ((2, logs()), (3, traces())):
        document = json.loads(json.dumps(MessageToDict(request)))
        yield bytes([first]) + json.dumps(document).encode()
    for number, value in enumerate(ODD_VALUES):
        attributes = attributes_json({KEYS[number % len(KEYS)]: value})
        yield b"\x06" + json.dumps({"body": any_json(value), "attributes": attributes}).encode()
        yield b"\x07" + json.dumps({
            "traceId": "AB" * 16, "spanId": "cd" * 8, "attributes": attributes,
            "events": [{"attributes": attributes}], "links": [{"attributes": attributes}],
            "status": {"code": 2},
        }).encode()  # fmt: skip
    for odd in ODD_JSON:
        yield b'\x06{"body":' + odd + b"}"
        yield b'\x06{"attributes":[{"key":"k","value":' + odd + b"}]}"
        yield b'\x07{"name":' + odd + b',"attributes":[{"key":"k","value":' + odd + b"}]}"
        yield (
            b'\x02{"resourceLogs":[{"resource":{"attributes":[{"key":"k","value":' + odd + b"}]}}]}"
        )
        yield b'\x06{"timeUnixNano":' + odd + b',"severityNumber":' + odd + b"}"
    yield b'\x06{"time_unix_nano":"5","severity_text":"warn","event_name":"e"}'
    yield b"\x02\xef\xbb\xbf{}"
    yield b"\x02" + b'{"resourceLogs":' + b"[" * 2000
