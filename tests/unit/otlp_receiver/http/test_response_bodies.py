"""Messages written by hand are those that the official classes read, whatever is in them."""

import json

from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from otlp_receiver.errors import BadPayload
from otlp_receiver.export import Encoding, Signal
from otlp_receiver.http import response_bodies as answers
from otlp_receiver.pipeline import Receipt

any_text = st.text(max_size=300) | st.just("é" * 10_000)


@given(count=st.integers(1, 2**62), warning=any_text)
def test_a_partial_success_reads_as_it_was_written(count, warning):
    """In both encodings."""
    receipt = Receipt(count, {"bad_value": count}, 0, [warning])

    packed = answers.accepted(Signal.LOGS, Encoding.PROTOBUF, receipt)
    told = json.loads(answers.accepted(Signal.LOGS, Encoding.JSON, receipt))["partialSuccess"]

    partial = ExportLogsServiceResponse.FromString(packed).partial_success
    assert partial.rejected_log_records == int(told["rejectedLogRecords"]) == count
    assert partial.error_message == told["errorMessage"]


@given(message=st.text(max_size=5000), where=st.text(max_size=600))
def test_a_status_reads_as_it_was_written(message, where):
    """In both encodings, with its detail, and never above some kilobytes."""
    error = BadPayload(message, where=where)

    packed = answers.status(Encoding.PROTOBUF, error)
    told = json.loads(answers.status(Encoding.JSON, error))

    status = status_pb2.Status.FromString(packed)
    detail = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(detail)
    assert (status.code, status.message) == (told["code"], told["message"])
    (violation,) = told["details"][0]["fieldViolations"]
    assert detail.field_violations[0].field == violation["field"]
    assert detail.field_violations[0].description == violation["description"]
    assert len(packed) < 64 * 1024
