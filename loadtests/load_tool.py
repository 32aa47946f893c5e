"""The load tool otlp_load.py, which is no part of this repository, as a module."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def load_tool(path: Path) -> ModuleType:
    """The load tool at `path`."""
    spec = importlib.util.spec_from_file_location("otlp_load", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["otlp_load"] = module
    spec.loader.exec_module(module)
    return module
