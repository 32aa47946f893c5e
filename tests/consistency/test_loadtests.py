"""Benchmarks are not run by `make test`; at least what they import from the packages exists."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"opslog", "otlp_receiver", "query", "retention", "storage", "config", "tests"}


def imports_of(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in PACKAGES:
            yield from ((str(node.module), alias.name) for alias in node.names)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "loadtests").glob("*.py")), ids=lambda path: path.stem
)
def test_what_a_benchmark_imports_from_the_packages_exists(path: Path) -> None:
    missing = []
    for module, name in imports_of(path):
        if not hasattr(importlib.import_module(module), name):
            try:
                importlib.import_module(f"{module}.{name}")
            except ModuleNotFoundError:
                missing.append(f"{module}.{name}")
    assert missing == []
