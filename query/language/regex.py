"""Regular expressions of queries: RE2 syntax, translated to PostgreSQL's dialect. Pure.

RE2 rejects backreferences, lookaround and patterns that compile to too large a program. Only
syntax with the same meaning in PostgreSQL is supported. PostgreSQL's engine is not linear, so
length and program size are limited here, and its time by the statement timeout.
"""

import re
from dataclasses import dataclass

import re2

MAX_PATTERN = 256
"""Longest pattern in characters."""
_MAX_PROGRAM_BYTES = 64 * 1024
"""RE2's memory limit: `a{1,255}` repeated twenty times exceeds it."""

_FLAGS = re.compile(r"\(\?i\)")
_CLASSES = "dDwWsS"
_SAME = frozenset("nrtfv" + _CLASSES)
_TRANSLATED = {"b": r"\y", "B": r"\Y", "A": r"\A", "z": r"\Z", "a": r"\u0007"}


class Unsupported(ValueError):
    """A pattern that is not supported."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset
        """Characters from the pattern's start."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern in PostgreSQL's dialect."""

    text: str
    ignores_case: bool


def translated(pattern: str) -> Pattern:
    """The pattern in PostgreSQL's dialect. Raises Unsupported.

    >>> translated("(?i)order [0-9]+")
    Pattern(text='order [0-9]+', ignores_case=True)
    """
    if len(pattern) > MAX_PATTERN:
        raise Unsupported(f"A regular expression has at most {MAX_PATTERN} characters", MAX_PATTERN)
    _check(pattern)
    flags = _FLAGS.match(pattern)
    start = flags.end() if flags else 0
    out: list[str] = []
    at = start
    is_inside_set = False
    while at < len(pattern):
        piece, at, is_inside_set = _step(pattern, at, is_inside_set=is_inside_set)
        out.append(piece)
    return Pattern("".join(out), ignores_case=flags is not None)


def _check(pattern: str) -> None:
    options = re2.Options()
    options.max_mem = _MAX_PROGRAM_BYTES
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise Unsupported(f"Unsupported regular expression: {text}", 0) from error


def _step(pattern: str, at: int, *, is_inside_set: bool) -> tuple[str, int, bool]:
    """One element of the pattern: its translation, the next offset, whether a set is open."""
    character = pattern[at]
    if character == "\\":
        return *_escape(pattern, at, is_inside_set=is_inside_set), is_inside_set
    if is_inside_set:
        if pattern.startswith("[:", at) and (end := pattern.find(":]", at)) > 0:
            return pattern[at : end + 2], end + 2, True
        # An opening bracket inside a set has a special meaning in PostgreSQL.
        return (r"\[" if character == "[" else character), at + 1, character != "]"
    if character == "[":
        end = at + 1 + pattern.startswith("^", at + 1)
        if pattern.startswith("]", end):  # a leading one is literal
            return pattern[at:end] + r"\]", end + 1, True
        return pattern[at:end], end, True
    if pattern.startswith("(?", at) and not pattern.startswith("(?:", at):
        raise Unsupported("Unsupported group. Use (?: or a leading (?i)", at)
    return character, at + 1, False


def _escape(pattern: str, at: int, *, is_inside_set: bool) -> tuple[str, int]:
    letter = pattern[at + 1 : at + 2]
    if not letter.isalnum():
        return pattern[at : at + 2], at + 2
    if letter == "x" and re.fullmatch(r"[0-9a-fA-F]{2}", pattern[at + 2 : at + 4]):
        return rf"\u00{pattern[at + 2 : at + 4]}", at + 4
    if letter in _SAME and not (is_inside_set and letter in "DWS"):
        return f"\\{letter}", at + 2
    if letter in _TRANSLATED and not is_inside_set:
        return _TRANSLATED[letter], at + 2
    raise Unsupported(f"Unsupported escape \\{letter}", at)
