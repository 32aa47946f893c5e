"""The code blocks of docs/integration.md work: they are run, or at least checked."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.clients.guide import GUIDE, Workshop, blocks, text_of
from tests.support.environments import node_is_here, node_workplace, python_environment
from tests.support.product import Product

HERE = Path(__file__).parent
PYTHON = HERE / "python"
NODE = HERE / "js"
OPSLOG = Path(sys.executable).parent

needs_node = pytest.mark.skipif(
    not node_is_here(),
    reason="node and npm are not here: the JavaScript of the guide is NOT tested",
)


@pytest.fixture(scope="module")
def workshops(
    product: Product, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Workshop]]:
    """By the environment that blocks name."""
    folder = tmp_path_factory.mktemp("guide")
    python = python_environment(PYTHON / "requirements-sdk.txt").parent
    made = {
        "shell": Workshop(product, folder / "shell", [OPSLOG]),
        "python": Workshop(product, folder / "python", [python, OPSLOG]),
    }
    if not node_is_here():
        yield made
        return
    with node_workplace(NODE) as place:
        yield {**made, "node": Workshop(product, place / "guide", [OPSLOG])}


@pytest.mark.parametrize("where", ["shell", "python", pytest.param("node", marks=needs_node)])
def test_blocks_run(workshops: dict[str, Workshop], where: str) -> None:
    ran = workshops[where].run_all(where)

    assert ran
    for block, done in ran:
        shown = f"{block.text}\n{done.stdout}{done.stderr}"
        assert done.returncode == 0, shown
        assert "rror" not in done.stderr.replace(_expected_trace(done.stderr), ""), shown


@pytest.mark.parametrize("where", ["shell", "python"])
def test_outputs_are_as_shown(workshops: dict[str, Workshop], where: str) -> None:
    workshops[where].run_all(where)
    in_order = list(blocks())
    pairs = [pair for pair in pairwise(in_order) if (pair[0].use, pair[0].name) == ("query", where)]

    assert pairs
    for query, output in pairs:
        assert output.use == "output"
        _check_output(workshops[where], query.text, output.text)


def _expected_trace(stderr: str) -> str:
    """The guide's first program logs an exception, which Python's own handler prints too."""
    found = re.search(r"INFO:checkout.*card terminal away\n", stderr, re.DOTALL)
    return found[0] if found else ""


def _check_output(workshop: Workshop, query: str, output: str) -> None:
    """As shown, except for durations; records are found some milliseconds after their 200."""

    def same() -> bool:
        done = workshop.shell(query)
        return _without_durations(done.stdout) == _without_durations(output)

    try:
        Product.wait(same, 10)
    except AssertionError:
        done = workshop.shell(query)
        pytest.fail(f"{query}\nprints\n{done.stdout}{done.stderr}\nand not\n{output}")


def _without_durations(text: str) -> str:
    return re.sub(r"\d+\.\d ms", "… ms", text)


@pytest.mark.parametrize(
    ("where", "service", "message"),
    [
        ("python", "with-structlog", "sold"),
        ("python", "with-loguru", "sold"),
        ("python", "with-key", "order placed"),
        pytest.param("node", "cart", "cart nearly full", marks=needs_node),
        pytest.param("node", "with-winston", "sold", marks=needs_node),
        pytest.param("node", "with-pino", "sold", marks=needs_node),
    ],
)
def test_services_arrive(
    product: Product, workshops: dict[str, Workshop], where: str, service: str, message: str
) -> None:
    workshops[where].run_all(where)

    query = urlencode({"sourceModule": service, "kind": "log"})
    found = Product.wait(
        lambda: [
            record
            for record in product.get(f"/api/v1/logs?{query}")["data"]
            if record["message"] == message
        ]
    )

    assert len(found) == 1
    if service == "with-key":
        assert found[0]["metadata"]["resource"]["host.name"] == "till-3"


def test_packages_of_the_guide_are_those_under_test() -> None:
    known = {
        "python": {
            line.partition("==")[0]
            for line in (PYTHON / "requirements-sdk.txt").read_text().splitlines()
        },
        "node": set(json.loads((NODE / "package.json").read_text())["dependencies"]),
    }
    named = [block for block in blocks() if block.use == "packages"]

    assert {block.name for block in named} == set(known)
    for block in named:
        assert set(block.text.split()[2:]) <= known[block.name]


def test_every_block_is_run_or_marked_as_untested() -> None:
    used = {"file", "run", "query", "output", "packages", "config", "not-run"}

    assert {block.use for block in blocks()} == used


def test_files_are_named_where_a_reader_sees_it() -> None:
    guide = GUIDE.read_text()

    for block in blocks():
        if block.use == "file":
            before = guide.partition(f" file={block.name}\n")[0]
            assert before.rpartition("\n\n")[0].endswith(f"`{block.name}`:"), block.name


def test_collector_configuration_is_whole() -> None:
    config = _yaml(text_of("collector"))
    exporter = config["exporters"]["otlp_http"]

    # exporter/otlphttpexporter and exporter/exporterhelper: README.md of the Collector
    assert set(exporter) <= {
        "endpoint",
        "compression",
        "headers",
        "sending_queue",
        "retry_on_failure",
    }
    assert set(exporter["sending_queue"]) <= {"enabled", "storage", "queue_size", "num_consumers"}
    assert exporter["sending_queue"]["storage"] in config["service"]["extensions"]
    assert set(config["service"]["extensions"]) <= set(config["extensions"])
    # extension/storage/filestorage: README.md of the Collector's contrib repository
    assert set(config["extensions"]["file_storage"]) <= {"directory", "create_directory", "fsync"}
    assert set(config["service"]["pipelines"]) == {"logs", "traces"}
    for pipeline in config["service"]["pipelines"].values():
        assert set(pipeline["receivers"]) <= set(config["receivers"])
        assert set(pipeline["exporters"]) <= set(config["exporters"])
    assert not exporter["endpoint"].endswith(":4318"), "that port is the Collector's own"


def test_fluent_bit_configuration_names_known_options() -> None:
    config = _yaml(text_of("fluent-bit"))
    (source,) = config["pipeline"]["inputs"]
    (sink,) = config["pipeline"]["outputs"]

    # pipeline/outputs/opentelemetry.md of fluent-bit-docs
    known = {"name", "match", "host", "port", "logs_uri", "traces_uri", "compress", "header"}
    known |= {"logs_body_key", "logs_body_key_attributes", "logs_severity_text_message_key"}
    known |= {"logs_trace_id_message_key", "logs_span_id_message_key", "retry_limit", "tls"}
    assert sink["name"] == "opentelemetry"
    assert set(sink) <= known
    assert (sink["logs_uri"], sink["traces_uri"]) == ("/v1/logs", "/v1/traces")
    assert source["parser"] in {parser["name"] for parser in config["parsers"]}
    assert "storage.path" in config["service"], "without it, storage.type: filesystem is refused"


def test_vector_configuration_names_known_options() -> None:
    config = tomllib.loads(text_of("vector"))
    sink = config["sinks"]["opslog"]

    assert set(sink) <= {"type", "inputs", "buffer", "protocol"}
    # the options of Vector's sink `http`, which its sink `opentelemetry` takes below `protocol`
    known = {"type", "uri", "method", "compression", "encoding", "request", "batch", "auth", "tls"}
    assert set(sink["protocol"]) <= known
    assert sink["protocol"]["encoding"] == {"codec": "otlp"}
    assert sink["buffer"]["max_size"] >= 268435488, "Vector's least size of a buffer on disk"
    assert sink["inputs"] == list(config["transforms"])
    assert config["transforms"]["to_otlp"]["inputs"] == list(config["sources"])


def _yaml(text: str) -> Any:
    """Parsed in the environment that has a YAML parser."""
    python = python_environment(PYTHON / "requirements-yaml.txt")
    done = subprocess.run(
        [python, "-c", "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)
