"""The mapping end to end: sent as OTLP/JSON, read back through the API.

One row a rule of docs/mapping.md. The unit tests of the mapping have the odd cases; here each rule
is shown to reach the API by way of the spool, PostgreSQL and the join with its stream.
"""

import json
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.product import Product
from tests.support.telemetry import any_json, attributes_json

pytestmark = pytest.mark.slow

KEYS = {
    *("id", "kind", "level", "sourceModule", "action", "resourceId", "resourceType", "actorId"),
    *("ipAddress", "correlationId", "traceId", "spanId", "parentSpanId", "message", "createdAt"),
    *("receivedAt", "durationNs", "metadata"),
}
METADATA_KEYS = {
    *("attributes", "resource", "scope", "body", "span", "exception", "otel", "redaction"),
}
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
NAMELESS = {"service.name": "unknown_service:python"}


@dataclass
class Case:
    """One record, and the fields that the API must return."""

    expected: dict[str, Any]
    attributes: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    resource: dict[str, Any] = field(default_factory=lambda: {"service.name": "shop"})
    scope: dict[str, Any] = field(default_factory=dict)
    is_span: bool = False


def body(value: Any) -> dict[str, Any]:
    """The field with this body."""
    return {"body": any_json(value)}


def without_severity(**fields: Any) -> dict[str, Any]:
    """Fields of a record without a severity number."""
    return {"severityNumber": 0, **fields}


def span(expected: dict[str, Any], attributes: dict[str, Any] | None = None, **fields: Any) -> Case:
    """A span of 5 ms."""
    return Case(expected, attributes or {}, {"name": "pay", "kind": 2, **fields}, is_span=True)


CASES: dict[str, Case] = {
    "module: attribute": Case({"sourceModule": "billing"}, {"source.module": "billing"}),
    "module: service": Case({"sourceModule": "shop"}),
    "module: scope": Case(
        {"sourceModule": "till.log"}, resource=NAMELESS, scope={"name": "till.log"}
    ),
    "module: code": Case(
        {"sourceModule": "com.shop.Till", "action": "pay"},
        {"code.function.name": "com.shop.Till.pay"},
        resource=NAMELESS,
    ),
    "module: nobody": Case({"sourceModule": "unknown_service"}, resource=NAMELESS),
    "action: attribute": Case(
        {"action": "own"}, {"action": "own", "event.name": "old"}, {"eventName": "event"}
    ),
    "action: event": Case({"action": "event"}, {"event.name": "old"}, {"eventName": "event"}),
    "action: event.name": Case({"action": "old"}, {"event.name": "old", "audit.action": "a"}),
    "action: audit": Case({"action": "login"}, {"audit.action": "login", "event.action": "ecs"}),
    "action: ECS": Case({"action": "Mixed.Case"}, {"event.action": "Mixed.Case"}),
    "action: route": Case(
        {"action": "GET /users/:id"}, {"http.request.method": "GET", "http.route": "/users/:id"}
    ),
    "action: exception": Case({"action": "exception"}, {"exception.type": "E"}),
    "action: nothing": Case({"action": "log"}),
    "resource": Case(
        {"resourceType": "order", "resourceId": "17"}, {"resource.type": "order", "resource.id": 17}
    ),
    "resource: audit": Case(
        {"resourceType": "safe", "resourceId": "s-1"},
        {"audit.target.type": "safe", "audit.target.id": "s-1"},
    ),
    "resource: SigNoz": Case(
        {"resourceType": "dashboard", "resourceId": "d-1"},
        {"signoz.audit.resource.kind": "dashboard", "signoz.audit.resource.id": "d-1"},
    ),
    "resource: OpenTelemetry's is another": Case(
        {"resourceType": None, "resourceId": None},
        resource={"service.name": "shop", "resource.type": "x", "resource.id": "y", "host.id": "h"},
    ),
    "actor: audit": Case({"actorId": "a"}, {"audit.actor.id": "a", "user.id": "u"}),
    "actor: user": Case({"actorId": "u"}, {"user.id": "u", "enduser.id": "e"}),
    "actor: end user": Case({"actorId": "e"}, {"enduser.id": "e", "enduser.pseudo.id": "p"}),
    "actor: pseudonym": Case({"actorId": "p"}, {"enduser.pseudo.id": "p", "user.hash": "h"}),
    "actor: name": Case({"actorId": "n"}, {"user.name": "n", "user.id": "anonymous"}),
    "actor: nobody": Case({"actorId": None}, {"user.id": "anonymous"}),
    "actor: resource": Case(
        {"actorId": "device-7"}, resource={"service.name": "shop", "user.id": "device-7"}
    ),
    "address: audit": Case(
        {"ipAddress": "203.0.113.1"}, {"audit.source.id": "203.0.113.1", "client.address": "::1"}
    ),
    "address: port and zone": Case(
        {"ipAddress": "2001:db8::1"}, {"client.address": "[2001:db8::1%eth0]:443"}
    ),
    "address: IPv4 in IPv6": Case(
        {"ipAddress": "203.0.113.9"}, {"client.address": "::ffff:203.0.113.9"}
    ),
    "address: a name decides": Case(
        {"ipAddress": None}, {"client.address": "shop.example", "network.peer.address": "10.0.0.1"}
    ),
    "address: peer": Case({"ipAddress": "10.0.0.5"}, {"network.peer.address": "10.0.0.5"}),
    "address: never ours": Case({"ipAddress": None}),
    "correlation": Case({"correlationId": "c"}, {"correlation.id": "c", "request.id": "r"}),
    "correlation: conversation": Case(
        {"correlationId": "m"}, {"messaging.message.conversation_id": "m", "request.id": "r"}
    ),
    "correlation: header": Case(
        {"correlationId": "first"}, {"http.request.header.x-request-id": ["first", "second"]}
    ),
    "correlation: no session": Case({"correlationId": None}, {"session.id": "s"}),
    "ids: fields": Case(
        {"traceId": TRACE, "spanId": SPAN},
        {"trace_id": "ff" * 16},
        {"traceId": TRACE.upper(), "spanId": SPAN},
    ),
    "ids: attributes": Case(
        {"traceId": TRACE, "spanId": SPAN}, {"trace_id": TRACE.upper(), "span_id": SPAN}
    ),
    "ids: body": Case(
        {"traceId": TRACE, "spanId": SPAN}, fields=body({"trace_id": TRACE, "span_id": SPAN})
    ),
    "ids: a span alone": Case({"traceId": None, "spanId": None}, {"span_id": SPAN}),
    "level: number": Case({"level": "ERROR"}, fields={"severityNumber": 18, "severityText": "info"}),
    "level: text": Case({"level": "WARN"}, fields=without_severity(severityText="Warning")),
    "level: body": Case({"level": "ERROR"}, fields=without_severity(**body({"level": "err", "msg": "x"}))),
    "level: exception": Case({"level": "ERROR"}, {"exception.type": "E"}, without_severity()),
    "level: audit": Case({"level": "WARN"}, {"audit.outcome": "failure"}, without_severity()),
    "level: no guess": Case({"level": "INFO"}, fields=without_severity(**body("ERROR: broken"))),
    "message: map": Case({"message": "said"}, fields=body({"message": "said", "n": 1})),
    "message: exception": Case(
        {"message": "ValueError: bad"},
        {"exception.type": "ValueError", "exception.message": "bad"},
        {"body": {}},
    ),
    "message: JSON": Case(
        {"message": '{"b": 1, "aa": [true]}'}, fields=body({"aa": [True], "b": 1})
    ),
    "message: double": Case({"message": "637.704"}, fields=body(637.704)),
    "time": Case(
        {"createdAt": "2026-09-21T14:13:20.123456789Z"},
        fields={"timeUnixNano": "1790000000123456789"},
    ),
    "span": span(
        {
            "kind": "span", "action": "GET /users/{id}", "level": "INFO", "parentSpanId": SPAN,
            "message": "GET /users/42 OK 5.0 ms", "durationNs": 5_000_000,
        },
        name="GET /users/42",
        status={"code": 1},
        parentSpanId=SPAN,
    ),
    "span: error": span({"level": "ERROR"}, status={"code": 2}),
    "span: server": span({"ipAddress": "1.2.3.4"}, {"client.address": "1.2.3.4"}),
    "span: client": span({"ipAddress": None}, {"client.address": "1.2.3.4"}, kind=3),
    "span: subject": span(
        {"actorId": "u", "correlationId": "c", "resourceType": "o", "sourceModule": "billing"},
        {"user.id": "u", "correlation.id": "c", "resource.type": "o", "source.module": "billing"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def api_records() -> dict[str, dict[str, Any]]:
    """Every case's record as returned by the API."""
    with Product.running() as product:
        for name, case in CASES.items():
            signal, document = _export(name, case)
            body = json.dumps(document).encode()
            assert product.export(body, signal, "application/json")[0] == 200
        query = "/api/v1/logs?start=2026-01-01T00:00:00Z&limit=1000"
        found = product.wait(lambda: _whole(product.get(query)["data"]), 60)
        return {record["metadata"]["attributes"]["case"]: record for record in found}


def _whole(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return found if len(found) == len(CASES) else []


def _export(name: str, case: Case) -> tuple[str, dict[str, Any]]:
    now_ns = time.time_ns()
    record = {"attributes": attributes_json({**case.attributes, "case": name})}
    if case.is_span:
        signal, resources, scopes, rows = "traces", "resourceSpans", "scopeSpans", "spans"
        times = {"startTimeUnixNano": str(now_ns), "endTimeUnixNano": str(now_ns + 5_000_000)}
        record |= {"traceId": TRACE, "spanId": f"{now_ns:016x}", **times, **case.fields}
    else:
        signal, resources, scopes, rows = "logs", "resourceLogs", "scopeLogs", "logRecords"
        record |= {"timeUnixNano": str(now_ns), "severityNumber": 9, **body("m"), **case.fields}
    group = {"scope": case.scope, rows: [record]}
    resource = {"attributes": attributes_json(case.resource)}
    return signal, {resources: [{"resource": resource, scopes: [group]}]}


@pytest.mark.parametrize("name", CASES)
def test_each_rule_of_the_mapping_reaches_the_api(api_records, name):
    """The source of a column is also kept among the attributes, as sent."""
    case, record = CASES[name], api_records[name]

    assert {key: record[key] for key in case.expected} == case.expected
    assert set(record) == KEYS
    assert set(record["metadata"]) >= METADATA_KEYS
    assert record["metadata"]["attributes"] == {**case.attributes, "case": name}
    assert record["metadata"]["resource"] == case.resource
