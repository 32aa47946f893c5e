"""Authentication, CORS and operations: points 157 to 166 (health: tests of opslog/wiring/health.py)."""

import logging
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pytest
from prometheus_client import REGISTRY

from config.settings import OtlpSettings
from tests.contract.otlp.keyring import ring_of
from tests.contract.otlp.server import JSON, PROTOBUF, MemorySink, Outcome, request, running

SHOP = "https://shop.example"
BROWSERS = OtlpSettings(cors_origins=[SHOP])
PAST = datetime.now(UTC) - timedelta(seconds=1)


@pytest.fixture
async def guarded():
    """A receiver that requires a key; `.secrets` by name."""
    keys, secrets = ring_of(
        shop={},
        traces_only={"rights": ("traces",)},
        expired={"expires_at": PAST},
        revoked={"revoked_at": PAST},
    )
    async with running(keys=keys) as receiver:
        receiver.secrets = secrets
        yield receiver


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
@pytest.mark.parametrize(
    "shown",
    ["-", "", "Bearer", "Bearer ", "Bearer wrong", "Basic c2hvcDo=", "opslog_shop", "Bearer opslog_" + "a" * 40],
)  # fmt: skip
async def test_point_157_without_a_valid_key_nothing_is_accepted(guarded, kind, shown):
    """157: 401 with a Status, without a hint to retry."""
    reply = await guarded.post(body=b"abc", Content_Type=kind, Authorization=shown)

    assert (reply.status, reply.headers["content-type"]) == (401, kind)
    assert reply.rpc.code == 16
    assert "retry-after" not in reply.headers
    assert guarded.sink.got == []


@pytest.mark.parametrize("name", ["expired", "revoked"])
async def test_point_157_an_expired_key_is_like_an_unknown_one(guarded, name):
    """157, T3: the response does not reveal that it was valid."""
    over = await guarded.post(Authorization=f"Bearer {guarded.secrets[name]}")
    unknown = await guarded.post(Authorization="Bearer opslog_" + "a" * 40)

    assert over.status == unknown.status == 401
    assert over.body == unknown.body


async def test_point_157_a_key_without_the_permission_gets_403(guarded):
    """157: for logs; its traces are accepted."""
    shown = f"Bearer {guarded.secrets['traces_only']}"

    assert (await guarded.post("/v1/logs", b"a", Authorization=shown)).status == 403
    assert (await guarded.post("/v1/traces", b"a", Authorization=shown)).status == 200


async def test_point_158_a_401_names_the_scheme(guarded):
    """158: WWW-Authenticate."""
    assert (await guarded.post()).headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
async def test_point_159_the_scheme_is_case_insensitive(guarded, scheme):
    """159: with one space or more."""
    reply = await guarded.post(body=b"abc", Authorization=f"{scheme} {guarded.secrets['shop']}")

    assert reply.status == 200
    assert guarded.sink.got[0][3].name == "shop"


async def test_point_159_the_header_of_the_environment_variable(guarded):
    """159: OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20KEY, decoded by the SDK."""
    shown = unquote(f"Bearer%20{guarded.secrets['shop']}")

    assert (await guarded.post(authorization=shown)).status == 200


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_point_160_the_key_is_checked_before_the_body_is_read(guarded, coding):
    """160: the 401 is sent before any byte of the body is received."""
    wire = await guarded.connect()
    await wire.send(request(Content_Length=50_000_000, Content_Encoding=coding))

    reply = await wire.reply()

    assert (reply.status, reply.headers["connection"]) == (401, "close")


async def test_point_160_expect_100_continue_without_a_key_gets_401(guarded):
    """160: no 100 Continue without a key."""
    wire = await guarded.connect()
    await wire.send(request(Content_Length=10, Expect="100-continue"))

    assert (await wire.reply()).status == 401


async def test_a_revoked_key_is_rejected_even_where_no_key_is_required():
    """T5: on loopback too, revocation takes effect."""
    keys, secrets = ring_of(required=False, shop={}, revoked={"revoked_at": PAST})
    async with running(keys=keys) as receiver:
        shown = [f"Bearer {secrets['shop']}", f"Bearer {secrets['revoked']}", "Bearer foreign", "-"]
        statuses = [(await receiver.post(Authorization=one)).status for one in shown]

    assert statuses == [200, 401, 200, 200]


async def test_a_key_is_in_no_log_and_no_response(guarded, caplog):
    """T4: whatever error its request causes."""
    caplog.set_level(logging.DEBUG)
    secret = guarded.secrets["shop"]
    shown = {"Authorization": f"Bearer {secret}"}
    replies = [
        await guarded.post(**shown),
        await guarded.post("/v1/metrics", **shown),
        await guarded.post(Content_Type="text/plain", **shown),
        await guarded.post(Authorization=f"Bearer {secret}x"),
        await guarded.post(Authorization=secret),
    ]

    assert all(secret not in reply.body.decode("latin-1") + str(reply.headers) for reply in replies)
    assert secret not in caplog.text


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/traces/", "/v1/metrics"])
async def test_point_161_a_preflight_from_an_allowed_origin(path):
    """161: as sent by a browser's SDK."""
    async with running(BROWSERS) as receiver:
        reply = await receiver.post(
            path,
            method="OPTIONS",
            Content_Type="-",
            Origin=SHOP,
            Access_Control_Request_Method="POST",
            Access_Control_Request_Headers="authorization,content-type,traceparent,x-own",
        )

    assert reply.status == 204
    assert reply.headers["access-control-allow-origin"] == SHOP
    assert reply.headers["access-control-allow-methods"] == "POST"
    allowed = set(reply.headers["access-control-allow-headers"].split(", "))
    assert {"content-type", "authorization", "traceparent", "x-own"} <= allowed
    assert "Origin" in reply.headers["vary"]
    assert "access-control-allow-credentials" not in reply.headers


async def test_point_161_a_preflight_needs_no_key():
    """161: browsers do not send credentials with it."""
    keys, _ = ring_of(shop={})
    async with running(BROWSERS, keys=keys) as receiver:
        assert (await receiver.post(method="OPTIONS", Origin=SHOP)).status == 204


async def test_point_161_invalid_header_names_are_not_echoed():
    """161: nothing that could terminate a header is echoed."""
    async with running(BROWSERS) as receiver:
        reply = await receiver.post(
            method="OPTIONS",
            Origin=SHOP,
            Access_Control_Request_Headers='x-a, x b, "x", é,' + "x" * 99,
        )

    assert "x-a" in reply.headers["access-control-allow-headers"]
    assert not {"x b", '"x"', "é", "x" * 99} & set(
        reply.headers["access-control-allow-headers"].split(", ")
    )


@pytest.mark.parametrize(
    ("post", "status"),
    [
        ({"body": b"{}", "Content_Type": JSON}, 200),
        ({"Content_Type": "text/plain"}, 415),
        ({"path": "/v1/metrics"}, 404),
        ({"path": "/nothing"}, 404),
        ({"method": "GET"}, 405),
        ({"body": b"x", "Content_Encoding": "gzip"}, 400),
    ],
)
async def test_point_161_every_response_to_an_allowed_origin_has_the_headers(post, status):
    """161: a browser hides others and its SDK retries."""
    async with running(BROWSERS) as receiver:
        reply = await receiver.post(**post, Origin=SHOP)

    assert reply.status == status
    assert reply.headers["access-control-allow-origin"] == SHOP
    assert reply.headers["access-control-expose-headers"] == "Retry-After"


@pytest.mark.parametrize(
    "origin",
    ["https://shop.example.evil.com", "https://evil.com", "http://shop.example", "null", "*",
     "https://shop.example:8443", "HTTPS://SHOP.EXAMPLE", "https://shop.example/"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
async def test_point_162_other_origins_are_not_allowed(origin, method):
    """162, T40: an allowlist."""
    settings = OtlpSettings(cors_origins=[SHOP, "null", "*"])
    async with running(settings) as receiver:
        reply = await receiver.post(body=b"", method=method, Origin=origin)

    assert not any(name.startswith("access-control") for name in reply.headers)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/v1/logs"])
async def test_point_163_health_is_not_on_the_otlp_port(receiver, path):
    """163: it has a separate port."""
    assert (await receiver.post(path, method="GET")).status in {404, 405}


def metric(name, **labels):
    """The current value of an own metric."""
    return REGISTRY.get_sample_value(f"opslog_otlp_{name}", labels) or 0.0


async def test_point_164_own_metrics_are_updated():
    """164: requests, records, rejected by reason, replaced characters, bytes, times."""
    import gzip

    labels = {"signal": "logs", "encoding": "protobuf", "status": "200"}
    names = {
        "requests_total": labels,
        "records_total": {"signal": "logs"},
        "rejected_total": {"signal": "logs", "reason": "bad_value"},
        "replaced_characters_total": {},
        "wire_bytes_total": {},
        "body_bytes_total": {},
        "ack_seconds_count": {"signal": "logs"},
    }
    before = {name: metric(name, **with_) for name, with_ in names.items()}
    body = gzip.compress(bytes(1000))

    outcome = Outcome(received=10, rejected={"bad_value": 2}, replaced_characters=5)
    async with running(sink=MemorySink(outcome)) as receiver:
        await receiver.post(body=body, Content_Encoding="gzip")

    grown = {name: metric(name, **with_) - before[name] for name, with_ in names.items()}
    assert grown == {
        "requests_total": 1,
        "records_total": 10,
        "rejected_total": 2,
        "replaced_characters_total": 5,
        "wire_bytes_total": len(body),
        "body_bytes_total": 1000,
        "ack_seconds_count": 1,
    }


async def test_point_164_labels_never_come_from_senders(receiver):
    """164: otherwise anyone could exhaust the memory of Prometheus."""
    for number in range(3):
        await receiver.post(f"/evil/{number}", Content_Type=f"evil/{number}")

    values = {
        value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name.startswith("opslog_otlp")
        for value in sample.labels.values()
    }
    assert not any("evil" in value for value in values)


async def test_point_165_a_payload_is_in_no_log(receiver, caplog):
    """165: not even at debug level."""
    caplog.set_level(logging.DEBUG)
    for kind in (PROTOBUF, JSON, "text/plain"):
        await receiver.post(body=b"SECRET", Content_Type=kind)
        await receiver.post(body=b"SECRET", Content_Type=kind, Content_Encoding="gzip")

    assert "SECRET" not in caplog.text


def test_point_166_the_address_is_loopback_by_default():
    """166: any other requires keys."""
    settings = OtlpSettings()

    assert (settings.host, settings.port) == ("127.0.0.1", 4318)
    assert not settings.requires_keys
    assert OtlpSettings(host="0.0.0.0").requires_keys
