"""Imports the codec's modules in compiled form, if they were built from the present sources.

scripts/compile_codec builds them (mypyc). If any was built from another source, or with
OPSLOG_PURE=1, the Python sources run instead: same results, slower.
"""

import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

MANIFEST = "manifest.json"
PURE = "OPSLOG_PURE"


class CompiledFinder(importlib.abc.MetaPathFinder):
    """Finds modules by their full names in a table of files."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self.files = files

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """The compiled module, if this is one."""
        del path, target
        file = self.files.get(fullname)
        if file is None:
            return None
        loader = importlib.machinery.ExtensionFileLoader(fullname, str(file))
        return importlib.util.spec_from_file_location(fullname, file, loader=loader)


def tag() -> str:
    """Tag of the interpreter that the modules are compiled for, for instance cpython-311."""
    return sys.implementation.cache_tag


def built_with() -> list[str]:
    """What compiled modules depend on besides their sources.

    The interpreter, and librt, whose C functions they call directly.
    """
    writer = importlib.util.find_spec("librt.strings")
    return [tag(), sum_of(Path(str(writer.origin))) if writer is not None else ""]


def sum_of(source: Path) -> str:
    """Checksum of a source file."""
    return hashlib.sha256(source.read_bytes()).hexdigest()


def files_in(folder: Path, root: Path) -> dict[str, Path]:
    """The compiled modules in `folder` by name; none if one does not match its source in `root`."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        if manifest["built_with"] != built_with():
            return {}
        files = {name: folder / file for name, file in manifest["files"].items()}
        for name, expected in manifest["sources"].items():
            if sum_of(root / f"{name.replace('.', '/')}.py") != expected:
                return {}
    except (OSError, ValueError, KeyError):
        return {}
    return files if all(file.is_file() for file in files.values()) else {}


def modules_in(folder: Path) -> list[str]:
    """Names of the source modules that were compiled into `folder`."""
    names: dict[str, str] = json.loads((folder / MANIFEST).read_text())["sources"]
    return list(names)


def install(root: Path) -> None:
    """Make imports find the compiled modules, once per process."""
    if os.environ.get(PURE, "") not in {"", "0"}:
        return
    if in_use():
        return
    files = files_in(folder_of(root), root)
    # All or none: a class from a compiled module and the one from its source are different.
    if files and not any(name in sys.modules for name in files):
        sys.meta_path.insert(0, CompiledFinder(files))


def folder_of(root: Path) -> Path:
    """The folder of compiled modules, one per kind of interpreter."""
    return root / ".compiled" / tag()


def in_use() -> bool:
    """Whether this process runs compiled modules."""
    return any(isinstance(finder, CompiledFinder) for finder in sys.meta_path)
