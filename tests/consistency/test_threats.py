"""The table of threats in docs/security.md against the tests that it names."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from config.access import ROLE_PERMISSIONS, Permission

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "security.md"
THREATS = 60
PENDING = {"T60"}
"""Deferred: nothing to test until it is built."""
ROW = re.compile(r"^\| (T\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
FILE = re.compile(r"`([\w/]+\.py)`: ((?:`test_\w+`(?:, )?)+)")


def rows() -> dict[str, str]:
    """Return the last column of the table by threat."""
    found = [(row[0], row[3]) for row in ROW.findall(PAGE.read_text("utf-8"))]
    assert len(found) == len(dict(found)), "duplicate threat"
    return dict(found)


@cache
def names_in(path: Path) -> frozenset[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse(path.read_text("utf-8"))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def named(text: str) -> list[tuple[str, str]]:
    """Return (file, test) pairs of a row."""
    return [
        (path, name)
        for path, names in FILE.findall(text)
        for name in re.findall(r"test_\w+", names)
    ]


def test_roles_have_the_permissions_of_the_page() -> None:
    """The table of roles against config/access.py."""
    listed: dict[str, set[str]] = {}
    for roles, rights in re.findall(
        r"^\| ([A-Z_, ]{3,}.*?) \| (.+) \|$", PAGE.read_text(), re.MULTILINE
    ):
        for role in re.findall(r"[A-Z]+(?:_[A-Z]+)*", roles):
            listed[role] = (
                set(Permission) if rights == "all" else set(re.findall(r"`([\w.]+)`", rights))
            )

    assert {role: set(held) for role, held in ROLE_PERMISSIONS.items()} == listed


def test_every_threat_is_on_the_page() -> None:
    """T1 to T60, in order."""
    assert list(rows()) == [f"T{number}" for number in range(1, THREATS + 1)]


@pytest.mark.parametrize("threat", sorted(rows(), key=lambda name: int(name[1:])))
def test_its_tests_exist(threat: str) -> None:
    """Renaming or removing a test fails here."""
    tests = named(rows()[threat])

    assert bool(tests) is (threat not in PENDING)
    assert rows()[threat].count("`test_") == len(tests), "a test name in another format"
    for path, name in tests:
        assert name in names_in(TESTS / path), f"{path} has no {name}"
