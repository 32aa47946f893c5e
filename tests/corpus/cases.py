"""Reads the corpus: each marked line gives a text, its secrets, and the expected result."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
_FILLER = re.compile(r"\{([AHDU])(\d+)\}")
_FILLERS = {
    "A": "aZ3kQ9xB7mT2vL5nR8wYc1Jd4",
    "H": "0f1e9d8c7b6a52434a5b6c7d",
    "D": "3918274650",
    "U": "K7QX2MZP5RTW3BVN6Y4D",
}
_MARK = re.compile("«(.*?)»|‹(.*?)›", re.DOTALL)
REPLACEMENT = r"(?:\[REDACTED:[a-z0-9_]+\]|hmac:k1:[0-9a-f]{32})"


@dataclass(frozen=True)
class Case:
    """One line of the corpus."""

    name: str
    """File and line."""
    key: str
    """Name of the attribute; empty for a text."""
    value: object
    """The text or the attribute's value, without marks."""
    hide: tuple[str, ...]
    """Secrets that must be redacted."""
    keep: tuple[str, ...]
    """Pieces between the marks, all of which must stay."""
    expected: re.Pattern[str]
    """Pattern of the redacted text (attributes: its JSON)."""


def cases() -> list[Case]:
    """Every case of every topic."""
    found = []
    for file in sorted(HERE.glob("*.txt")):
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            if line and not line.startswith("# "):
                found.append(
                    _case(f"{file.stem}:{number}", line, attributes=file.stem == "attributes")
                )
    return found


def filled(line: str) -> str:
    """`line` with its fillers written out."""
    return _FILLER.sub(lambda m: (_FILLERS[m[1]] * 12)[: int(m[2])], line).replace("⏎", "\n")


def _case(name: str, line: str, *, attributes: bool) -> Case:
    line = filled(line)
    key, _, text = line.partition(" = ") if attributes else ("", "", line)
    marked = json.dumps(json.loads(text), ensure_ascii=False) if attributes else text
    plain = _MARK.sub(lambda m: m[1] or m[2], marked)
    pattern, hide, keep, position = "", [], [], 0
    for mark in _MARK.finditer(marked):
        piece = marked[position : mark.start()]
        keep.append(piece)
        pattern += re.escape(piece) + (
            REPLACEMENT if mark[1] else f"(?:{REPLACEMENT}|{re.escape(mark[2])})"
        )
        if mark[1]:
            hide.append(mark[1])
        position = mark.end()
    keep.append(marked[position:])
    pattern += re.escape(marked[position:])
    value = json.loads(plain) if attributes else plain
    return Case(
        name, key, value, tuple(hide), tuple(filter(None, keep)), re.compile(pattern, re.DOTALL)
    )
