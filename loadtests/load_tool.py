"""Import the load tool otlp_load.py, which is not part of this repository."""

import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType

BATCH = 500
"""Records per request."""
_HOUR_NS = 3600 * 10**9


def load_tool(path: Path) -> ModuleType:
    """Import the load tool at `path`."""
    spec = importlib.util.spec_from_file_location("otlp_load", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["otlp_load"] = module
    spec.loader.exec_module(module)
    return module


def distinct_bodies(path: Path, count: int, *, templates: int = 200) -> list[bytes]:
    """Build bodies of BATCH records over the last hour from templates, each with distinct ids."""
    tool = load_tool(path)
    built = tool.build_templates(min(count, templates), BATCH, 1)
    start_ns = time.time_ns() - _HOUR_NS
    stream = tool.Stream(built, BATCH, 1, count, start_ns, _HOUR_NS, "ascending", 200_000)
    return [stream.body(number) for number in range(count)]
