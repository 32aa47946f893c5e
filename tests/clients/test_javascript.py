"""The OpenTelemetry SDK for Node, and loggers that use it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.comparing import check, send
from tests.support.environments import node_is_here, node_workplace
from tests.support.product import Product

PROGRAMS = Path(__file__).parent / "js"

pytestmark = pytest.mark.skipif(
    not node_is_here(), reason="node and npm are not here: the JavaScript clients are NOT tested"
)


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    """The programs, in a directory with their modules."""
    with node_workplace(PROGRAMS) as folder:
        for program in PROGRAMS.glob("*.js"):
            shutil.copy(program, folder)
        yield folder


@pytest.mark.parametrize("protocol", ["http/json", "http/protobuf"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_sdk_delivers_every_field(
    product: Product, programs: Path, protocol: str, compression: str
) -> None:
    sent = send(
        product,
        f"shop-js-{protocol[5:]}-{compression}",
        ["node", programs / "shop.js"],
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_COMPRESSION=compression,
        OTEL_METRICS_EXPORTER="none",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test,host.name=till-3",
    )

    assert len(sent.records) > 1200
    check(product, sent)


@pytest.mark.parametrize("protocol", ["http/json", "http/protobuf"])
@pytest.mark.parametrize("logger", ["winston", "pino"])
def test_logger_delivers_every_field(
    product: Product, programs: Path, logger: str, protocol: str
) -> None:
    sent = send(
        product,
        f"{logger}-{protocol[5:]}",
        ["node", programs / f"with_{logger}.js"],
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_METRICS_EXPORTER="none",
        OTEL_NODE_RESOURCE_DETECTORS="env",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test,host.name=till-3",
    )

    check(product, sent)
