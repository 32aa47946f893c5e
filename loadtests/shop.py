"""Telemetry of a demo shop: several levels, traces, actors, secrets."""

import random

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

_LEVELS = ((9, "INFO", 60), (5, "DEBUG", 25), (13, "WARN", 10), (17, "ERROR", 4), (21, "FATAL", 1))
_MESSAGES = (
    "GET /api/v2/products/{sku} completed with status 200 in {ms} ms for user u-{user}",
    "order {order} placed by user u-{user}, 3 items, total 129.90 EUR",
    "payment authorized for order {order} with card 4111111111111111 in {ms} ms",
    "login failed for anna.{user}@example.com: wrong password, attempt 3 of 5",
    "connection pool exhausted for database orders-rw: timeout after {ms} ms",
    "cannot connect to postgresql://orders:hunter2secret@db-{sku}.example.net:5432/orders",
)
_ROUTES = ("/api/v2/products/:id", "/api/v2/cart/items", "/api/v2/orders/:id", "/api/v2/checkout")


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _number(key: str, value: int) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(int_value=value))


def shop_request(run: str, first: int, count: int, now_ns: int) -> bytes:
    """Build an ExportLogsServiceRequest of `count` records numbered from `first` (attribute load.n)."""
    chance = random.Random(first)
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend([_text("service.name", run), _text("host.name", "node-01")])
    scope = group.scope_logs.add()
    scope.scope.name = "com.shop.checkout"
    numbers, names, weights = zip(*_LEVELS, strict=True)
    for n in range(first, first + count):
        level = chance.choices(range(len(numbers)), weights)[0]
        user, order = chance.randrange(10**6, 10**7), chance.randrange(10**7, 10**8)
        message = chance.choice(_MESSAGES).format(
            sku=f"SKU-{chance.randrange(10**5):05d}",
            ms=chance.randrange(5000),
            user=user,
            order=order,
        )
        scope.log_records.add(
            time_unix_nano=now_ns + n - first,
            observed_time_unix_nano=now_ns,
            severity_number=numbers[level],
            severity_text=names[level],
            body=AnyValue(string_value=message),
            trace_id=chance.randbytes(16),
            span_id=chance.randbytes(8),
            attributes=[
                _number("load.n", n),
                _text("http.request.method", chance.choice(("GET", "GET", "POST"))),
                _text("http.route", chance.choice(_ROUTES)),
                _number("http.response.status_code", chance.choice((200, 200, 201, 500))),
                _text("user.id", f"u-{user}"),
                _text("order.id", str(order)),
            ],
        )
    return request.SerializeToString()


SPANS_OF_A_TRACE = 8


def shop_spans(first: int, traces: int, start_ns: int, span_ns: int) -> bytes:
    """Build an ExportTraceServiceRequest of whole traces, spread over a time: a root and its calls."""
    chance = random.Random(first)
    request = ExportTraceServiceRequest()
    services = ("gateway", "cart", "orders", "payments")
    scopes = {}
    for service in services:
        group = request.resource_spans.add()
        group.resource.attributes.append(_text("service.name", service))
        scopes[service] = group.scope_spans.add()
    for _ in range(traces):
        trace, begin_ns = chance.randbytes(16), start_ns + chance.randrange(span_ns)
        parents: list[bytes] = []
        for n in range(SPANS_OF_A_TRACE):
            own = chance.randbytes(8)
            at_ns = begin_ns + n * 1_000_000
            scopes[services[min(n, 3)]].spans.add(
                trace_id=trace,
                span_id=own,
                parent_span_id=chance.choice(parents) if parents else b"",
                name=chance.choice(_ROUTES),
                kind=Span.SPAN_KIND_SERVER,
                start_time_unix_nano=at_ns,
                end_time_unix_nano=at_ns + chance.randrange(10**6, 10**9),
                status=Status(code=Status.STATUS_CODE_ERROR if chance.random() < 0.02 else 0),
                attributes=[_text("http.request.method", "GET")],
            )
            parents.append(own)
    return request.SerializeToString()
