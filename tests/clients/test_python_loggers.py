"""Programs without the OpenTelemetry SDK in their code: environment variables and loggers only."""

from pathlib import Path

import pytest

from tests.clients.comparing import check, send
from tests.support.environments import python_environment
from tests.support.product import Product

PROGRAMS = Path(__file__).parent / "python"


@pytest.mark.parametrize("program", ["with_logging", "with_structlog", "with_loguru"])
def test_auto_instrumentation_delivers_every_field(product: Product, program: str) -> None:
    python = python_environment(PROGRAMS / "requirements-sdk.txt")

    sent = send(
        product,
        program,
        [python.parent / "opentelemetry-instrument", python, PROGRAMS / f"{program}.py"],
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_METRICS_EXPORTER="none",
    )

    check(product, sent)


def test_auto_instrumentation_delivers_json_and_spans_of_libraries(product: Product) -> None:
    python = python_environment(PROGRAMS / "requirements-json.txt")

    sent = send(
        product,
        "auto-json",
        [
            python.parent / "opentelemetry-instrument",
            python,
            PROGRAMS / "with_logging.py",
            "sqlite3",
        ],
        OTEL_TRACES_EXPORTER="otlp_json_http",
        OTEL_LOGS_EXPORTER="otlp_json_http",
        OTEL_METRICS_EXPORTER="none",
    )

    check(product, sent)


def test_logfire_delivers_every_field(product: Product) -> None:
    python = python_environment(PROGRAMS / "requirements-logfire.txt")

    sent = send(
        product, "logfire", [python, PROGRAMS / "with_logfire.py"], OTEL_METRICS_EXPORTER="none"
    )

    check(product, sent)
