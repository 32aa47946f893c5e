"""The examples in the codec's docstrings are correct."""

import doctest
import importlib
import pkgutil

import pytest

import otlp_receiver
import storage.record.correlation

MODULES = [
    *(info.name for info in pkgutil.walk_packages(otlp_receiver.__path__, "otlp_receiver.")),
    storage.record.correlation.__name__,
]


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_examples_in_docstrings(name):
    """As `python -m doctest` runs them."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0
