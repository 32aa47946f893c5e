"""Paths and methods: points 1 to 13."""

import pytest

from config.settings import OtlpSettings
from otlp_receiver.export import Encoding, Signal
from tests.contract.otlp.server import JSON, PROTOBUF, request, running

PATHS = {Signal.LOGS: "/v1/logs", Signal.TRACES: "/v1/traces"}


@pytest.mark.parametrize(
    "signal", [pytest.param(Signal.LOGS, id="1"), pytest.param(Signal.TRACES, id="2")]
)
async def test_protobuf_is_posted_to_the_path_of_its_signal(receiver, signal):
    """1, 2: 200 with an empty response message."""
    reply = await receiver.post(PATHS[signal], b"abc")

    assert (reply.status, reply.body) == (200, b"")
    assert receiver.sink.got[0][:3] == (signal, Encoding.PROTOBUF, b"abc")


@pytest.mark.parametrize("path", PATHS.values())
async def test_point_003_both_encodings_use_one_port(receiver, path):
    """3: the Content-Type selects."""
    replies = [await receiver.post(path, b"{}", Content_Type=kind) for kind in (PROTOBUF, JSON)]

    assert [reply.status for reply in replies] == [200, 200]
    assert [got[1] for got in receiver.sink.got] == [Encoding.PROTOBUF, Encoding.JSON]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD"])
async def test_point_004_other_methods_are_rejected(receiver, method):
    """4: 405, and nothing is stored."""
    reply = await receiver.post(body=b"abc", method=method)

    assert reply.status == 405
    assert receiver.sink.got == []


async def test_point_005_a_405_names_the_methods(receiver):
    """5: Allow."""
    assert (await receiver.post(method="GET")).headers["allow"] == "POST"


async def test_point_005_with_cors_options_is_allowed_too():
    """5: OPTIONS is allowed if browsers may send."""
    settings = OtlpSettings(cors_origins=["https://shop.example"])
    async with running(settings) as receiver:
        assert (await receiver.post(method="GET")).headers["allow"] == "POST, OPTIONS"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [(PROTOBUF, PROTOBUF), (JSON, JSON), ("text/html", JSON), ("-", JSON)],
)
async def test_point_006_a_405_holds_a_status_in_the_encoding_of_the_request(
    receiver, sent, expected
):
    """6: JSON if the request has no encoding."""
    reply = await receiver.post(method="PUT", Content_Type=sent)

    assert reply.headers["content-type"] == expected
    assert reply.rpc.code == 12
    assert reply.rpc.message.startswith("method_not_allowed")


@pytest.mark.parametrize("path", ["/v1/metrics", "/v1development/profiles", "/v1/metrics/"])
@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
async def test_point_007_unsupported_signals_are_not_retryable(receiver, path, kind):
    """7: 404 with a Status."""
    reply = await receiver.post(path, b"abc", Content_Type=kind)

    assert reply.status == 404
    assert reply.headers["content-type"] == kind
    assert reply.rpc.message.startswith("unsupported_signal")


@pytest.mark.parametrize(
    "path",
    ["/v2/logs", "/v1/log", "/v1/logs/x", "//v1/logs", "/V1/LOGS", "/v1", "/api/v1/logs",
     "/otlp/v1/logs", "/healthz", "/v1/../v1/logs", "*"],
)  # fmt: skip
async def test_point_008_unknown_paths_are_404(receiver, path):
    """8: with a Status as well."""
    reply = await receiver.post(path, b"abc")

    assert reply.status == 404 if path != "*" else reply.status in {400, 404}
    assert reply.rpc.code in {3, 5}
    assert receiver.sink.got == []


@pytest.mark.parametrize("path", ["/v1/logs/", "/v1/traces/"])
async def test_point_009_a_trailing_slash_changes_nothing(receiver, path):
    """9: never a redirect."""
    assert (await receiver.post(path, b"abc")).status == 200
    assert receiver.sink.bodies == [b"abc"]


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_point_010_the_root_accepts_nothing(receiver, method):
    """10: no success and no redirect for an endpoint without a path."""
    assert (await receiver.post("/", b"abc", method=method)).status == 404


async def test_point_011_a_query_changes_nothing(receiver):
    """11: proxies add them."""
    assert (await receiver.post("/v1/logs?x=1&y", b"abc")).status == 200


@pytest.mark.parametrize("path", ["/otlp/v1/logs", "/otlp/v1/traces/", "/v1/logs"])
async def test_point_012_a_prefix_can_be_set(path):
    """12: the plain paths remain."""
    async with running(OtlpSettings(path_prefix="/otlp")) as receiver:
        assert (await receiver.post(path, b"abc")).status == 200


async def test_point_013_options_without_cors_is_not_allowed(receiver):
    """13: like any other method."""
    reply = await receiver.post(method="OPTIONS", Origin="https://shop.example")

    assert reply.status == 405
    assert not any(name.startswith("access-control") for name in reply.headers)


async def test_no_path_ever_redirects(receiver):
    """Senders follow with a GET without a body, or take 3xx for success: the data is lost."""
    paths = ["", "/", "/v1", "/v1/logs", "/v1/logs/", "/v1/metrics", "//", "/v1/logs//"]
    wire = await receiver.connect()

    for path in paths:
        await wire.send(request(path or "/", b"", method="POST"))
        assert not 300 <= (await wire.reply()).status < 400
