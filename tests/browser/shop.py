"""Data of the browser tests: logs of a shop, a trace with special cases, hostile messages.

All times are in the last half hour, within the default range of the viewer.
"""

import time
from collections.abc import Iterator

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

LINES = 1500
"""Ordinary records: more than one page of the list."""
SECOND_NS = 10**9
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
BIG_NUMBER = 9_007_199_254_740_993
"""The first integer that a JavaScript number cannot represent."""
SECRET = "correct-horse-battery"
HOSTILE = (
    '<img src=x onerror="window.hacked=1"><script>window.hacked=2</script>'
    '<svg onload="window.hacked=3"> javascript:window.hacked=4 '
    "\x1b[31mred\x1b[0m \u202egnp.exe\u202c \x07\u200b\u2028 the end of it"
)
ONE_MEGABYTE = "long " + "x" * (1024 * 1024 - 64)

_SERVICES = ("storefront", "checkout", "inventory", "payment")
_SEVERITIES = (5, 9, 9, 9, 9, 9, 9, 13, 13, 17, 21)


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def number(key: str, value: int) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(int_value=value))


def export_of(service: str, records: list[LogRecord]) -> bytes:
    """An export of logs of one service on one host."""
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.extend(
        [text("service.name", service), text("host.name", "node-1")]
    )
    resource.scope_logs.add(log_records=records)
    return request.SerializeToString()


def log(message: str, at_ns: int, severity: int = 9, *more: KeyValue, **fields: bytes) -> LogRecord:
    """One record."""
    return LogRecord(
        time_unix_nano=at_ns,
        severity_number=severity,
        body=AnyValue(string_value=message),
        attributes=more,
        **fields,
    )


def bodies(now_ns: int) -> Iterator[tuple[str, bytes]]:
    """(signal, body) of everything."""
    for place, service in enumerate(_SERVICES):
        yield "logs", export_of(service, list(_ordinary(place, now_ns)))
    yield "logs", export_of("oddities", list(_odd(now_ns)))
    yield "traces", _trace(now_ns)
    yield "logs", export_of("payment", list(_trace_logs(now_ns)))


def _ordinary(place: int, now_ns: int) -> Iterator[LogRecord]:
    for n in range(place, LINES, len(_SERVICES)):
        yield log(
            f"order o-{n} took {n % 90} ms"
            if n % 3
            else f"retry {n} of the bank\\nconnection reset",
            now_ns - 1800 * SECOND_NS + n * SECOND_NS,
            _SEVERITIES[n % len(_SEVERITIES)],
            text("action", "order.place" if n % 2 else "stock.reserve"),
            text("user.id", f"u-{n % 7}"),
            text("resource.type", "order"),
            text("resource.id", f"o-{n % 50}"),
            text("correlation.id", f"c-{n % 100}"),
            number("shard", n % 4),
        )


def _odd(now_ns: int) -> Iterator[LogRecord]:
    at_ns = now_ns - 200 * SECOND_NS
    yield log(HOSTILE, at_ns, 17, text("<b>key</b>", "<i>value</i>"))
    yield log(ONE_MEGABYTE, at_ns + SECOND_NS, 13)
    yield log(
        f'{{"event":"cart.updated","password":"{SECRET}","items":[1,2,3]}}',
        at_ns + 2 * SECOND_NS,
        9,
        number("big.number", BIG_NUMBER),
        text("api_key", SECRET),
    )
    yield log(
        "needle in the hay",
        at_ns + 3 * SECOND_NS,
        17,
        text("exception.type", "CardRefusedError"),
        text("exception.message", "the bank said no"),
        text("exception.stacktrace", 'File "shop.py", line 120\n  raise CardRefusedError'),
    )


def _span(
    name: str, place: int, parent: int, start_ns: int, length_ms: int, *, error: str = ""
) -> Span:
    return Span(
        trace_id=bytes.fromhex(TRACE_ID),
        span_id=place.to_bytes(8),
        parent_span_id=parent.to_bytes(8) if parent else b"",
        name=name,
        start_time_unix_nano=start_ns,
        end_time_unix_nano=start_ns + length_ms * 10**6,
        status=Status(code=Status.STATUS_CODE_ERROR, message=error) if error else Status(),
    )


def _trace(now_ns: int) -> bytes:
    begin = now_ns - 600 * SECOND_NS
    after = lambda milliseconds: begin + milliseconds * 10**6  # noqa: E731
    request = ExportTraceServiceRequest()
    for service, spans in {
        "storefront": [_span("POST /orders", 1, 0, begin, 420, error="order failed")],
        "checkout": [_span("charge", 2, 1, after(20), 380, error="refused")],
        "inventory": [
            _span("reserve", 3, 2, after(30), 90),
            _span("SELECT stock", 4, 3, after(35), 70),
        ],
        "payment": [_span("POST /v1/charges", 5, 2, after(130), 260, error="card refused")],
        "mail": [_span("enqueue mail", 6, 0xDEAD, after(300), 40)],
    }.items():
        resource = request.resource_spans.add()
        resource.resource.attributes.append(text("service.name", service))
        resource.scope_spans.add(spans=spans)
    return request.SerializeToString()


def _trace_logs(now_ns: int) -> Iterator[LogRecord]:
    at_ns = now_ns - 600 * SECOND_NS + 380 * 10**6
    trace = {"trace_id": bytes.fromhex(TRACE_ID)}
    yield log("card refused by the bank", at_ns, 17, **trace, span_id=(5).to_bytes(8))
    yield log("token checked elsewhere", at_ns - 10**8, 9, **trace, span_id=(0xBEEF).to_bytes(8))


def fresh_lines(mark: str, count: int) -> bytes:
    """Records for the live tail, with old timestamps to keep them out of the other tests."""
    now_ns = time.time_ns() - 3 * 3600 * SECOND_NS
    return export_of("live", [log(f"{mark} {n}", now_ns + n * 1000) for n in range(count)])
