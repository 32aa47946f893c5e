"""docs/reference/database.md lists exactly what is in the database."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from storage.database.roles import DatabaseRole

ROOT = Path(__file__).parents[2]
SCHEMA = files("storage").joinpath("schema.sql").read_text("utf-8")
PAGE = (ROOT / "docs/reference/database.md").read_text("utf-8")


def names(pattern: str, text: str) -> set[str]:
    """Return all matches of the pattern's group."""
    return set(re.findall(pattern, text, re.MULTILINE))


@pytest.mark.parametrize("kind", ["TABLE", "FUNCTION"])
def test_every_table_and_function_is_on_the_page(kind: str) -> None:
    created = names(rf"^CREATE {kind} (\w+)", SCHEMA)

    assert created
    assert {name for name in created if f"`{name}" not in PAGE} == set()


def test_the_page_names_only_existing_functions() -> None:
    assert names(r"`(opslog_\w+)\(", PAGE) == names(r"^CREATE FUNCTION (\w+)", SCHEMA)


def test_every_role_is_on_the_page() -> None:
    assert {role for role in DatabaseRole if f"| `{role}` |" not in PAGE} == set()


def test_every_state_of_a_segment_is_on_the_page() -> None:
    states = names(r"'(\w+)'[,)]", SCHEMA[SCHEMA.index("CHECK (state IN ('ready'") :][:900])

    assert {state for state in states if f"| `{state}` |" not in PAGE} == set()
    assert "dropped" in states


def test_lock_timeouts_on_the_page_are_those_of_the_functions() -> None:
    heads = [piece.partition("AS $$")[0] for piece in SCHEMA.split("\nCREATE FUNCTION ")[1:]]
    limits = {
        head.partition("(")[0]: found[1]
        for head in heads
        if (found := re.search(r"lock_timeout = '(\d+)s'", head))
    }

    on_page = dict(re.findall(r"^\| `(opslog_\w+)\(.*\| (\d+) s \|$", PAGE, re.MULTILINE))

    assert on_page == limits
    assert limits
