"""A collector between the SDK and opslog: Rotel, with OTLP input and OTLP/HTTP output."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients.comparing import check, send
from tests.support.environments import bare, python_environment
from tests.support.product import Product

PROGRAMS = Path(__file__).parent / "python"


@pytest.fixture(scope="module")
def relay(product: Product) -> Iterator[str]:
    """The address of a Rotel that sends to opslog; it flushes its batches at its end."""
    with _rotel(product) as address:
        yield address


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_relay_delivers_every_field(product: Product, relay: str, compression: str) -> None:
    python = python_environment(PROGRAMS / "requirements-sdk.txt")

    sent = send(
        product,
        f"relayed-{compression}",
        [python, PROGRAMS / "shop.py"],
        endpoint=relay,
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_EXPORTER_OTLP_COMPRESSION=compression,
    )

    check(product, sent)


@contextmanager
def _rotel(product: Product) -> Iterator[str]:
    python = python_environment(PROGRAMS / "requirements-rotel.txt")
    (agent,) = python.parents[1].glob("lib/python*/site-packages/rotel/rotel-agent")
    http, grpc = _free_port(), _free_port()
    process = subprocess.Popen(
        [agent, "start"],
        env=bare(
            ROTEL_OTLP_HTTP_ENDPOINT=f"127.0.0.1:{http}",
            ROTEL_OTLP_GRPC_ENDPOINT=f"127.0.0.1:{grpc}",
            ROTEL_EXPORTER="otlp",
            ROTEL_OTLP_EXPORTER_PROTOCOL="http",
            ROTEL_OTLP_EXPORTER_ENDPOINT=product.otlp_url,
            ROTEL_BATCH_TIMEOUT="100ms",
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        product.wait(lambda: process.poll() is not None or _listens(http))
        assert process.poll() is None, f"rotel ended with {process.returncode}"
        yield f"http://127.0.0.1:{http}"
    finally:
        process.terminate()
        process.wait(20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
