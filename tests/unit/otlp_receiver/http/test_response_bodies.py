"""Response bodies are parsed correctly by the official classes, whatever their content."""

import json

from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from otlp_receiver.errors import BadPayload
from otlp_receiver.export import Encoding, Signal
from otlp_receiver.http import response_bodies
from otlp_receiver.pipeline import Receipt

any_text = st.text(max_size=300) | st.just("é" * 10_000)


@given(count=st.integers(1, 2**62), warning=any_text)
def test_a_partial_success_reads_as_it_was_written(count, warning):
    """In both encodings."""
    receipt = Receipt(count, {"bad_value": count}, 0, [warning])

    packed = response_bodies.accepted(Signal.LOGS, Encoding.PROTOBUF, receipt)
    parsed = json.loads(response_bodies.accepted(Signal.LOGS, Encoding.JSON, receipt))[
        "partialSuccess"
    ]

    partial = ExportLogsServiceResponse.FromString(packed).partial_success
    assert partial.rejected_log_records == int(parsed["rejectedLogRecords"]) == count
    assert partial.error_message == parsed["errorMessage"]


@given(message=st.text(max_size=5000), where=st.text(max_size=600))
def test_a_status_reads_as_it_was_written(message, where):
    """In both encodings, with its detail, and never more than a few kilobytes."""
    error = BadPayload(message, where=where)

    packed = response_bodies.status(Encoding.PROTOBUF, error)
    parsed = json.loads(response_bodies.status(Encoding.JSON, error))

    status = status_pb2.Status.FromString(packed)
    detail = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(detail)
    assert (status.code, status.message) == (parsed["code"], parsed["message"])
    (violation,) = parsed["details"][0]["fieldViolations"]
    assert detail.field_violations[0].field == violation["field"]
    assert detail.field_violations[0].description == violation["description"]
    assert len(packed) < 64 * 1024
