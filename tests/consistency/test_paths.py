"""Paths that docs, docstrings and comments mention exist."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
PACKAGES = ("config", "storage", "otlp_receiver", "query", "retention", "opslog")
ROOTS = (*PACKAGES, "tests", "loadtests", "scripts", "docs", "ui")
PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "tests/README.md")),
]
MODULES = [
    path
    for name in (*PACKAGES, "tests", "loadtests")
    for path in sorted((ROOT / name).rglob("*.py"))
    if "__pycache__" not in path.parts
]
PATH = re.compile(r"(?<![\w./<-])((?:[\w*.-]+/)+[\w*.-]*\w|[\w]+\.(?:py|sql))(?![\w/<])")
FILE = re.compile(r"\.(?:py|sql|md|toml|tsx?|txt)$")
FOREIGN = {
    *("opslog.toml", "__init__.py", "otlp_load.py", "verify.py", "docs/specification.md"),
    "opslog.sql",
}
"""Files of users and of other repositories, names that are in every package, a pack's key-value."""
NAMES = {
    path.name
    for folder in ROOTS
    for path in (ROOT / folder).rglob("*.*")
    if "node_modules" not in path.parts
}


def mentioned(text: str) -> set[str]:
    """Return what looks like a path of this repository: a known first folder, or a file's suffix.

    >>> sorted(mentioned("see storage/spool/frame.py, copying.py and GET /api/v1"))
    ['copying.py', 'storage/spool/frame.py']
    """
    found = set()
    for path in PATH.findall(text):
        first, slash, _ = path.partition("/")
        if (
            path not in FOREIGN
            and not path.startswith("../")  # outside of the repository, which may not be there
            and FILE.search(path)
            and (not slash or first in ROOTS or path.endswith(".py"))
        ):
            found.add(path)
    return found


def texts(source: str) -> Iterator[str]:
    """Yield the docstrings and comments of a module."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield str(node.value.value)


def missing(text: str, near: Path) -> list[str]:
    """List mentioned paths that do not exist from the root or from a folder around `near`.

    A bare file name has to exist anywhere in the repository.
    """
    folders = [*(folder for folder in (near, *near.parents) if folder.is_relative_to(ROOT)), TESTS]
    return [
        path
        for path in sorted(mentioned(text))
        if path not in NAMES and not any(list(folder.glob(path)) for folder in folders)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_paths_in_docs_exist(page: Path) -> None:
    """Code blocks of the integration guide create their own files."""
    text = page.read_text("utf-8")
    created = set(re.findall(r"file=(\S+)", text)) | set(re.findall(r"> ([\w.-]+)", text))

    assert [path for path in missing(text, page.parent) if path not in created] == []


def test_paths_in_docstrings_and_comments_exist() -> None:
    """From the root, or from a folder around the module."""
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in MODULES
        for text in texts(path.read_text("utf-8"))
        for name in missing(text, path.parent)
    ]

    assert wrong == []


def test_a_missing_path_is_found() -> None:
    """The check can fail."""
    text = "see `storage/nowhere/frame.py`, `vanished.py` and storage/spool/frame.py"

    assert missing(text, ROOT / "storage") == ["storage/nowhere/frame.py", "vanished.py"]
