"""A shop that sends logs and traces through the OpenTelemetry SDK, with every type and edge case.

The exporter is the one of OTEL_EXPORTER_OTLP_PROTOCOL; all else is up to the standard variables.
"""

import logging
import math
import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from account import LogAccount, SpanAccount
from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

MANY = 1200
"""More than two batches of the SDK (512)."""

SPANS: dict[str, dict[str, Any]] = {
    "POST /orders/12345": {
        "action": "POST /orders/{id}",
        "actorId": "u-42",
        "ipAddress": "203.0.113.9",
        "correlationId": "c-1",
        "resourceType": "order",
        "resourceId": "o-17",
    },
}


def exporters() -> tuple[Any, Any]:
    """Exporters of logs and spans."""
    if os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/json":
        from opentelemetry.exporter.otlp.json.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
    else:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    return OTLPLogExporter(), OTLPSpanExporter()


def main() -> None:
    """Send everything and shut down cleanly."""
    logs_exporter, spans_exporter = exporters()
    account = LogAccount()
    logs = LoggerProvider()
    logs.add_log_record_processor(account)
    logs.add_log_record_processor(BatchLogRecordProcessor(logs_exporter))
    spans = TracerProvider()
    spans.add_span_processor(SpanAccount(SPANS))
    spans.add_span_processor(BatchSpanProcessor(spans_exporter))

    logger = logs.get_logger(
        "shop.orders", "1.4.0", "https://opentelemetry.io/schemas/1.37.0", {"team": "orders"}
    )
    emit = _emitter(account, logger)
    severities(emit)
    bodies(emit)
    attributes(emit)
    subjects(emit)
    secrets(emit)
    many(emit)
    through_logging(account, logs)
    orders(emit, spans.get_tracer("shop.orders", "1.4.0", attributes={"team": "orders"}))
    spans.shutdown()
    logs.shutdown()


def _emitter(account: LogAccount, logger: Any) -> Callable[..., None]:
    def emit(body: Any, fields: dict[str, Any] | None = None, **given: Any) -> None:
        account.next = fields or {}
        given.setdefault("severity_number", SeverityNumber.INFO)
        given.setdefault("timestamp", time.time_ns())
        logger.emit(body=body, **given)

    return emit


def severities(emit: Callable[..., None]) -> None:
    """All numbers, and texts without a number."""
    for number in SeverityNumber:
        if number.value:
            emit(f"severity {number.value}", severity_number=number, severity_text=number.name)
    for text, level in (("warning", "WARN"), ("Fatal", "CRITICAL"), ("notice", "INFO")):
        emit(
            f"only the text {text}",
            {"level": level, "metadata": {"level_source": "severity_text"}},
            severity_number=None,
            severity_text=text,
        )
    emit("neither", {"metadata": {"level_source": "default"}}, severity_number=None)
    # Without a time of its own the record has that of its observation.
    emit("observed", {"metadata": {"time_quality": "observed"}}, timestamp=None)


def bodies(emit: Callable[..., None]) -> None:
    """A body of each type."""
    emit(
        'two lines\nand \u00e4\u4e16\U0001f680\u2028 \u202eright to left\u202c, "quotes", \\ and \t'
    )
    emit(True, {"message": "true"})
    emit(-42, {"message": "-42"})
    emit(637.704, {"message": "637.704"})
    emit(b"\x00\x01\xff", {"message": "AAH/"})
    emit(["a", 1, None], {"message": '["a", 1, null]'})
    emit({"message": "of a map", "n": 7, "deep": {"er": [1.5, False]}}, {"message": "of a map"})


def attributes(emit: Callable[..., None]) -> None:
    """An attribute of each type, and the limits of their ranges."""
    emit(
        "every type",
        attributes={
            "text": "plain",
            "empty": "",
            "yes": True,
            "no": False,
            "zero": 0,
            "int64.max": 2**63 - 1,
            "int64.min": -(2**63),
            "beyond.js": 2**53 + 1,
            "half": 0.5,
            "tiny": 5e-324,
            "huge": 1.5e300,
            "not.a.number": math.nan,
            "infinite": -math.inf,
            "bytes": b"\xde\xad",
            "texts": ["a", "b"],
            "numbers": [1, 2, 3],
            "nested": {"map": {"of": ["lists", {"and": 1}]}},
            "\u043a\u043b\u044e\u0447 \u00e9": "\u0437\u043d\u0430\u0447\u0435\u043d\u0438\u0435",
        },
    )


def subjects(emit: Callable[..., None]) -> None:
    """Actor, action, resource and address."""
    emit(
        "order placed",
        {
            "resourceType": "order",
            "resourceId": "o-17",
            "actorId": "u-42",
            "ipAddress": "2001:db8::7",
            "correlationId": "8a6d4b0e-0000-4000-8000-000000000001",
        },
        event_name="order.placed",
        attributes={
            "resource.type": "order",
            "resource.id": "o-17",
            "user.id": "u-42",
            "client.address": "2001:db8::7",
            "correlation.id": "8a6d4b0e-0000-4000-8000-000000000001",
        },
    )
    emit(
        None,
        {"message": "cart.emptied cart.id=7"},
        event_name="cart.emptied",
        attributes={"cart.id": 7},
    )
    emit(
        "routed",
        {"action": "GET /orders/{id}"},
        attributes={"http.request.method": "GET", "http.route": "/orders/{id}"},
    )


def secrets(emit: Callable[..., None]) -> None:
    """Secrets that must not be stored, neither fully nor in part."""
    emit(
        "connecting to postgres://shop:Sup3rS3cret@db.internal/orders",
        {
            "message": "connecting to postgres://shop:[REDACTED:uri_password]@db.internal/orders",
            "metadata": {
                "attributes": {"password": "[REDACTED:secret_field]", "kept": "yes"},
                "redaction": [
                    {"rule": "secret_field", "count": 1, "field": "attributes.password"},
                    {"rule": "uri_password", "count": 1, "field": "message"},
                ],
            },
        },
        attributes={"password": "Sup3rS3cret", "kept": "yes"},
    )


def many(emit: Callable[..., None]) -> None:
    """Enough for several requests."""
    for n in range(MANY):
        emit(f"record {n} of {MANY}", attributes={"n": n, "half": n / 2})


def through_logging(account: LogAccount, logs: LoggerProvider) -> None:
    """Through Python's own logging."""
    log = logging.getLogger("shop.cart")
    log.setLevel(logging.DEBUG)
    log.propagate = False
    handler = LoggingHandler(logger_provider=logs, log_code_attributes=True)
    log.addHandler(handler)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        account.next = {"action": "through_logging"}
        log.log(level, "level %s of %d", logging.getLevelName(level), level, extra={"cart.id": 7})
    try:
        refuse(ValueError("no such cart"))
    except ValueError:
        account.next = {"action": "exception"}
        log.exception("cart lost")
    log.removeHandler(handler)


def refuse(error: Exception) -> None:
    """Fail, with a stack trace."""
    raise error


def orders(emit: Callable[..., None], tracer: trace.Tracer) -> None:
    """A trace with a remote parent, links, events, a failure, and logs within."""
    caller = SpanContext(
        random.getrandbits(128) | 1,
        0x00F067AA0BA902B7,
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
        trace_state=TraceState([("vendor", "value"), ("other", "1")]),
    )
    remote = trace.set_span_in_context(trace.NonRecordingSpan(caller))
    with tracer.start_as_current_span(
        "POST /orders/12345",
        context=remote,
        kind=SpanKind.SERVER,
        attributes={
            "user.id": "u-42",
            "client.address": "203.0.113.9",
            "correlation.id": "c-1",
            "resource.type": "order",
            "resource.id": "o-17",
            "items": ["a", "b"],
            "total": 12.5,
        },
        links=[Link(SpanContext(0xA1, 0xB2, is_remote=False), {"why": "retried", "n": 2})],
    ) as server:
        server.add_event("cart.checked", {"items": 3, "ok": True})
        server.set_status(Status(StatusCode.OK))
        emit("inside the span", attributes={"user.id": "u-42"}, fields={"actorId": "u-42"})
        for kind in (SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER, SpanKind.INTERNAL):
            with tracer.start_as_current_span(f"{kind.name.lower()} call", kind=kind):
                time.sleep(0.002)
        try:
            with tracer.start_as_current_span("charge card"):
                refuse(ConnectionError("card terminal away"))
        except ConnectionError:
            emit("card not charged", severity_number=SeverityNumber.ERROR, severity_text="ERROR")
    with tracer.start_as_current_span("root of its own"):
        pass


if __name__ == "__main__":
    sys.exit(main())
