"""PostgreSQL's regular expressions (query/language/regex.py) compiled by RE2, with equal matches.

RE2's own classes are ASCII and its own case folding is wider than PostgreSQL's (k matches the
Kelvin sign): both are replaced by explicit sets. One difference remains: word boundaries do not
regard letters beyond ASCII as part of a word.
"""

import re
from collections.abc import Callable, Iterable
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


_ANYWHERE, _NOWHERE = re2._Anchor.UNANCHORED, (-1, -1)  # noqa: SLF001 - search() is slower


@lru_cache(maxsize=256)
def searcher(pattern: str, ignores_case: bool) -> Callable[[bytes], bool]:  # noqa: FBT001 - a cache's key
    """Whether the pattern matches anywhere in a text in UTF-8; `.` matches line feeds."""
    match = _compiled("(?s)", pattern, ignores_case=ignores_case, by_line=False)
    return lambda text: match(_ANYWHERE, text, 0, len(text))[0] != _NOWHERE


@lru_cache(maxsize=256)
def lines_searcher(pattern: str, ignores_case: bool) -> Callable[[bytes], list[int]] | None:  # noqa: FBT001 - a cache's key
    """Where matches are in lines, at most one each; None: the pattern needs ends of texts.

    The lines match as if each were a text of its own.
    """
    if _Clauses(pattern).has_ends():
        return None
    match = _compiled("(?ms)", pattern, ignores_case=ignores_case, by_line=True)

    def search(lines: bytes) -> list[int]:
        found, at, size = [], 0, len(lines)
        while at <= size:
            begin, end = match(_ANYWHERE, lines, at, size)[0]
            if begin < 0:
                break
            found.append(begin)
            at = lines.find(b"\n", end) + 1
            if not at:
                break
        return found

    return search


def _compiled(flags: str, pattern: str, *, ignores_case: bool, by_line: bool) -> Any:
    options = re2.Options()
    # Without groups RE2 finds matches by its automaton alone.
    options.never_capture = True
    options.never_nl = by_line
    text = flags + _Translation(pattern, ignores_case=ignores_case).text()
    return re2.compile(text, options)._regexp.Match  # noqa: SLF001 - search() is slower


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


_LEAST_CLAUSE = 3
"""Minimum letters of a text in a clause: shorter ones have no grams."""
_CONTEXT = frozenset("yYAZmM")
_ENDS = frozenset("AZ")
_QUANTIFIER = re.compile(r"(?:([*+?])|\{(\d+)(?:,\d*)?\})\??")


@lru_cache(maxsize=256)
def clauses(pattern: str) -> tuple[tuple[str, ...], ...]:
    """What every match contains: of each clause at least one text.

    >>> clauses("time(out)+ after [0-9]+ ms"), clauses("refused|denied")
    ((('time',), ('out',), (' after ',), (' ms',)), (('refused', 'denied'),))
    """
    return () if pattern.startswith("*") else _Clauses(pattern).all()


@lru_cache(maxsize=256)
def is_free(pattern: str) -> bool:
    """Whether a match in a part of a text is one in the text: no anchors, no word boundaries."""
    return _Clauses(pattern).is_free()


class _Clauses:
    """One pass over a pattern, which is valid."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._has_context = False
        self._has_ends = False

    def has_ends(self) -> bool:
        self.all()
        return self._has_ends

    def is_free(self) -> bool:
        self.all()
        return not self._has_context

    def all(self) -> tuple[tuple[str, ...], ...]:
        return tuple(dict.fromkeys(self._alternatives()))

    def _alternatives(self) -> list[tuple[str, ...]]:
        """What a group, or the whole pattern, contains."""
        branches = [self._branch()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._branch())
        if len(branches) == 1:
            return branches[0]
        best = [max(branch, key=_shortest, default=()) for branch in branches]
        return [tuple(text for clause in best for text in clause)] if all(best) else []

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _branch(self) -> list[tuple[str, ...]]:
        found: list[tuple[str, ...]] = []
        run = ""
        while self._peek() not in {"", "|", ")"}:
            letter, inner = self._element()
            is_repeated, is_needed = self._quantifier()
            run += letter if is_needed else ""
            if not letter or is_repeated:
                found.append((run,))
                run = ""
            if is_needed:
                found += inner
        found.append((run,))
        return [clause for clause in found if clause and _shortest(clause) >= _LEAST_CLAUSE]

    def _quantifier(self) -> tuple[bool, bool]:
        """(there is one, the element is needed at least once)."""
        found = _QUANTIFIER.match(self._pattern, self._at)
        if found is None:
            return False, True
        self._at = found.end()
        return True, found[1] == "+" or (found[2] is not None and int(found[2]) > 0)

    def _element(self) -> tuple[str, list[tuple[str, ...]]]:
        """(a letter that stands for itself, or "", the clauses of a group)."""
        letter = self._peek()
        self._at += 1
        if letter == "(":
            if self._pattern.startswith("?:", self._at):
                self._at += 2
            inner = self._alternatives()
            self._at += 1
            return "", inner
        if letter == "[":
            self._skip_set()
        elif letter == "\\":
            found = _ESCAPE.match(self._pattern, self._at - 1)
            self._at = self._at + 1 if found is None else found.end()
            if found is not None and not (found[1].isascii() and found[1].isalnum()):
                return found[1], []
            self._has_context |= found is None or found[1] in _CONTEXT
            self._has_ends |= found is None or found[1] in _ENDS
        elif letter in "^$":
            self._has_context = True
        elif letter not in ".{":
            return letter, []
        return "", []

    def _skip_set(self) -> None:
        self._at += self._peek() == "^"
        self._at += self._peek() == "]"
        while self._peek() not in {"", "]"}:
            if self._pattern.startswith("[:", self._at):
                self._at = self._pattern.index(":]", self._at) + 2
            else:
                self._at += 2 if self._peek() == "\\" else 1
        self._at += 1


def _shortest(clause: tuple[str, ...]) -> int:
    return min(map(len, clause), default=0)
