"""SQL by name, from storage/sql/*.sql.

    -- name: drop_candidates
    -- Purpose; parameters with their units; result rows; callers.
    SELECT …

The comment lines stay in the file; only the statement is sent to the server.
"""

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (.*)$", re.MULTILINE)


def statement(name: str) -> str:
    """The statement called `name`; KeyError when there is none."""
    return _all()[name]


def parse(text: str) -> dict[str, str]:
    """Statements of one file by name. ValueError: missing, invalid or duplicate name, or no SQL.

    >>> parse("-- name: one" + chr(10) + "SELECT 1;")
    {'one': 'SELECT 1'}
    """
    _, *pieces = _NAME.split(text)
    found: dict[str, str] = {}
    for name, body in zip(pieces[::2], pieces[1::2], strict=True):
        lines = [line for line in body.splitlines() if not line.startswith("--")]
        sql = "\n".join(lines).strip().removesuffix(";")
        if not name.isidentifier() or name in found or not sql:
            raise ValueError(f"statement {name!r} has an invalid or duplicate name, or is empty")
        found[name] = sql
    return found


@cache
def _all() -> dict[str, str]:
    found: dict[str, str] = {}
    for file in sorted(files("storage").joinpath("sql").iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".sql"):
            continue
        more = parse(file.read_text(encoding="utf-8"))
        duplicates = found.keys() & more.keys()
        if duplicates:
            raise ValueError(f"{file.name} redefines {sorted(duplicates)}")
        found |= more
    return found
