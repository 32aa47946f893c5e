"""One pass of RE2 over a text says which rules may have something in it; only these then look.

hints    bytes -> numbers of triggers       triggers.py, linear
spans    bytes, numbers -> spans            the rules' finders
replace  bytes, spans -> bytes, hits        replace.py
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from storage.redaction.finders.table import Finder, arms_of, cost_of
from storage.redaction.recognition.keys import KeyNames
from storage.redaction.rules import Rule
from storage.redaction.triggers import Triggers
from storage.redaction.views import TRIGGER as VIEW
from storage.redaction.views import View

RuleSpan: TypeAlias = tuple[int, int, int]
"""(start, end, number of the rule)"""

TOO_DENSE: Final = -1
"""The rule of a span that hides the rest of a text because too much of it is secret."""
_MOST_VIEWS: Final = 3
# What may be spent on one text, in tenths of a microsecond: 1.8 ms, and 28 ns a byte, so that 64 kB
# stay within 5 ms whatever is in them. Shorter texts may cost as much as 64 kB do.
_BUDGET: Final = 18_000
_LEAST_BUDGET: Final = 36_000
_BUDGET_A_BYTE: Final = 0.28
_SECOND_BUDGET: Final = 10_000
"""For what comes before the place where the first was used up."""
_LOOK_A_BYTE: Final = 0.02
_LONG_BYTES: Final = 65_536
"""Looking through a text costs each rule something too. Beyond this length only as much is reckoned:
it is linear anyway, and a long text of many kinds of secrets must not go as a whole."""


class Scanner:
    """The rules of an installation, compiled."""

    __slots__ = ("_arms", "_view", "hints", "hints_among")

    def __init__(self, rules: Sequence[Rule], names: KeyNames) -> None:
        self._arms: list[tuple[int, int, Finder]] = []
        triggers: list[str] = []
        for number, rule in enumerate(rules):
            for trigger, finder in arms_of(rule, names):
                triggers.append(trigger)
                self._arms.append((number, cost_of(rule), finder))
        self._view = len(self._arms)
        first_pass = Triggers([*triggers, VIEW])
        self.hints: Callable[[bytes], Sequence[int]] = first_pass
        """The first pass: numbers of triggers; empty when no rule can have anything here."""
        self.hints_among: Callable[[Sequence[str]], dict[int, list[int]]] = first_pass.among
        """The same for many texts, by their places; those without any are left out."""

    def spans(self, raw: bytes, hints: Sequence[int], *, depth: int = 0) -> list[RuleSpan]:
        """What the rules behind `hints` find, in no order.

        A text in which too much is found is hidden from there on, and what comes before is still
        looked at by the other rules; if that is too much as well, it is hidden as a whole.
        """
        spans: list[RuleSpan] = []
        budget = max(_LEAST_BUDGET, _BUDGET + int(len(raw) * _BUDGET_A_BYTE))
        looking = _cost_of_looking(raw)
        is_second = False
        done = set()
        for hint in sorted(hints) if len(hints) > 1 else hints:
            if hint == self._view:
                if depth < _MOST_VIEWS:
                    spans.extend(self._undone(raw, depth))
                continue
            number, cost, finder = self._arms[hint]
            if finder in done:
                continue
            done.add(finder)
            budget -= looking
            if budget < 0:
                return [*spans, (0, len(raw), TOO_DENSE)]
            for start, end in finder(raw):
                budget -= cost
                if budget < 0:
                    spans.append((start, len(raw), TOO_DENSE))
                    if is_second:
                        return [*spans, (0, start, TOO_DENSE)]
                    raw, budget, is_second = raw[:start], _SECOND_BUDGET, True
                    looking = _cost_of_looking(raw)
                    break
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


def _cost_of_looking(raw: bytes) -> int:
    return int(min(len(raw), _LONG_BYTES) * _LOOK_A_BYTE)
