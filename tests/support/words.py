"""Find banned words: in identifiers (by AST), in prose (docs, docstrings, comments, messages), in the UI.

`python -m tests.support.words [AREA ...]` lists all of them. What is banned and why: the tables of
`tests/support/banned_words.py`.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.banned_words import EXCEPTIONS, IDENTIFIERS, PHRASES, UI_PHRASES

ROOT = Path(__file__).resolve().parents[2]
AREAS = (
    *("config", "storage", "otlp_receiver", "query", "retention", "opslog"),
    *("tests", "loadtests", "scripts", "docs", "ui/src", "Makefile", "pyproject.toml"),
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "opslog.example.toml"),
)
SKIPPED = (
    "tests/support/banned_words.py",
    "tests/consistency/test_words.py",
    "tests/corpus/",
    "tests/fuzz/corpus/",
    "tests/clients/js/node_modules/",
    "query/static/",
)
"""The tables themselves, sample data, and generated files."""
SUFFIXES = {".py", ".md", ".ts", ".tsx", ".css", ".sql", ".toml", ""}
_GENERATED = re.compile(r"/(__pycache__|migrations)/")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_PHRASES = [(re.compile(pattern, re.IGNORECASE), better) for pattern, better in PHRASES.items()]
_UI_PHRASES = [(re.compile(pattern), better) for pattern, better in UI_PHRASES.items()]


@dataclass(frozen=True, slots=True)
class Violation:
    """A banned word and where it is."""

    path: str
    line: int
    found: str
    better: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.found} -> {self.better}"


def parts(identifier: str) -> list[str]:
    """Split a snake_case or CamelCase name into lower-case words.

    >>> parts("too_manyQueries")
    ['too', 'many', 'queries']
    """
    return [part.lower() for part in _PART.findall(identifier)]


def defined_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield every name that a module defines, with its line; names it only uses are not its own."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.Name(ctx=ast.Store()):
                yield node.id, node.lineno
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr, node.lineno
            case ast.alias(asname=str(name)):
                yield name, node.lineno


def python_prose(source: str) -> Iterator[tuple[str, int]]:
    """Yield comments, docstrings and other texts (strings with a space in them) with their lines."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string, token.start[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            for offset, line in enumerate(node.value.splitlines()):
                yield line, node.lineno + offset


def in_identifiers(names: Iterator[tuple[str, int]], path: str) -> Iterator[Violation]:
    """Yield the names that contain a banned word."""
    for name, line in names:
        for part in parts(name):
            if part in IDENTIFIERS:
                yield Violation(path, line, name, IDENTIFIERS[part])


def in_prose(lines: Iterator[tuple[str, int]], path: str) -> Iterator[Violation]:
    """Yield the banned phrases of some lines of text."""
    phrases = [*_PHRASES, *(_UI_PHRASES if path.startswith("ui/") else [])]
    for text, line in lines:
        for pattern, better in phrases:
            for found in pattern.finditer(text):
                around = text[max(0, found.start() - 30) : found.end() + 30].strip()
                yield Violation(path, line, f"{found[0]!r} in {around!r}", better)


def check(
    path: str, source: str, exceptions: Sequence[tuple[str, str, str]] = EXCEPTIONS
) -> list[Violation]:
    """List the violations of one file, without the explicit exceptions."""
    found = list(in_identifiers(iter([(Path(path).stem, 1)]), path))
    if path.endswith(".py"):
        found += in_identifiers(defined_names(ast.parse(source)), path)
        found += in_prose(python_prose(source), path)
    else:
        numbered = [(text, line) for line, text in enumerate(source.splitlines(), 1)]
        if path.endswith(".sql"):
            numbered = [(text.partition("--")[2], line) for text, line in numbered]
        if path.endswith((".ts", ".tsx")):
            words = ((name, line) for text, line in numbered for name in re.findall(r"\w+", text))
            found += in_identifiers(words, path)
        found += in_prose(iter(numbered), path)
    unique = sorted(set(found), key=lambda item: (item.line, item.found))
    return [item for item in unique if not is_exception(item, exceptions)]


def is_exception(item: Violation, exceptions: Sequence[tuple[str, str, str]]) -> bool:
    """Whether a table of exceptions allows a violation."""
    return any(
        item.path.startswith(path) and re.search(pattern, item.found, re.IGNORECASE)
        for path, pattern, _ in exceptions
    )


def files(areas: tuple[str, ...] = AREAS) -> Iterator[Path]:
    """Yield the files to check."""
    for area in areas:
        place = ROOT / area
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            name = path.relative_to(ROOT).as_posix()
            is_text = path.is_file() and path.suffix in SUFFIXES
            if is_text and not name.startswith(SKIPPED) and not _GENERATED.search(name):
                yield path


def violations(areas: tuple[str, ...] = AREAS) -> list[Violation]:
    """List the violations of all files."""
    return [
        item
        for path in files(areas)
        for item in check(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))
    ]


if __name__ == "__main__":
    for item in violations(tuple(sys.argv[1:]) or AREAS):
        print(item)
