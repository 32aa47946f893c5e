"""A demo shop of three services that sends telemetry with the real OpenTelemetry SDK.

    storefront   takes orders, calls checkout
    checkout     charges, calls inventory; some cards are refused, with an exception
    inventory    reserves; sometimes slow, sometimes out of stock

Messages contain made-up secrets, to demonstrate redaction.
"""

import logging
import random
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

_EVERY_S = 0.1
_CARD_REFUSED = 0.12
_OUT_OF_STOCK = 0.1
_SLOW = 0.1
_GOODS = ("teapot", "lamp", "kettle", "chair", "clock")


class CardRefusedError(Exception):
    """The bank refused the card."""


class Service:
    """One service with its own resource, tracer and logger, as if it were a separate process."""

    def __init__(self, name: str, endpoint: str, headers: dict[str, str]) -> None:
        resource = Resource.create(
            {"service.name": name, "service.namespace": "demo-shop", "service.version": "1.4.2"}
        )
        self._logs = LoggerProvider(resource=resource, shutdown_on_exit=False)
        self._logs.add_log_record_processor(
            BatchLogRecordProcessor(OTLPLogExporter(f"{endpoint}/v1/logs", headers=headers))
        )
        self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._traces.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces", headers=headers))
        )
        self.tracer = self._traces.get_tracer(name, "1.4.2")
        self._logger = self._logs.get_logger(name, "1.4.2")
        self.records = 0

    def log(
        self,
        severity: SeverityNumber,
        message: str,
        attributes: Mapping[str, str | int] | None = None,
        error: Exception | None = None,
    ) -> None:
        """Emit a log record in the current span; an error adds type, message and stack trace."""
        thrown = _thrown(error) if error else {}
        self._logger.emit(
            LogRecord(
                timestamp=time.time_ns(),
                severity_number=severity,
                severity_text=severity.name,
                body=message,
                attributes={**(attributes or {}), **thrown},
            )
        )
        self.records += 1

    def close(self) -> None:
        """Send what is pending."""
        self._logs.shutdown()
        self._traces.shutdown()


@dataclass(slots=True)
class Sales:
    """The result of a run."""

    orders: int = 0
    records: int = 0
    failed_traces: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Warnings of the exporters."""


class Shop:
    """The three services and their random generator."""

    def __init__(self, endpoint: str, headers: dict[str, str], seed: int) -> None:
        self.storefront, self.checkout, self.inventory = self.services = [
            Service(name, endpoint, headers) for name in ("storefront", "checkout", "inventory")
        ]
        self._dice = random.Random(seed)  # noqa: S311 - a demonstration

    def order(self, number: int, sales: Sales) -> None:
        """Process one order through all three services."""
        goods, buyer = self._dice.choice(_GOODS), f"u-{self._dice.randint(1, 40)}"
        name = {"order.id": f"o-{number}", "user.id": buyer}
        front = self.storefront
        with front.tracer.start_as_current_span("POST /orders", kind=SpanKind.SERVER) as span:
            span.set_attributes({"http.request.method": "POST", "url.path": "/orders", **name})
            front.log(
                SeverityNumber.INFO,
                f"order o-{number} for {goods} from {buyer}@shop.example",
                {"action": "order.place", "client.address": "203.0.113.9", **name},
            )
            try:
                self._charge(number, goods, name)
            except CardRefusedError as error:
                span.set_status(Status(StatusCode.ERROR, "order failed"))
                front.log(SeverityNumber.WARN, f"order o-{number} failed: {error}", dict(name))
                sales.failed_traces.append(f"{span.get_span_context().trace_id:032x}")
        sales.orders += 1

    def _charge(self, number: int, goods: str, name: dict[str, str]) -> None:
        checkout = self.checkout
        with checkout.tracer.start_as_current_span("charge", attributes=name) as span:
            checkout.log(
                SeverityNumber.DEBUG,
                "calling the bank with card 4111 1111 1111 1111, password=correct-horse",
                {"action": "payment.charge", "api_key": "made-up-9f8e7d6c5b4a", **name},
            )
            self._reserve(goods, name)
            try:
                self._call_bank(number)
            except CardRefusedError as error:
                span.record_exception(error)
                span.set_status(Status(StatusCode.ERROR, "refused"))
                action = {"action": "payment.charge", **name}
                checkout.log(SeverityNumber.ERROR, "card refused", action, error)
                raise
            checkout.log(
                SeverityNumber.INFO, f"charged o-{number}", {"action": "payment.charge", **name}
            )

    def _call_bank(self, number: int) -> None:
        if self._dice.random() < _CARD_REFUSED:
            raise CardRefusedError(f"the bank refused the card of o-{number}")

    def _reserve(self, goods: str, name: dict[str, str]) -> None:
        stock = self.inventory
        with stock.tracer.start_as_current_span("reserve", attributes={"goods": goods, **name}):
            if self._dice.random() < _SLOW:
                time.sleep(_EVERY_S)
                stock.log(
                    SeverityNumber.WARN,
                    "slow query on postgresql://stock:made-up-password@db.shop.example/stock",
                    {"action": "stock.reserve", "duration_ms": 412, **name},
                )
            if self._dice.random() < _OUT_OF_STOCK:
                stock.log(
                    SeverityNumber.WARN,
                    f"{goods} is out of stock",
                    {"action": "stock.reserve", **name},
                )
            stock.log(SeverityNumber.INFO, f"reserved {goods}", {"action": "stock.reserve", **name})


def _thrown(error: Exception) -> dict[str, str]:
    """An exception as attributes of OpenTelemetry's semantic conventions."""
    return {
        "exception.type": type(error).__qualname__,
        "exception.message": str(error),
        "exception.stacktrace": "".join(traceback.format_exception(error)),
    }


class _Warnings(logging.Handler):
    """Collects the SDK's warnings about exports."""

    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        self._into.append(record.getMessage())


def run(endpoint: str, key: str, seconds: float, seed: int) -> Sales:
    """Run the shop for some seconds; returns when everything was sent (or refused)."""
    sales = Sales()
    warnings = _Warnings(sales.problems)
    logger = logging.getLogger("opentelemetry")
    logger.addHandler(warnings)
    logger.propagate = False
    shop = Shop(endpoint, {"Authorization": f"Bearer {key}"} if key else {}, seed)
    end = time.monotonic() + seconds
    first = int(time.time()) % 1_000_000 * 100
    while not sales.orders or time.monotonic() < end:
        shop.order(first + sales.orders, sales)
        time.sleep(_EVERY_S)
    for service in shop.services:
        service.close()
    sales.records = sum(service.records for service in shop.services)
    logger.removeHandler(warnings)
    return sales
