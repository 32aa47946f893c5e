"""The load tool otlp_load.py, which is no part of this repository, as a module."""

import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType

BATCH = 500
"""Records of a body."""
_HOUR_NS = 3600 * 10**9


def load_tool(path: Path) -> ModuleType:
    """The load tool at `path`."""
    spec = importlib.util.spec_from_file_location("otlp_load", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["otlp_load"] = module
    spec.loader.exec_module(module)
    return module


def distinct_bodies(path: Path, count: int, *, templates: int = 200) -> list[bytes]:
    """Bodies of BATCH records over the last hour, no two with the same ids, of so many templates."""
    tool = load_tool(path)
    made = tool.build_templates(min(count, templates), BATCH, 1)
    start_ns = time.time_ns() - _HOUR_NS
    stream = tool.Stream(made, BATCH, 1, count, start_ns, _HOUR_NS, "ascending", 200_000)
    return [stream.body(number) for number in range(count)]
