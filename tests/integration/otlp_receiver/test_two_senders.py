"""Isolation of senders with separate ingest keys (T2, T6, T10 to T12)."""

import json
import time

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.support.product import Product
from tests.support.senders import text
from tests.support.telemetry import attributes_json, log, logs_json, span, spans_json

pytestmark = pytest.mark.slow

JSON = "application/json"
KEYS = {
    "shop": ("--attribute", "service.name=shop"),
    "eve": (),
    "auditor": ("--right", "audit"),
}
SERVICES = 20_000


@pytest.fixture(scope="module")
def product():
    with Product.running(OPSLOG_OTLP__REQUIRE_KEY="true", OPSLOG_OTLP__RECEIVERS="1") as running:
        running.keys = {
            name: running.command("keys", "create", name, *terms).strip()
            for name, terms in KEYS.items()
        }
        running.wait(lambda: send(running, "shop", logs_json(log(body="first")))[0] == 200)
        yield running


def send(product, name, body, path="/v1/logs", kind=JSON):
    headers = {"Authorization": f"Bearer {product.keys[name]}", "Content-Type": kind}
    status, _, response = product.request(path, base=product.otlp_url, data=body, headers=headers)
    return status, response


def stored(product, message, count=1):
    query = (
        "SELECT source_module, ingest_key_id, kind::text FROM system_logs"
        f" WHERE message = '{message}'"
    )
    return product.wait(lambda: (rows := product.sql(query)) and len(rows) == count and rows)


def key_id(product, name):
    return product.sql(f"SELECT ingest_key_id FROM ingest_keys WHERE name = '{name}'")[0][0]


def test_a_sender_cannot_impersonate_another(product):
    """T2: the key's attributes override the sender's, and every row names its key."""
    assert (
        send(product, "shop", logs_json(log(body="as bank"), resource={"service.name": "bank"}))[0]
        == 200
    )
    assert (
        send(product, "eve", logs_json(log(body="as shop"), resource={"service.name": "shop"}))[0]
        == 200
    )

    (forced,), (claimed,) = stored(product, "as bank"), stored(product, "as shop")
    assert forced[:2] == ("shop", key_id(product, "shop"))
    assert claimed[:2] == ("shop", key_id(product, "eve"))
    assert forced[1] != claimed[1]


def test_no_attribute_of_a_record_overrides_a_keys_module(product):
    """T2: nor of a span or its exceptions; the sender's value remains in the attributes."""
    claims = {"service.name": "bank", "source.module": "bank", "code.namespace": "bank"}
    now = str(time.time_ns())
    event = {"name": "exception", "attributes": attributes_json({**claims, "exception.type": "E"})}
    spans = spans_json(
        span(claims, startTimeUnixNano=now, endTimeUnixNano=now, events=[event], name="claimed"),
    )

    body = logs_json(log(claims, body="claims"), resource=claims, scope={"name": "bank"})
    assert send(product, "shop", body)[0] == 200
    assert send(product, "shop", spans, "/v1/traces")[0] == 200

    query = (
        "SELECT kind::text, source_module FROM system_logs"
        ' WHERE metadata @> \'{"attributes": {"source.module": "bank"}}\' ORDER BY kind'
    )
    product.wait(lambda: len(product.sql(query)) == 3)
    assert product.sql(query) == [("l", "shop"), ("l", "shop"), ("s", "shop")]


def test_audit_records_need_a_key_with_that_permission(product):
    """T10: neither a path nor attributes make an audit record of an ordinary one."""
    attributes = {
        "audit.record.id": "r-1",
        "audit.action": "user.delete",
        "audit.outcome": "success",
        "audit.actor.id": "boss",
        "log.kind": "audit",
        "kind": "audit",
    }
    body = logs_json(log(attributes, body="forged", timeUnixNano=str(time.time_ns())))

    assert send(product, "eve", body, "/v1/audit")[0] == 403
    assert send(product, "eve", body)[0] == 200

    (row,) = stored(product, "forged")
    assert row[2] == "l"
    read = product.get("/api/v1/logs?kind=audit&q=forged", "SUPER_ADMIN")["data"]
    assert read == []
    assert send(product, "auditor", body, "/v1/audit")[0] == 200
    assert send(product, "auditor", body)[0] == 403  # and nothing but audit records with it


def test_a_sender_cannot_suppress_anothers_record(product):
    """T11: with the same `log.record.uid`, even the same bytes: both are stored."""
    at = str(time.time_ns())
    body = logs_json(log({"log.record.uid": "u-1"}, body="same", timeUnixNano=at))

    assert send(product, "eve", body)[0] == 200
    stored(product, "same")
    assert send(product, "auditor", body)[0] == 403
    assert send(product, "shop", body)[0] == 200

    rows = stored(product, "same", 2)
    assert {row[1] for row in rows} == {key_id(product, "eve"), key_id(product, "shop")}


def test_the_number_of_services_does_not_affect_the_metrics(product):
    """T12: label values come from closed sets, so scrapes stay small."""
    before = len(scrape(product))
    export = ExportLogsServiceRequest()
    for number in range(SERVICES):
        group = export.resource_logs.add()
        group.resource.attributes.append(text("service.name", f"cardinal-{number}"))
        record = group.scope_logs.add().log_records.add()
        record.body.string_value = "many"
        record.attributes.append(text("action", f"act-{number}"))

    assert send(product, "eve", export.SerializeToString(), kind="application/x-protobuf")[0] == 200
    product.wait(
        lambda: (
            product.sql("SELECT count(*) FROM system_logs WHERE message = 'many'")[0][0] == SERVICES
        ),
        60,
    )

    metrics = scrape(product)
    assert b"cardinal-" not in metrics
    assert b"act-" not in metrics
    assert len(metrics) < before + 20_000 < 1_000_000
    top = product.get("/api/v1/logs/facets?field=sourceModule&limit=5&start=-1h")
    assert len(json.dumps(top)) < 20_000


def scrape(product):
    headers = {"Authorization": f"Bearer {product.token('SUPER_ADMIN')}"}
    return product.request("/metrics", headers=headers)[2]
