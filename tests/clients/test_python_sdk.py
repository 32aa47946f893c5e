"""The OpenTelemetry SDK for Python: logs and traces, protobuf and JSON, each compression."""

from pathlib import Path

import pytest

from tests.clients.comparing import check, send
from tests.support.environments import python_environment
from tests.support.product import Product

PROGRAMS = Path(__file__).parent / "python"


@pytest.mark.parametrize(
    ("environment", "protocol", "compression"),
    [
        ("sdk", "http/protobuf", "none"),
        ("sdk", "http/protobuf", "gzip"),
        ("sdk", "http/protobuf", "deflate"),
        ("json", "http/json", "none"),
        ("json", "http/json", "gzip"),
    ],
)
def test_sdk_delivers_every_field(
    product: Product, environment: str, protocol: str, compression: str
) -> None:
    python = python_environment(PROGRAMS / f"requirements-{environment}.txt")

    sent = send(
        product,
        f"shop-{environment}-{compression}",
        [python, PROGRAMS / "shop.py"],
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_COMPRESSION=compression,
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test,host.name=till-3",
    )

    assert len(sent.records) > 1200
    check(product, sent)


def test_schema_urls_are_kept(product: Product) -> None:
    python = python_environment(PROGRAMS / "requirements-sdk.txt")

    sent = send(
        product,
        "shop-schema",
        [python, PROGRAMS / "shop.py"],
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
    )

    check(product, sent)
    stored = product.sql(
        "SELECT DISTINCT scope->>'name', scope_schema_url FROM log_streams"
        " WHERE resource->>'service.name' = 'shop-schema' AND scope_schema_url <> ''"
    )
    assert stored == [("shop.orders", "https://opentelemetry.io/schemas/1.37.0")]
