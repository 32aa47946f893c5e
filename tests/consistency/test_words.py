"""The usual words of the field: banned identifiers and phrases stay out of code, docs and viewer."""

import pytest

from tests.support.banned_words import EXCEPTIONS, IDENTIFIERS
from tests.support.words import AREAS, ROOT, check, files, in_identifiers, violations


@pytest.mark.parametrize("area", AREAS)
def test_no_banned_words(area: str) -> None:
    """`python -m tests.support.words AREA` prints the list; exceptions need a reason."""
    assert [str(item) for item in violations((area,))] == []


def test_every_exception_has_a_reason_and_is_used() -> None:
    """An exception that allows nothing any more is removed."""
    unused = [
        (start, pattern)
        for start, pattern, reason in EXCEPTIONS
        if not reason or not is_used(start, pattern, reason)
    ]

    assert unused == []


def is_used(start: str, pattern: str, reason: str) -> bool:
    """Whether some file would have violations without this exception."""
    others = [entry for entry in EXCEPTIONS if entry != (start, pattern, reason)]
    return any(
        check(name, path.read_text("utf-8"), others)
        for path in files()
        if (name := path.relative_to(ROOT).as_posix()).startswith(start)
    )


@pytest.mark.parametrize(
    "source",
    [
        "def count_questions(): ...",
        "class QuestionTooSlow: ...",
        "askedBy = 1",
        "def get(door): ...",
        "self.news = 1",
        "import os as house",
        '"""Mend the file."""',
        "# set aside as damaged",
        'raise ValueError("too many questions at a time")',
        'f"the house of {name} is shut"',
    ],
)
def test_the_checker_finds_banned_words_in_code(source: str) -> None:
    """Definitions, docstrings, comments and messages."""
    assert check("storage/sample.py", source, [])


@pytest.mark.parametrize(
    "text", ["Ask again (r)", "the figures do not balance", "Data is read anew."]
)
@pytest.mark.parametrize("path", ["docs/sample.md", "ui/src/app/sample.tsx"])
def test_the_checker_finds_banned_phrases_in_texts(path: str, text: str) -> None:
    """In docs and in the viewer."""
    assert check(path, text, [])


@pytest.mark.parametrize("word", sorted(IDENTIFIERS))
def test_the_checker_finds_every_banned_word_in_a_name(word: str) -> None:
    """As a part of a snake_case and of a CamelCase name."""
    for name in (f"a_{word}", f"A{word.title()}Class", word):
        assert list(in_identifiers(iter([(name, 1)]), "storage/sample.py")), name


@pytest.mark.parametrize(
    "source",
    [
        "tasks = masked = 1",
        "def tendency(): ...",
        "import math\nlevel = math.floor(1.5)",
        '"""Mention an extended tender."""',
    ],
)
def test_the_checker_allows_other_words(source: str) -> None:
    """Parts of longer words, and names of other libraries."""
    assert check("storage/sample.py", source, []) == []
