"""The source attributes of each column: the tables of docs/mapping.md, row by row."""

import pytest

from tests.support.telemetry import SPAN_ID, TRACE_ID, log, logs_json, make_codec, one_log, stored

ACTORS = [
    ({"audit.actor.id": "a", "user.id": "u"}, "a"),
    ({"user.id": "u", "enduser.id": "e"}, "u"),
    ({"enduser.id": "e", "enduser.pseudo.id": "p"}, "e"),
    ({"enduser.pseudo.id": "p", "user.hash": "h"}, "p"),
    ({"user.hash": "h", "user.name": "n"}, "h"),
    ({"user.name": "n"}, "n"),
    ({"user.id": 42}, "42"),
    ({"user.id": "anonymous"}, None),
    ({"user.id": "Unknown", "user.name": "n"}, "n"),
    ({"audit.actor.id": "anonymous"}, "anonymous"),  # an audit record states it
    ({"user.id": ""}, None),
    ({"user.id": True}, None),
    ({"user.id": {"a": 1}}, None),
    ({}, None),
]


@pytest.mark.parametrize(("attributes", "expected"), ACTORS, ids=str)
def test_actor_is_the_first_of_the_actor_attributes(attributes, expected):
    """actorId: audit, user, enduser, pseudonym, hash, name; anonymous is NULL."""
    assert one_log(attributes).actor_id == expected


def test_a_record_s_own_actor_comes_before_its_resource_s():
    """Attributes of record, scope and resource are never merged."""
    record = one_log({"user.name": "own"}, resource={"user.id": "of the resource"})

    assert record.actor_id == "own"


def test_scope_comes_before_resource():
    """Values missing in the record come from the scope, then from the resource."""
    scope = {"attributes": [{"key": "user.id", "value": {"stringValue": "of the scope"}}]}

    record = one_log(resource={"user.id": "of the resource", "correlation.id": "c-1"}, scope=scope)

    assert (record.actor_id, record.correlation_id) == ("of the scope", "c-1")


MODULES = [
    ({"source.module": "m"}, {"service.name": "s"}, "scope", "m"),
    ({"service.name": "own"}, {"service.name": "s"}, "scope", "own"),
    ({}, {"service.name": "s"}, "scope", "s"),
    ({}, {"source.module": "m", "service.name": "s"}, "scope", "m"),
    ({}, {"service.name": "unknown_service:java"}, "com.shop.cart", "com.shop.cart"),
    ({"code.function.name": "shop.Cart.add"}, {"service.name": "unknown_service"}, "", "shop.Cart"),
    ({"code.namespace": "shop.Cart"}, {}, "", "shop.Cart"),
    ({"code.function.name": "add"}, {}, "", "unknown_service"),
    ({"code.function.name": "shop.Cart.add"}, {"service.name": "s"}, "", "s"),
    ({"code.function.name": "shop.Cart.add"}, {}, "scope", "scope"),
    ({"service.name": "unknown_service"}, {}, "", "unknown_service"),
    ({"source.module": "", "code.function.name": "a.b"}, {"service.name": "s"}, "", "s"),
    ({}, {}, "", "unknown_service"),
]


@pytest.mark.parametrize(("attributes", "resource", "scope", "expected"), MODULES, ids=str)
def test_source_module_is_service_scope_or_code(attributes, resource, scope, expected):
    """sourceModule: configured attribute, service, scope, namespace of the code."""
    record = one_log(attributes, resource=resource, scope={"name": scope})

    assert record.source_module == expected


@pytest.mark.parametrize(
    ("service", "expected"), [("monolith", "com.shop.cart"), ("other", "other")]
)
def test_modular_monoliths_take_the_scope_first(service, expected):
    """mapping.scope_first names the services whose scopes are the modules."""
    codec = make_codec(scope_first=["monolith"])

    record = one_log(
        resource={"service.name": service}, scope={"name": "com.shop.cart"}, codec=codec
    )

    assert record.source_module == expected


def test_the_attributes_of_module_and_action_are_settings():
    """mapping.source_module_attribute and mapping.action_attribute."""
    codec = make_codec(source_module_attribute="modul", action_attribute="tat")

    record = one_log({"modul": "m", "tat": "t", "action": "a"}, codec=codec)

    assert (record.source_module, record.action) == ("m", "t")


ACTIONS = [
    ({"action": "own", "event.name": "e"}, "ev", "own"),
    ({"event.name": "e"}, "ev", "ev"),
    ({"event.name": "e", "audit.action": "a"}, "", "e"),
    ({"logrecord.event.name": "l", "audit.action": "a"}, "", "l"),
    ({"audit.action": "a", "event.action": "ecs"}, "", "a"),
    ({"event.action": "ecs", "http.request.method": "GET", "http.route": "/x"}, "", "ecs"),
    ({"http.request.method": "GET", "http.route": "/x", "exception.type": "E"}, "", "GET /x"),
    ({"http.method": "GET", "http.route": "/x"}, "", "GET /x"),
    ({"http.request.method": "GET", "code.function.name": "a.b"}, "", "b"),
    ({"exception.type": "E", "code.function.name": "a.b"}, "", "exception"),
    ({"code.function.name": "com.shop.Cart.merge"}, "", "merge"),
    ({"code.function": "merge"}, "", "merge"),
    ({"http.request.method": 1, "http.route": "/x"}, "", "log"),
    ({"action": ""}, "", "log"),
    ({"Action": "Case.Kept"}, "", "log"),
    ({"action": "Case.Kept"}, "", "Case.Kept"),
    ({}, "", "log"),
]


@pytest.mark.parametrize(("attributes", "event_name", "expected"), ACTIONS, ids=str)
def test_action_is_the_event_the_request_or_the_function(attributes, event_name, expected):
    """action: configured, event name, deprecated event names, HTTP, exception, function, log."""
    assert one_log(attributes, eventName=event_name).action == expected


RESOURCES = [
    ({"resource.type": "order", "resource.id": "o-17"}, ("order", "o-17")),
    ({"resource.id": "o-17"}, (None, "o-17")),
    ({"audit.target.type": "account", "audit.target.id": "7"}, ("account", "7")),
    (
        {"signoz.audit.resource.kind": "board", "signoz.audit.resource.id": "b"},
        ("board", "b"),
    ),
    ({"service.name": "s", "host.name": "h", "file.path": "/x"}, (None, None)),
    ({}, (None, None)),
]


@pytest.mark.parametrize(("attributes", "expected"), RESOURCES, ids=str)
def test_resource_is_the_object_acted_on_never_otel_s_resource(attributes, expected):
    """Both columns come from the record's own attributes."""
    record = one_log(attributes, resource={"resource.type": "no", "service.name": "s"})

    assert (record.resource_type, record.resource_id) == expected


OPTIONAL = [
    ("file.path", {"file.path": "/x"}, ("file", "/x")),
    ("db", {"db.namespace": "shop", "db.collection.name": "o"}, ("db.collection", "shop/o")),
    ("db", {"db.namespace": "shop"}, (None, None)),
    (
        "messaging.destination.name",
        {"messaging.destination.name": "q"},
        ("messaging.destination", "q"),
    ),
    ("k8s", {"k8s.namespace.name": "n", "k8s.pod.name": "p"}, ("k8s.pod", "n/p")),
    ("k8s", {"k8s.node.name": "node"}, ("k8s.node", "node")),
    ("k8s", {"k8s.node.name": False}, (None, None)),
]


@pytest.mark.parametrize(("pair", "attributes", "expected"), OPTIONAL, ids=str)
def test_additional_pairs_are_disabled_by_default(pair, attributes, expected):
    """mapping.resource_pairs."""
    on = one_log(attributes, codec=make_codec(resource_pairs=[pair]))
    off = one_log(attributes)

    assert (on.resource_type, on.resource_id) == expected
    assert (off.resource_type, off.resource_id) == (None, None)


ADDRESSES = [
    ({"client.address": "203.0.113.9"}, "cb007109"),
    ({"client.address": "203.0.113.9:443"}, "cb007109"),
    ({"client.address": "::ffff:203.0.113.9"}, "cb007109"),
    ({"client.address": "[2001:db8::1]:443"}, "20010db8000000000000000000000001"),
    ({"client.address": "fe80::1%eth0"}, "fe800000000000000000000000000001"),
    ({"client.address": " 10.0.0.1 "}, "0a000001"),
    ({"client.address": "shop.example", "network.peer.address": "10.0.0.1"}, None),
    ({"client.address": "/var/run/x.sock"}, None),
    ({"client.address": "1" * 200}, None),
    ({"client.address": ""}, None),
    ({"client.address": 7}, None),
    ({"audit.source.id": "cron", "client.address": "10.0.0.1"}, "0a000001"),
    ({"audit.source.id": "10.0.0.2", "client.address": "10.0.0.1"}, "0a000002"),
    ({"source.address": "10.0.0.3", "http.client_ip": "10.0.0.4"}, "0a000003"),
    ({"http.client_ip": "10.0.0.4", "net.sock.peer.addr": "10.0.0.5"}, "0a000004"),
    ({"net.sock.peer.addr": "10.0.0.5", "net.peer.ip": "10.0.0.6"}, "0a000005"),
    ({"net.peer.ip": "10.0.0.6", "network.peer.address": "10.0.0.7"}, "0a000006"),
    ({"network.peer.address": "10.0.0.7"}, "0a000007"),
    ({"server.address": "10.0.0.8"}, None),
]


@pytest.mark.parametrize(("attributes", "expected"), ADDRESSES, ids=str)
def test_address_is_the_client_s_without_port_and_zone(attributes, expected):
    """ipAddress: an invalid address is NULL, and stays in the attributes."""
    address = one_log(attributes).ip_address

    assert (address and address.hex()) == expected


CORRELATIONS = [
    ({"correlation.id": "1", "correlation_id": "2"}, "1"),
    ({"correlation_id": "2", "correlationId": "3"}, "2"),
    ({"correlationId": "3", "messaging.message.conversation_id": "4"}, "3"),
    ({"messaging.message.conversation_id": "4", "request.id": "5"}, "4"),
    ({"request.id": "5", "http.request.header.x-correlation-id": ["6"]}, "5"),
    ({"http.request.header.x-correlation-id": ["6", "7"]}, "6"),
    ({"http.request.header.x-request-id": ["8"]}, "8"),
    ({"http.request.header.x-request-id": []}, None),
    ({"request.id": 12}, "12"),
    ({"session.id": "s"}, None),
]


@pytest.mark.parametrize(("attributes", "expected"), CORRELATIONS, ids=str)
def test_correlation_is_the_first_correlation_id(attributes, expected):
    """correlationId: of a captured header the first value."""
    assert one_log(attributes).correlation_id == expected


TRACES = [
    ({"traceId": TRACE_ID, "spanId": SPAN_ID}, {}, None, (TRACE_ID, SPAN_ID)),
    ({"traceId": TRACE_ID.upper(), "spanId": SPAN_ID}, {}, None, (TRACE_ID, SPAN_ID)),
    ({"traceId": TRACE_ID}, {}, None, (TRACE_ID, None)),
    ({"traceId": "0" * 32, "spanId": "0" * 16}, {}, None, (None, None)),
    ({"traceId": "abcd", "spanId": SPAN_ID}, {}, None, (None, None)),
    ({}, {"trace_id": TRACE_ID, "span_id": SPAN_ID}, None, (TRACE_ID, SPAN_ID)),
    ({}, {}, {"trace_id": TRACE_ID, "span_id": SPAN_ID}, (TRACE_ID, SPAN_ID)),
    ({}, {"trace_id": "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"}, None, (TRACE_ID, None)),
    ({}, {"trace_id": "nonsense", "span_id": 5}, {"trace_id": 5}, (None, None)),
    ({"spanId": SPAN_ID}, {}, None, (None, None)),
]


@pytest.mark.parametrize(("fields", "attributes", "body", "expected"), TRACES, ids=str)
def test_trace_and_span_are_fields_or_attributes(fields, attributes, body, expected):
    """traceId, spanId: 16 and 8 bytes, not all zeros; no span id without a trace id."""
    record = one_log(attributes, **fields, **({} if body is None else {"body": body}))

    assert tuple(raw and raw.hex() for raw in (record.trace_id, record.span_id)) == expected
    assert record.parent_span_id is None


def test_attributes_of_one_record_do_not_become_those_of_the_next():
    """Shapes cache positions by keys, not values."""
    batch = stored(logs_json(log({"user.id": "a"}), log({"user.id": "b"}), log({"user.name": "c"})))

    assert [record.actor_id for record in batch.records] == ["a", "b", "c"]
