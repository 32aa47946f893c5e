"""T44: untrusted text cannot affect the terminal."""

import ast
import json
from pathlib import Path

import pytest

from opslog.cli.connecting import as_json, table
from opslog.client.record_lines import printable, printable_lines, readable_json

CLI = Path(__file__).parents[4] / "opslog" / "cli"
HOSTILE = (
    *("\x1b]0;owned\x07", "\x1b]52;c;ZXZpbA==\x07", "\x1b[2J\x1b[H", "\x9b31m", "\x9d0;t\x9c"),
    *("a\rb", "a\bb", "a\x7fb", "\u202egnp.exe", "\u2066x\u2069", "\u2028line", "a\nfaked line"),
)


def obeyed(text: str) -> list[str]:
    """Characters that a terminal interprets."""
    return [
        sign
        for sign in text
        if ord(sign) < 32 or 127 <= ord(sign) < 160 or 0x2028 <= ord(sign) <= 0x202E
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_others_are_shown_and_not_obeyed(text):
    shown = table(["hold", "why"], [[1, text], [2, "plain"]])

    assert set(obeyed(shown)) == {"\n"}
    assert len(shown.split("\n")) == 3
    for document in (as_json({"why": text}), readable_json({"why": text})):
        assert set(obeyed(document)) == {"\n"}
        assert json.loads(document) == {"why": text}
    assert obeyed(printable(text)) == []
    assert set(obeyed(printable_lines(f"a\n{text}"))) == {"\n"}


def test_other_letters_stay_as_they_are():
    assert readable_json({"a": "ünï☃"}) == '{\n  "a": "ünï☃"\n}'


RAW = {"ensure_ascii"}


def test_no_command_prints_json_with_raw_characters():
    """`ensure_ascii=False` does not escape C1 and bidi controls; readable_json does."""
    for path in CLI.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.keyword) and node.arg in RAW:
                assert path.name == "settings.py", path  # the operator's own words
