"""Content-Type: points 14 to 23."""

import pytest

from tests.contract.otlp.server import JSON, PROTOBUF


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
async def test_point_014_the_two_types_are_accepted(receiver, kind):
    """14: exact values."""
    assert (await receiver.post(body=b"{}", Content_Type=kind)).status == 200


@pytest.mark.parametrize(
    "kind",
    [
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "application/json ; charset=utf-8",
        "application/x-protobuf; proto=opentelemetry",
        "application/json;",
    ],
)
async def test_point_015_parameters_are_ignored(receiver, kind):
    """15: in the request, and (22) they are not in the response."""
    reply = await receiver.post(body=b"{}", Content_Type=kind)

    assert reply.status == 200
    assert reply.headers["content-type"] == kind.split(";")[0].strip()


@pytest.mark.parametrize("kind", ["APPLICATION/JSON", "Application/X-Protobuf"])
async def test_point_016_types_are_case_insensitive(receiver, kind):
    """16: the response is in lower case (22)."""
    reply = await receiver.post(body=b"{}", Content_Type=kind)

    assert reply.status == 200
    assert reply.headers["content-type"] == kind.lower()


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/octet-stream", "application/x-www-form-urlencoded", "text/xml",
     "application/grpc", "json", "application/json5", "application/x-protobuf2", "a/b/c", ";"],
)  # fmt: skip
async def test_point_017_other_types_are_rejected_permanently(receiver, kind):
    """17: 415, which is not retried."""
    reply = await receiver.post(body=b"{}", Content_Type=kind)

    assert reply.status == 415
    assert "retry-after" not in reply.headers
    assert receiver.sink.got == []


@pytest.mark.parametrize("kind", ["-", "", " "])
async def test_point_018_the_type_is_required(receiver, kind):
    """18: missing or blank."""
    assert (await receiver.post(body=b"{}", Content_Type=kind)).status == 415


async def test_point_019_a_415_holds_a_status_in_json(receiver):
    """19: the request's encoding is not known."""
    reply = await receiver.post(body=b"{}", Content_Type="text/plain")

    assert reply.headers["content-type"] == JSON
    assert reply.rpc.message.startswith("unsupported_content_type")


@pytest.mark.parametrize("kind", [f"{JSON}; charset", f"{JSON}; =", f'{JSON}; a="', f"{JSON};;;"])
async def test_point_020_malformed_parameters_are_ignored(receiver, kind):
    """20: the type is clear."""
    assert (await receiver.post(body=b"{}", Content_Type=kind)).status == 200


@pytest.mark.parametrize(
    ("kind", "accept"), [(PROTOBUF, JSON), (JSON, PROTOBUF), (JSON, "text/html")]
)
async def test_point_021_accept_does_not_change_the_encoding(receiver, kind, accept):
    """21: the response has the request's encoding."""
    reply = await receiver.post(body=b"{}", Content_Type=kind, Accept=accept)

    assert reply.headers["content-type"] == kind


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
@pytest.mark.parametrize("coding", ["identity", "br"])
async def test_point_022_the_type_of_responses_is_exact(receiver, kind, coding):
    """22: no charset, for success and errors, once."""
    reply = await receiver.post(body=b"{}", Content_Type=kind, Content_Encoding=coding)

    assert reply.headers["content-type"] == kind


async def test_point_023_another_name_of_protobuf_is_rejected(receiver):
    """23: application/protobuf is not in the specification."""
    assert (await receiver.post(Content_Type="application/protobuf")).status == 415
