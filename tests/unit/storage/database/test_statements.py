"""SQL by name: the format of files of statements."""

import re
from importlib.resources import files

import pytest

from storage.database.statements import parse, statement

FILES = sorted(
    file.name for file in files("storage").joinpath("sql").iterdir() if file.name.endswith(".sql")
)


def text_of(file: str) -> str:
    """One file of storage/sql."""
    return files("storage").joinpath("sql", file).read_text("utf-8")


def test_a_statement_is_sent_without_its_comment() -> None:
    assert parse("-- head\n-- name: one\n-- Why.\nSELECT 1\n  FROM t;\n") == {
        "one": "SELECT 1\n  FROM t"
    }


@pytest.mark.parametrize(
    "text",
    [
        "-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;\n",
        "-- name: two words\nSELECT 1;\n",
        "-- name: empty\n-- only a comment\n",
    ],
)
def test_an_invalid_file_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="invalid or duplicate name"):
        parse(text)


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        statement("no_such_statement")


@pytest.mark.parametrize("file", FILES)
def test_every_statement_says_what_it_is_for_and_who_uses_it(file: str) -> None:
    for piece in re.split(r"^-- name: ", text_of(file), flags=re.MULTILINE)[1:]:
        name, *lines = piece.splitlines()
        comment = [line for line in lines if line.startswith("--")]
        assert comment, name
        assert any("Uses:" in line for line in comment), name


@pytest.mark.parametrize("file", FILES)
def test_every_parameter_is_described(file: str) -> None:
    pieces = re.split(r"^-- name: ", text_of(file), flags=re.MULTILINE)[1:]
    for piece, sql in zip(pieces, parse(text_of(file)).values(), strict=True):
        comment = "".join(line for line in piece.splitlines() if line.startswith("--"))
        described, used = (set(re.findall(r"\$\d+", text)) for text in (comment, sql))
        assert used == described, piece.splitlines()[0]
