"""SQL by name, from storage/sql/*.sql.

    -- name: drop_candidates
    -- What it is for; parameters with their units; the rows; who uses it.
    SELECT …

The comment lines stay in the file; only the statement goes to the server.
"""

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (.*)$", re.MULTILINE)


def statement(name: str) -> str:
    """The statement called `name`; KeyError when there is none."""
    return _all()[name]


def parse(text: str) -> dict[str, str]:
    """Statements of one file by name. ValueError: no name, a bad or a doubled one, no statement.

    >>> parse("-- name: one" + chr(10) + "SELECT 1;")
    {'one': 'SELECT 1'}
    """
    _, *pieces = _NAME.split(text)
    found: dict[str, str] = {}
    for name, body in zip(pieces[::2], pieces[1::2], strict=True):
        lines = [line for line in body.splitlines() if not line.startswith("--")]
        sql = "\n".join(lines).strip().removesuffix(";")
        if not name.isidentifier() or name in found or not sql:
            raise ValueError(f"statement {name!r} has a bad or doubled name, or is empty")
        found[name] = sql
    return found


@cache
def _all() -> dict[str, str]:
    found: dict[str, str] = {}
    for file in sorted(files("storage").joinpath("sql").iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".sql"):
            continue
        more = parse(file.read_text(encoding="utf-8"))
        doubled = found.keys() & more.keys()
        if doubled:
            raise ValueError(f"{file.name} names {sorted(doubled)} again")
        found |= more
    return found
