"""The 166 points of OTLP/HTTP: each has a test that can be found by its number.

A test names its points in its name (`test_point_041_…`, `test_points_53_to_57_…`), at the head of
its docstring (`"1, 2, 48: …"`, or `(point 118)` anywhere in it), or as a parameter's id (`"48-logs"`).
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("contract/otlp", "unit/otlp_receiver", "integration/otlp_receiver")
POINTS = 166
LIST = r"\d{1,3}(?:(?:, | and | to |_and_|_to_)\d{1,3})*"
IN_NAME = re.compile(rf"_points?_({LIST})_")
AT_HEAD = re.compile(rf"({LIST})(?:, F\d+)*:")
IN_TEXT = re.compile(rf"\bpoints? ({LIST})")
IN_ID = re.compile(r"(\d{1,3})(?:-|$)")


def numbers(written: str) -> set[int]:
    """Parse a list such as `53 to 57` or `1, 2, 48`.

    >>> sorted(numbers("1, 3 to 5"))
    [1, 3, 4, 5]
    """
    found: set[int] = set()
    for item in re.split(r"(?:, |_and_| and )", written):
        first, *last = [int(number) for number in re.findall(r"\d+", item)]
        found |= set(range(first, (last or [first])[0] + 1))
    return found


def points_of(test: ast.FunctionDef | ast.AsyncFunctionDef) -> set[int]:
    """Return the points that a test names."""
    text = ast.get_docstring(test) or ""
    lists = [*IN_NAME.findall(test.name), *IN_TEXT.findall(text)]
    if head := AT_HEAD.match(text):
        lists.append(head[1])
    for decorator in test.decorator_list:
        for keyword in [node for node in ast.walk(decorator) if isinstance(node, ast.keyword)]:
            if keyword.arg == "id" and isinstance(keyword.value, ast.Constant):
                lists += IN_ID.findall(str(keyword.value.value))[:1]
    return set().union(*map(numbers, lists))


def points_in_tests() -> set[int]:
    """Return the points of all tests."""
    tested: set[int] = set()
    for path in [path for folder in FOLDERS for path in (ROOT / folder).rglob("test_*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                tested |= points_of(node) if node.name.startswith("test_") else set()
    return tested


def test_every_point_has_a_test() -> None:
    """Removing the last test of a point fails here."""
    assert set(range(1, POINTS + 1)) - points_in_tests() == set()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("41", {41}),
        ("53_to_57", set(range(53, 58))),
        ("1, 2, 48", {1, 2, 48}),
        ("94_and_95", {94, 95}),
    ],
)
def test_lists_of_points_are_parsed(written: str, expected: set[int]) -> None:
    """In all notations."""
    assert numbers(written) == expected
