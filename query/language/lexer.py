"""The lexer: a query's text as tokens with positions. Pure.

ui/src/lib/language.ts has the same lexer for highlighting; change both together.
"""

import re
from collections.abc import Callable
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
    is_negated: bool = False
    """Of a field: written with `!=`."""
    whole: str = ""
    """Of a field with a bare name and value: the term as written."""
    name_end: int = 0
    """Of a field: where its name ends in the text."""
    quoting: Quoting = Quoting.BARE
    value_at: int = 0
    """Where a field's value starts."""
    ignores_case: bool = False
    """Of a regular expression with the flag `i`."""


_OPERATOR = re.compile(r"(?:OR|AND|NOT)(?=[\s()]|$)")
_BARE_NAME = r"(?:[\w@$#%]|\{[^\s(){}\":]+\})(?:[\w.@/$#%-]|\{[^\s(){}\":]+\})*"
_NAME = re.compile(
    rf'(?:((?:attr|resource)\.)?"((?:[^"\\]|\\.)+)"|(\*(?=:)|{_BARE_NAME}))', re.DOTALL
)
_COLON = re.compile(r":(?!//|:)(<=|>=|!=|<|>|=)?")
_SIGN = re.compile(r"(!=|<=|>=|==|=|<|>)")
_SPACED_SIGN = re.compile(r"[ \t]+(!=|<=|>=|==|=|<|>)[ \t]+(?=[^\s()])")
_NUMERIC = re.compile(r"-?\d[\d.]*(?:[eE][+-]?\d+)?(?:ns|us|ms|s|m|h)?(?=[\s()]|$)", re.ASCII)
_WORDLIKE = re.compile(r"[A-Za-z_][\w.-]*")
_PHRASE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_REGEX = re.compile(r"/((?:[^/\\\n]|\\.)+)/(i?)(?=[\s()]|$)")
_BARE = re.compile(r'[^\s()"]+')
_ESCAPED = re.compile(r"\\([\"'\\])")
_SPACE = re.compile(r"\s+")

IsKnown = Callable[[str], bool]
"""Whether a name is a field, an alias, or an attribute of known records."""


def tokens(text: str, is_known: IsKnown = lambda _: False) -> list[Token]:
    """All tokens in order. Raises BadQuery for unclosed quotes and missing values.

    `is_known` decides whether `name = value`, with spaces, is a term or three words.
    """
    found: list[Token] = []
    at = 0
    while at < len(text):
        if space := _SPACE.match(text, at):
            at = space.end()
            continue
        token, at = _token(text, at, is_known)
        found.append(token)
    return found


def _token(text: str, at: int, is_known: IsKnown) -> tuple[Token, int]:
    character = text[at]
    if character in "()":
        return Token(Type.OPEN if character == "(" else Type.CLOSE, at, character), at + 1
    if character == "-" and text[at + 1 : at + 2].strip():
        return Token(Type.OPERATOR, at, "-"), at + 1
    if operator := _OPERATOR.match(text, at):
        return Token(Type.OPERATOR, at, operator[0]), operator.end()
    if found := _field(text, at, is_known):
        return found
    value, quoting, end, ignores_case = _value(text, at)
    kind = {Quoting.PHRASE: Type.PHRASE, Quoting.REGEX: Type.REGEX}.get(quoting, Type.WORD)
    return Token(kind, at, value, quoting=quoting, value_at=at, ignores_case=ignores_case), end


def _field(text: str, at: int, is_known: IsKnown) -> tuple[Token, int] | None:
    """A term with a name, and its end; None where the text is a word or a phrase."""
    written = _NAME.match(text, at)
    if written is None or (written[3] or "").isdigit():
        return None
    name = (written[1] or "") + unescaped(written[2]) if written[2] else written[3]
    is_bare = not written[2]
    sign = _sign(text, written.end(), name, is_known, is_bare=is_bare)
    if sign is None:
        return None
    begin = sign.end()
    if not text[begin : begin + 1].strip() or text[begin] in "()":
        if not is_known(name):
            return None  # `Error: refused`, `a=`: words
        shown = text[at:begin]
        raise BadQuery(
            f'Value missing after {shown}. Write {shown}value, or "{shown}" for the text', begin
        )
    value, quoting, end, ignores_case = _value(text, begin)
    operator = (sign[1] or "").strip()
    token = Token(
        Type.FIELD,
        at,
        value,
        field=name,
        comparison=operator if operator in {"<", "<=", ">", ">="} else "",
        is_negated=operator == "!=",
        name_end=written.end(),
        whole=text[at:end] if is_bare and quoting is Quoting.BARE else "",
        quoting=quoting,
        value_at=begin,
        ignores_case=ignores_case,
    )
    return token, end


def _sign(
    text: str, at: int, name: str, is_known: IsKnown, *, is_bare: bool
) -> re.Match[str] | None:
    """What separates a name from its value; None where they are not one term.

    A colon always does. Other signs are in any text (`a<b`, `x->y`, `n = 1`): they do after a
    known name, between a name and a number, and `=` and `!=` after what looks like a name.
    """
    if found := _COLON.match(text, at):
        return found
    if not is_bare:
        return None
    if found := _SPACED_SIGN.match(text, at):
        return found if is_known(name) else None
    found = _SIGN.match(text, at)
    if found is None or is_known(name):
        return found
    if not _WORDLIKE.fullmatch(name):
        return None
    is_equality = found[1] in {"=", "==", "!="}
    return found if is_equality or _NUMERIC.match(text, found.end()) else None


def written_name(name: str) -> str:
    """A name as a query has to write it."""
    if re.fullmatch(_BARE_NAME, name) and not name.isdigit():
        return name
    escaped = re.sub(r'(["\\])', r"\\\1", name)
    return f'"{escaped}"'


def unescaped(text: str) -> str:
    """The text between quotes; a backslash before any letter is itself, as in a pasted path."""
    return _ESCAPED.sub(r"\1", text)


def _value(text: str, at: int) -> tuple[str, Quoting, int, bool]:
    """The value at this offset, its quoting, its end, and the flag `i` of a regex."""
    if text[at] == '"':
        phrase = _PHRASE.match(text, at)
        if phrase is None:
            raise BadQuery("Unclosed quote", at)
        return unescaped(phrase[1]), Quoting.PHRASE, phrase.end(), False
    if regex := _REGEX.match(text, at):
        return regex[1], Quoting.REGEX, regex.end(), bool(regex[2])
    bare = _BARE.match(text, at)
    assert bare is not None  # callers exclude spaces and parentheses
    return bare[0], Quoting.BARE, bare.end(), False
