"""The lexer: a query's text as tokens with positions. Pure.

ui/src/lib/language.ts has the same lexer for highlighting; change both together.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

from query.errors import BadQuery


class Type(Enum):
    """Type of a token."""

    OPEN = auto()
    CLOSE = auto()
    OPERATOR = auto()
    """OR, AND, NOT, or the minus before a term."""
    WORD = auto()
    PHRASE = auto()
    REGEX = auto()
    FIELD = auto()


class Quoting(Enum):
    """How a value is written."""

    BARE = auto()
    PHRASE = auto()
    REGEX = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """One token of the text."""

    type: Type
    at: int
    """Characters from the start of the text."""
    text: str
    """The operator, the word, the phrase without quotes, the pattern; of a field: its value."""
    field: str = ""
    comparison: str = ""
    """Of a field: <, <=, >, >= or nothing."""
    quoting: Quoting = Quoting.BARE
    value_at: int = 0
    """Where a field's value starts."""
    ignores_case: bool = False
    """Of a regular expression with the flag `i`."""


_OPERATOR = re.compile(r"(?:OR|AND|NOT)(?=[\s()]|$)")
_FIELD = re.compile(r"([\w@][\w.@/-]*):(?!//)(<=|>=|<|>)?")
_PHRASE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_REGEX = re.compile(r"/((?:[^/\\\n]|\\.)+)/(i?)(?=[\s()]|$)")
_BARE = re.compile(r'[^\s()"]+')
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SPACE = re.compile(r"\s+")


def tokens(text: str) -> list[Token]:
    """All tokens in order. Raises BadQuery for unclosed quotes and missing values."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        if space := _SPACE.match(text, at):
            at = space.end()
            continue
        token, at = _token(text, at)
        found.append(token)
    return found


def _token(text: str, at: int) -> tuple[Token, int]:
    character = text[at]
    if character in "()":
        return Token(Type.OPEN if character == "(" else Type.CLOSE, at, character), at + 1
    if character == "-" and text[at + 1 : at + 2].strip():
        return Token(Type.OPERATOR, at, "-"), at + 1
    if operator := _OPERATOR.match(text, at):
        return Token(Type.OPERATOR, at, operator[0]), operator.end()
    field = _FIELD.match(text, at)
    if field is not None and not field[1].isdigit():
        return _field(text, at, field)
    value, quoting, end, ignores_case = _value(text, at)
    kind = {Quoting.PHRASE: Type.PHRASE, Quoting.REGEX: Type.REGEX}.get(quoting, Type.WORD)
    return Token(kind, at, value, quoting=quoting, value_at=at, ignores_case=ignores_case), end


def _field(text: str, at: int, found: re.Match[str]) -> tuple[Token, int]:
    begin = found.end()
    if not text[begin : begin + 1].strip() or text[begin] in "()":
        raise BadQuery(f"Value missing after {found[0]}", begin)
    value, quoting, end, ignores_case = _value(text, begin)
    token = Token(
        Type.FIELD,
        at,
        value,
        field=found[1],
        comparison=found[2] or "",
        quoting=quoting,
        value_at=begin,
        ignores_case=ignores_case,
    )
    return token, end


def _value(text: str, at: int) -> tuple[str, Quoting, int, bool]:
    """The value at this offset, its quoting, its end, and the flag `i` of a regex."""
    if text[at] == '"':
        phrase = _PHRASE.match(text, at)
        if phrase is None:
            raise BadQuery("Unclosed quote", at)
        return _ESCAPED.sub(r"\1", phrase[1]), Quoting.PHRASE, phrase.end(), False
    if regex := _REGEX.match(text, at):
        return regex[1], Quoting.REGEX, regex.end(), bool(regex[2])
    bare = _BARE.match(text, at)
    assert bare is not None  # callers exclude spaces and parentheses
    return bare[0], Quoting.BARE, bare.end(), False
