"""The commands of the README work as documented."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.product import Product

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def product():
    with Product.running() as running:
        yield running


def block(language: str, holding: str) -> str:
    found = [text for kind, text in BLOCKS if kind == language and holding in text]
    assert len(found) == 1, (language, holding)
    return found[0]


def typed(product: Product, commands: str) -> str:
    """Run a block in a shell with the test's ports and command; return its output."""
    commands = commands.replace("http://127.0.0.1:4318", product.otlp_url)
    commands = commands.replace("http://127.0.0.1:8080", product.api_url)
    commands = commands.replace(".venv/bin/opslog", f"'{sys.executable}' -P -m opslog")
    done = subprocess.run(
        ["sh", "-ec", commands],
        env=product.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_record_sent_with_curl_is_found_as_the_readme_shows(product):
    assert typed(product, block("sh", "curl -s http://127.0.0.1:4318")) == "{}"

    expected = block("", "REDACTED").strip()
    query = block("sh", "TOKEN=$(")
    end = time.monotonic() + 10
    while expected not in (response := typed(product, query)):
        assert time.monotonic() < end, response


def test_the_demo_prints_working_commands(product):
    output = typed(product, block("sh", "opslog demo"))

    lines = re.findall(r"curl -s -H .*", output)
    assert len(lines) >= 3
    for line in lines:
        response = typed(product, line.strip())
        assert '"data"' in response
        assert '"id"' in response, line


def test_the_three_variables_are_sufficient_for_an_sdk(product):
    program = """
import logging
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
provider = LoggerProvider()
provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
logging.getLogger().addHandler(LoggingHandler(logger_provider=provider))
logging.warning("sent with three variables")
provider.shutdown()
"""
    exports = block("sh", "OTEL_SERVICE_NAME")
    typed(product, f"{exports}\n'{sys.executable}' -W ignore -c '{program}'")

    product.wait(lambda: product.get("/api/v1/logs?sourceModule=checkout&level=WARN")["data"], 10)


def test_every_page_the_readme_links_to_exists():
    for place in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / place).exists(), place
