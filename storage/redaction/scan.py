"""One pass of RE2 over a text says which rules may have something in it; only these then look.

hints    bytes -> numbers of rules          a compiled Set, linear, 0.7 us a message
spans    bytes, numbers -> spans            the rules' finders
replace  bytes, spans -> bytes, hits        replace.py
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import re2

from config.errors import SetupError
from storage.redaction.finders import Finder, finder_of, triggers_of
from storage.redaction.keys import KeyNames
from storage.redaction.rules import Rule
from storage.redaction.shapes import options

RuleSpan: TypeAlias = tuple[int, int, int]
"""(start, end, number of the rule)"""

TOO_DENSE: Final = -1
"""The rule of a span that hides the rest of a text because too much of it is secret."""
_FREE_CANDIDATES: Final = 64
_BYTES_A_CANDIDATE: Final = 20


class Scanner:
    """The rules of an installation, compiled."""

    __slots__ = ("_finders", "_match", "_owner", "_set")

    def __init__(self, rules: Sequence[Rule], names: KeyNames) -> None:
        self._finders: list[Finder] = []
        self._owner: list[int] = []
        self._set = re2.Set.SearchSet(options())
        for number, rule in enumerate(rules):
            self._finders.append(
                finder_of(rule, names) if rule.patterns or rule.finder else _nothing
            )
            for trigger in triggers_of(rule):
                self._set.Add(trigger)
                self._owner.append(number)
        if not self._owner:
            self._set.Add(r"[^\x00-\x{10FFFF}]")
        self._set.Compile()
        self._match = self._set.Match

    def hints(self, raw: bytes) -> Sequence[int]:
        """What the first pass says; empty when no rule can have anything here."""
        found: Sequence[int] = self._match(raw)
        return found

    def spans(self, raw: bytes, hints: Iterable[int]) -> list[RuleSpan]:
        """What the rules behind `hints` find, in no order."""
        spans: list[RuleSpan] = []
        limit = _FREE_CANDIDATES + len(raw) // _BYTES_A_CANDIDATE
        for number in sorted({self._owner[hint] for hint in hints}):
            for start, end in self._finders[number](raw):
                limit -= 1
                if limit < 0:
                    spans.append((start, len(raw), TOO_DENSE))
                    return spans
                if end > start:
                    spans.append((start, end, number))
        return spans


def _nothing(raw: bytes) -> Iterable[tuple[int, int]]:
    """The finder of a rule that knows only names of fields."""
    del raw
    return ()


def prove(scanner: Scanner) -> None:
    """Raise SetupError when the set does not answer: an uncompiled one silently finds nothing."""
    if scanner.hints(b"") is None:
        raise SetupError("the rules do not compile together; remove some of redaction.rules")
