"""A first RE2 pass over a text selects the rules that may match; only these are then run.

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
"""Rule number of a span that hides the rest of a text because it has too many secrets."""
_MOST_VIEWS: Final = 3
# Time budget per text, in tenths of a microsecond: 1.8 ms plus 28 ns a byte, so that 64 kB never
# take more than 5 ms. Shorter texts may take as long as 64 kB.
_BUDGET: Final = 18_000
_LEAST_BUDGET: Final = 36_000
_BUDGET_A_BYTE: Final = 0.28
_SECOND_BUDGET: Final = 10_000
"""For the text before the position at which the first budget was exhausted."""
_SCAN_COST_A_BYTE: Final = 0.02
_LONG_BYTES: Final = 65_536
"""Scanning costs each rule time as well. It is charged only up to this length: it is linear anyway,
and a long text with many kinds of secrets must not be hidden as a whole."""


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
        """The first pass: numbers of triggers; empty when no rule can match."""
        self.hints_among: Callable[[Sequence[str]], dict[int, list[int]]] = first_pass.among
        """The same for many texts, by their index; those without any are omitted."""

    def spans(self, raw: bytes, hints: Sequence[int], *, depth: int = 0) -> list[RuleSpan]:
        """The unordered matches of the rules behind `hints`.

        When the budget is exhausted, the text is hidden from there on, and the text before it is
        still scanned by the other rules; if that exceeds its budget too, it is hidden as well.
        """
        spans: list[RuleSpan] = []
        budget = max(_LEAST_BUDGET, _BUDGET + int(len(raw) * _BUDGET_A_BYTE))
        scan_cost = _scan_cost(raw)
        is_second = False
        done = set()
        for hint in sorted(hints) if len(hints) > 1 else hints:
            if hint == self._view:
                if depth < _MOST_VIEWS:
                    spans.extend(self._unescaped(raw, depth))
                continue
            number, cost, finder = self._arms[hint]
            if finder in done:
                continue
            done.add(finder)
            budget -= scan_cost
            if budget < 0:
                return [*spans, (0, len(raw), TOO_DENSE)]
            for start, end in finder(raw):
                budget -= cost
                if budget < 0:
                    spans.append((start, len(raw), TOO_DENSE))
                    if is_second:
                        return [*spans, (0, start, TOO_DENSE)]
                    raw, budget, is_second = raw[:start], _SECOND_BUDGET, True
                    scan_cost = _scan_cost(raw)
                    break
                if end > start:
                    spans.append((start, end, number))
        return spans

    def _unescaped(self, raw: bytes, depth: int) -> Iterator[RuleSpan]:
        """The matches in the unescaped text, recursively for nested escapes."""
        view = View(raw)
        hints = self.hints(view.text)
        if hints:
            for start, end, number in self.spans(view.text, hints, depth=depth + 1):
                yield (*view.source(start, end), number)


def _scan_cost(raw: bytes) -> int:
    return int(min(len(raw), _LONG_BYTES) * _SCAN_COST_A_BYTE)
