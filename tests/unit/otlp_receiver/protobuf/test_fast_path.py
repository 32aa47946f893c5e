"""The fast path returns what protobuf's parser returns, or falls back to it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from config.settings import LimitSettings
from loadtests.shop import shop_request
from otlp_receiver.errors import BadPayload
from otlp_receiver.memos import Memos
from otlp_receiver.protobuf.decode import ProtobufReader
from otlp_receiver.protobuf.fast_path import scopes_of
from tests.support.telemetry import NOW_NS, any_proto, attributes_proto, logs_proto


def decoded(body: bytes, *, fast_path: bool, **limits: int) -> Any:
    """The result of decoding a body, or the error."""
    within = LimitSettings().model_copy(update=limits)
    reader = ProtobufReader(Memos(), within, fast_path=fast_path)
    try:
        export = reader.logs(body)
        groups = [(group.stream, list(group.rows)) for group in export.logs]
    except BadPayload as bad:
        return str(bad), bad.where
    return export.tallies, groups


def both(body: bytes, **limits: int) -> Any:
    """The result of both paths, which must be the same."""
    walked = decoded(body, fast_path=True, **limits)
    # By their texts: a NaN is not equal to another.
    assert repr(walked) == repr(decoded(body, fast_path=False, **limits))
    return walked


def record(**fields: Any) -> LogRecord:
    """A LogRecord with all fields."""
    usual = {
        "time_unix_nano": NOW_NS,
        "observed_time_unix_nano": NOW_NS + 1,
        "severity_number": 9,
        "severity_text": "INFO",
        "body": any_proto("hello"),
        "attributes": attributes_proto(
            {"a": "x", "n": 5, "deep": {"x": [1.5, None]}, "a" * 200: "y" * 300}
        ),
        "dropped_attributes_count": 3,
        "flags": 257,
        "trace_id": b"t" * 16,
        "span_id": b"s" * 8,
        "event_name": "order.placed",
    }
    return LogRecord(**(usual | fields))


def tag(number: int, wire_type: int) -> bytes:
    """The tag of a field."""
    value = number << 3 | wire_type
    return bytes([value & 0x7F | 0x80, value >> 7]) if value > 0x7F else bytes([value])


def sized(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    size, length = len(content), b""
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return tag(number, 2) + length + bytes([size]) + content


def request(
    *records: bytes, scope: bytes = b"", resource: bytes = b"", around: bytes = b""
) -> bytes:
    """A request of records given as bytes, with additional bytes in scope, resource and request."""
    in_scope = b"".join(sized(2, one) for one in records) + scope
    return sized(1, sized(2, in_scope) + resource) + around


@pytest.mark.parametrize("number", [0, 5])
def test_common_requests_use_the_fast_path(number):
    """No fallback for the records of the demo shop, and one with every field."""
    for body in (
        shop_request("run", number * 50, 50, NOW_NS),
        logs_proto(record(), record(body=any_proto({"a": 1})), LogRecord()).SerializeToString(),
    ):
        scopes = scopes_of(body)
        assert scopes is not None
        _, groups = both(body)
        assert sum(len(rows) for _, rows in groups) == sum(scope.records for scope in scopes) > 0


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(record(time_unix_nano=2**63).SerializeToString(), id="time-after-2262"),
        pytest.param(record(severity_number=-1).SerializeToString(), id="negative-number"),
        pytest.param(tag(2, 0) + b"\xff\xff\xff\xff\x7f", id="number-too-large"),
        pytest.param(tag(7, 0) + b"\xff\xff\xff\xff\x7f", id="count-too-large"),
        pytest.param(tag(2, 0) + b"\x89\x80\x00", id="padded-number"),
        pytest.param(sized(5, any_proto("a").SerializeToString()) * 2, id="body-in-two-pieces"),
        pytest.param(sized(5, b""), id="empty-body"),
        pytest.param(sized(99, b"x") + record().SerializeToString(), id="unknown-field"),
        pytest.param(tag(99, 3) + tag(99, 4) + record().SerializeToString(), id="group"),
        pytest.param(tag(9, 0) + b"\x05", id="another-wire-type"),
        pytest.param(sized(3, b"A") + sized(3, b"B"), id="the-last-text-wins"),
        pytest.param(sized(9, b"short") + sized(10, b""), id="odd-ids"),
        pytest.param(sized(3, b"\xff\xfe") + sized(12, b"\xff"), id="bad-utf-8"),
        pytest.param(sized(6, sized(1, b"k") + sized(2, b"\x0a\x05\xff\x00abc")), id="odd-value"),
        pytest.param(tag(1, 1) + b"1234567", id="cut-off-time"),
        pytest.param(tag(8, 5) + b"123", id="cut-off-flags"),
        pytest.param(tag(2, 0) + b"\x80", id="cut-off-number"),
        pytest.param(tag(6, 2) + b"\x05abc", id="cut-off-attribute"),
        pytest.param(tag(6, 2), id="cut-off-length"),
        pytest.param(sized(6, b"\x0a\x09"), id="cut-off-key"),
        pytest.param(b"\x00", id="field-zero"),
        pytest.param(b"", id="empty"),
    ],
)
def test_an_unusual_record_falls_back_to_the_parser(raw):
    """Between common ones, in the same order."""
    usual = record().SerializeToString()

    both(request(usual, raw, usual))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x0a", id="cut-off"),
        pytest.param(b"\x0a\x05ab", id="too-short"),
        pytest.param(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", id="a-giant-length"),
        pytest.param(b"not protobuf", id="text"),
        pytest.param(request(b"", around=sized(2, b"x")), id="unknown-in-request"),
        pytest.param(request(b"", resource=tag(9, 0) + b"\x01"), id="unknown-in-resource"),
        pytest.param(request(b"", resource=sized(1000, sized(2, b""))), id="scopes-of-2021"),
        pytest.param(request(b"", resource=b"\x12"), id="cut-off-in-resource"),
        pytest.param(request(b"", scope=sized(9, b"x")), id="unknown-in-scope"),
        pytest.param(sized(1, sized(2, sized(1, b"") + sized(2, b""))), id="scope-before-records"),
        pytest.param(request(b"", scope=b"\x12\x05"), id="cut-off-in-scope"),
        pytest.param(request(b"", scope=sized(1, sized(1, b"n")) * 2), id="scope-in-two-pieces"),
        pytest.param(request(b"", scope=sized(3, b"url")), id="schema-url-of-scope"),
        pytest.param(
            request(b"", resource=sized(1, b"") + sized(3, b"url") + sized(2, sized(2, b""))),
            id="resource-after-its-scopes",
        ),
        pytest.param(request(), id="no-records"),
        pytest.param(request(b"") * 3, id="three-resources"),
        pytest.param(sized(1, sized(2, sized(2, b"")) * 10_001), id="too-many-scopes"),
    ],
)  # fmt: skip
def test_envelopes_of_every_kind(body):
    """Common or not, valid or invalid."""
    both(body)


def test_limits_hold_for_both():
    """The allowed number of records and attributes; the rest is rejected or dropped."""
    body = logs_proto(*[record() for _ in range(5)]).SerializeToString() * 2

    tallies, groups = both(body, request_rows=7, attributes=2)

    assert (tallies.received, tallies.rejects[0].count) == (10, 3)
    assert [len(rows) for _, rows in groups] == [5, 2]
    assert groups[0][1][0][8].cuts == {"attributes": 4}


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
records = st.builds(
    lambda body, attributes, fields: LogRecord(
        body=any_proto(body), attributes=attributes_proto(attributes), **fields
    ),
    values,
    st.dictionaries(st.text(), values, max_size=4),
    st.fixed_dictionaries({}, optional={
        "time_unix_nano": st.integers(0, 2**64 - 1),
        "observed_time_unix_nano": st.integers(0, 2**64 - 1),
        "severity_number": st.integers(-(2**31), 2**31 - 1),
        "severity_text": st.text(),
        "dropped_attributes_count": st.integers(0, 2**32 - 1),
        "flags": st.integers(0, 2**32 - 1),
        "trace_id": st.binary(max_size=20),
        "span_id": st.binary(max_size=10),
        "event_name": st.text(),
    }),
)  # fmt: skip


@given(st.lists(records, max_size=4), st.data())
def test_any_input_is_read_alike(some, data):
    """Unchanged, and with a few bytes changed, removed or inserted."""
    body = bytearray(ExportLogsServiceRequest.SerializeToString(logs_proto(*some)))

    both(bytes(body))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, max(0, len(body) - 1)))
        body[place : place + data.draw(st.integers(0, 1))] = data.draw(st.binary(max_size=2))
        both(bytes(body))
