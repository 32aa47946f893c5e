"""No output of the product contains a secret that was sent: the test searches everything."""

import base64
import json
import os
import signal
import zlib

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from tests.support.product import Product

pytestmark = pytest.mark.slow

# Each has a core that is looked for: no marker, log line or error may hold even that.
SECRETS = {
    "password=q7Xv_corehunter_91": "corehunter",
    "AKIAQZ3CORE5KEY7ABCD": "AKIAQZ3CORE5KEY7ABCD",
    "Authorization: Bearer zz9coretokenbearer00aa11bb22": "coretokenbearer",
    "postgresql://shop:s3cretcoredbpass@db.example.net:5432/orders": "s3cretcoredbpass",
    "ghp_" + "c0reGithubTokenAbCdEfGhIjKlMnOpQrSt12": "c0reGithubToken",
    "card 4111 1111 1111 1111": "4111 1111 1111",
    "mail to core.leaky.person@example.com": "core.leaky.person",
    "-----BEGIN RSA PRIVATE KEY-----\nMIICcorekeybytes7h8\n-----END RSA PRIVATE KEY-----": "corekeybytes",
    "sk_live_" + "4eC39HqLcoreStripeKey00": "coreStripeKey",
    "https://user:corewebpassw0rd@files.example.org/x": "corewebpassw0rd",
}


def text(value: str) -> AnyValue:
    return AnyValue(string_value=value)


def pair(key: str, value: AnyValue) -> KeyValue:
    return KeyValue(key=key, value=value)


def places(secret: str) -> list[KeyValue]:
    """The secret as value, nested, in JSON, as bytes, and as a key."""
    deep = text(secret)
    for _ in range(6):
        deep = AnyValue(kvlist_value=KeyValueList(values=[pair("inner", deep)]))
        deep = AnyValue(array_value=ArrayValue(values=[text("x"), deep]))
    return [
        pair("note", text(f"before {secret} after")),
        pair("deep", deep),
        pair("json", text(json.dumps({"a": [{"b": secret}]}))),
        pair("raw", AnyValue(bytes_value=secret.encode())),
        pair("log.record.original", text(f"<13>1 - - {secret}")),
        pair(f"k {secret}", text("v")),
        pair("exception.stacktrace", text(f"Traceback:\n  {secret}\n")),
    ]


def logs(secret: str) -> bytes:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(
        [pair("service.name", text("leaks")), pair("res", text(secret))]
    )
    scope = group.scope_logs.add()
    scope.scope.name = f"scope {secret}"
    scope.scope.attributes.append(pair("s", text(secret)))
    scope.log_records.add(body=text(f"it said {secret}!"), attributes=places(secret))
    scope.log_records.add(body=AnyValue(kvlist_value=KeyValueList(values=places(secret))))
    scope.log_records.add(event_name=f"event {secret}", severity_text=secret)
    return request.SerializeToString()


def spans(secret: str) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    span = group.scope_spans.add().spans.add(
        trace_id=b"t" * 16, span_id=b"s" * 8, name=f"call {secret}", attributes=places(secret)
    )
    span.status.message = f"failed: {secret}"
    span.status.code = 2
    span.trace_state = f"a={secret}"
    span.events.add(
        name="exception",
        attributes=[
            pair("exception.type", text("E")),
            pair("exception.message", text(secret)),
        ],
    )
    span.events.add(name=f"event {secret}", attributes=places(secret))
    span.links.add(trace_id=b"t" * 16, span_id=b"l" * 8, attributes=places(secret))
    return request.SerializeToString()


def test_no_secret_is_in_any_output_of_the_product():
    with Product.running(OPSLOG_LOG__LEVEL="debug") as product:
        responses = []
        for secret in SECRETS:
            for body, signal in ((logs(secret), "logs"), (spans(secret), "traces")):
                responses += [
                    product.export(body, signal),
                    product.export(body, f"{signal}:explain"),
                    product.export(body[:-3] + b"\xff" * 9, signal),
                    product.export(
                        json.dumps({"resourceLogs": [secret]}).encode(), signal, "application/json"
                    ),
                ]
            product.export(logs(secret), "logs", f"text/{secret[:20].strip()}".replace("\n", " "))
        product.wait(
            lambda: product.sql("SELECT count(*) FROM system_logs WHERE kind <> 'a'")[0][0] >= 50
        )
        pages = [
            product.request(
                "/api/v1/logs?limit=1000", headers={"Authorization": f"Bearer {product.token()}"}
            ),
            product.request("/metrics", headers={"Authorization": f"Bearer {product.token()}"}),
            product.request("/readyz"),
        ]
        assert product.stop() == 0

        said = b"".join(body for _, _, body in [*responses, *pages])
        for path in product.folder.rglob("*"):
            if path.is_file():
                found = leaked(path.read_bytes())
                assert not found, f"{found} in {path}"
        assert not leaked(said), leaked(said)
        assert b"[REDACTED:" in said


def test_no_secret_waits_in_the_spool():
    """T54: checked while the frames are in the spool, before they are in the database."""
    with Product.running() as product:
        assert product.export(logs("nothing"), "logs")[0] == 200
        servers = product.pids("postgres")
        for pid in servers:
            os.kill(pid, signal.SIGSTOP)
        try:
            for secret in SECRETS:
                assert product.export(logs(secret), "logs")[0] == 200
                assert product.export(spans(secret), "traces")[0] == 200
            files = (product.data_dir / "spool" / "receiver-0").iterdir()
            waiting = b"".join(path.read_bytes() for path in files if path.is_file())
        finally:
            for pid in servers:
                os.kill(pid, signal.SIGCONT)

    assert waiting.count(b"[REDACTED:") >= 2 * len(SECRETS)
    assert leaked(waiting) == []


def leaked(data: bytes) -> list[str]:
    """Cores contained in these bytes, plain, in base64 or hex, or deflated."""
    cores = []
    for core in SECRETS.values():
        plain = core.encode()
        inner = base64.b64encode(plain + b"  ")[:-4]
        if plain in data or plain.hex().encode() in data or (len(inner) > 9 and inner in data):
            cores.append(core)
    return cores


def test_the_search_finds_a_secret():
    assert leaked(b"x corehunter y") == ["corehunter"]
    assert leaked(b"c0reGithubToken".hex().encode()) == ["c0reGithubToken"]
    assert not leaked(zlib.compress(b"nothing"))
