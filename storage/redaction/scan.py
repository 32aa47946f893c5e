"""One pass of RE2 over a text says which rules may have something in it; only these then look.

hints    bytes -> numbers of rules          a compiled Set, linear, 0.7 us a message
spans    bytes, numbers -> spans            the rules' finders
replace  bytes, spans -> bytes, hits        replace.py
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

import re2

from config.errors import SetupError
from storage.redaction.finders import Finder, finder_of, triggers_of
from storage.redaction.keys import KeyNames
from storage.redaction.rules import Rule
from storage.redaction.shapes import options
from storage.redaction.views import TRIGGER as VIEW
from storage.redaction.views import View

RuleSpan: TypeAlias = tuple[int, int, int]
"""(start, end, number of the rule)"""

TOO_DENSE: Final = -1
"""The rule of a span that hides the rest of a text because too much of it is secret."""
_VIEW: Final = -2
_MOST_VIEWS: Final = 3
_FREE_CANDIDATES: Final = 64
_BYTES_A_CANDIDATE: Final = 20


class Scanner:
    """The rules of an installation, compiled."""

    __slots__ = ("_finders", "_owner", "_set", "hints")

    def __init__(self, rules: Sequence[Rule], names: KeyNames) -> None:
        self._finders: list[Finder] = []
        self._owner: list[int] = []
        self._set = re2.Set.SearchSet(options())
        for number, rule in enumerate(rules):
            finds = rule.patterns or rule.finder
            self._finders.append(finder_of(rule, names) if finds else _nothing)
            for trigger in triggers_of(rule):
                self._set.Add(trigger)
                self._owner.append(number)
        self._set.Add(VIEW)
        self._owner.append(_VIEW)
        self._set.Compile()
        self.hints: Callable[[bytes], Sequence[int]] = self._set.Match
        """The first pass: numbers of triggers; empty when no rule can have anything here."""

    def spans(self, raw: bytes, hints: Iterable[int], *, depth: int = 0) -> list[RuleSpan]:
        """What the rules behind `hints` find, in no order."""
        spans: list[RuleSpan] = []
        limit = _FREE_CANDIDATES + len(raw) // _BYTES_A_CANDIDATE
        numbers = sorted({self._owner[hint] for hint in hints})
        if numbers[0] == _VIEW:
            del numbers[0]
            if depth < _MOST_VIEWS:
                spans.extend(self._undone(raw, depth))
        for number in numbers:
            for start, end in self._finders[number](raw):
                limit -= 1
                if limit < 0:
                    spans.append((start, len(raw), TOO_DENSE))
                    return spans
                if end > start:
                    spans.append((start, end, number))
        return spans

    def _undone(self, raw: bytes, depth: int) -> Iterator[RuleSpan]:
        """What is found once escapes are undone, and undone again if there are more below."""
        view = View(raw)
        hints = self.hints(view.text)
        if hints:
            for start, end, number in self.spans(view.text, hints, depth=depth + 1):
                yield (*view.source(start, end), number)


def _nothing(raw: bytes) -> Iterable[tuple[int, int]]:
    """The finder of a rule that knows only names of fields."""
    del raw
    return ()
