"""PostgreSQL's regular expressions (query/language/regex.py) compiled by RE2, with equal matches.

RE2's own classes are ASCII and its own case folding is wider than PostgreSQL's (k matches the
Kelvin sign): both are replaced by explicit sets. One difference remains: word boundaries do not
regard letters beyond ASCII as part of a word.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import re2

from storage.packs.search.texts import lowered

_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ANCHORS = {"y": r"\b", "Y": r"\B", "Z": r"\z"}
_ALPHA = r"\pL\p{Nl}"
_SPACE = r"\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
_SETS = {"w": f"{_ALPHA}0-9_", "s": _SPACE}
_CLASSES = {
    "alpha": _ALPHA,
    "alnum": f"{_ALPHA}0-9",
    "word": f"{_ALPHA}0-9_",
    "upper": r"\p{Lu}",
    "lower": r"\p{Ll}",
    "space": _SPACE,
}


@lru_cache(maxsize=256)
def compiled(pattern: str, ignores_case: bool) -> Any:  # noqa: FBT001 - a cache's key
    """The pattern as RE2 runs it; `.` matches line feeds."""
    return re2.compile("(?s)" + _Translation(pattern, ignores_case=ignores_case).text())


def upper(letter: str) -> str:
    """Map a letter to simple upper case, as C.UTF-8 does."""
    return next((one for one in (letter.upper(), letter.title()) if len(one) == 1), letter)


def _quoted(letter: str) -> str:
    is_plain = letter.isascii() and letter.isalnum()
    return letter if is_plain else f"\\x{{{ord(letter):x}}}"


class _Translation:
    """One pass over a pattern."""

    def __init__(self, pattern: str, *, ignores_case: bool) -> None:
        self._pattern = pattern
        self._ignores_case = ignores_case
        self._at = 0

    def text(self) -> str:
        out = []
        while self._at < len(self._pattern):
            letter = self._pattern[self._at]
            if letter == "\\":
                out.append(self._escape())
            elif letter == "[":
                out.append(self._set())
            else:
                self._at += 1
                out.append(self._literal(letter) if letter.isalnum() else letter)
        return "".join(out)

    def _literal(self, letter: str) -> str:
        cases = sorted({lowered(letter), upper(letter)}) if self._ignores_case else [letter]
        quoted = "".join(map(_quoted, cases))
        return quoted if len(cases) == 1 else f"[{quoted}]"

    def _escape(self) -> str:
        name, letter = self._escaped()
        if letter is not None:
            return self._literal(letter)
        if name.lower() in _SETS:
            return f"[{'^' if name.isupper() else ''}{_SETS[name.lower()]}]"
        return _ANCHORS.get(name, f"\\{name}")

    def _escaped(self) -> tuple[str, str | None]:
        """(what follows the backslash, the letter that it stands for)."""
        found = _ESCAPE.match(self._pattern, self._at)
        assert found is not None, "a validated pattern does not end with a backslash"
        self._at = found.end()
        name = found[1]
        if len(name) == 5:
            return name, chr(int(name[1:], 16))
        return name, None if name.isascii() and name.isalnum() else name

    def _set(self) -> str:
        end = self._at + 1 + self._pattern.startswith("^", self._at + 1)
        out = [self._pattern[self._at : end]]
        self._at = end
        while self._at < len(self._pattern) and self._pattern[self._at] != "]":
            if self._pattern.startswith("[:", self._at):
                out.append(self._class())
                continue
            first = self._element(out)
            if first is None:
                continue
            last: str | None = first
            if self._pattern[self._at : self._at + 1] == "-" and self._pattern[
                self._at + 1 : self._at + 2
            ] not in {"", "]"}:
                self._at += 1
                last = self._element(out)
            out.append(self._range(first, first if last is None else last))
        self._at += 1
        return "".join(out) + "]"

    def _element(self, out: list[str]) -> str | None:
        """A letter of a set; None: a class, which is in `out`."""
        if self._pattern[self._at] != "\\":
            self._at += 1
            return self._pattern[self._at - 1]
        name, letter = self._escaped()
        if letter is None:
            out.append(_SETS.get(name, f"\\{name}"))
        return letter

    def _class(self) -> str:
        end = self._pattern.index(":]", self._at)
        name = self._pattern[self._at + 2 : end]
        self._at = end + 2
        if self._ignores_case and name in {"upper", "lower"}:
            name = "alpha"
        return _CLASSES.get(name, f"[:{name}:]")

    def _range(self, first: str, last: str) -> str:
        out = _quoted(first) if first == last else f"{_quoted(first)}-{_quoted(last)}"
        if self._ignores_case:
            out += "".join(map(_quoted, self._others(range(ord(first), ord(last) + 1))))
        return out

    @staticmethod
    def _others(codes: Iterable[int]) -> list[str]:
        """The other case of letters, where that is none of them."""
        letters = {chr(code) for code in codes if not 0xD800 <= code < 0xE000}
        cases = {case for letter in letters for case in (lowered(letter), upper(letter))}
        return sorted(cases - letters)
