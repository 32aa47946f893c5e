"""INSERT statements, whose column names and values are in separate lists."""

import re
from collections.abc import Iterator
from typing import Final

from storage.redaction.recognition.harmless import harmless
from storage.redaction.recognition.keys import KeyNames, Kind
from storage.redaction.recognition.shapes import Span

_INSERT: Final = re.compile(
    rb"(?is)insert\s+(?:ignore\s+)?into\s[^()]{1,200}\(([^()]{1,4000})\)\s*values\s*(?=\()"
)
_ROW: Final = re.compile(
    rb"""(?x)\s*+,?\s*+\( ((?: '(?:[^'\\]|''|\\.)*+' | "(?:[^"\\]|\\.)*+" | \([^()]*+\) | [^()'"]++ )*+) \)""",
    re.DOTALL,
)
_FIELD: Final = re.compile(
    rb"""(?x)\s*+(?: [NEBX]?(?P<quote>\\*['"])(?P<text>(?:[^'"\\]|''|\\.)*+) | [^,()]*+(?:\([^()]*+\))?[^,()]*+ ) [^,]*+ ,?""",
    re.DOTALL,
)


class Inserts:
    """The finder for INSERT statements."""

    __slots__ = ("_names",)

    def __init__(self, names: KeyNames) -> None:
        self._names = names

    def __call__(self, raw: bytes) -> Iterator[Span]:
        """Spans of quoted values in secret-named columns."""
        for statement in _INSERT.finditer(raw):
            yield statement.start(), statement.start()
            columns = [column.strip(b' \t\r\n"`[]\\') for column in statement.group(1).split(b",")]
            secret = {
                place
                for place, column in enumerate(columns)
                if self._names.kind(column.decode("utf-8", "replace")) is Kind.SECRET
            }
            position = statement.end()
            while secret and (row := _ROW.match(raw, position)) is not None:
                position = row.end()
                yield from _fields(raw, row, secret)


def _fields(raw: bytes, row: re.Match[bytes], secret: set[int]) -> Iterator[Span]:
    position = row.start(1)
    for place in range(max(secret) + 1):
        field = _FIELD.match(raw, position, row.end(1))
        assert field is not None
        position = field.end()
        if place in secret and field.group("quote") and not harmless(field.group("text")):
            yield field.span("text")
