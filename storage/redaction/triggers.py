"""The first pass: which rules may have something in a text.

All triggers in one RE2 Set would be one automaton, whose states are the product of everything that
triggers count and wait for: on random ids it never stops growing, and building states takes ten
times as long as using them (12.5 against 1.8 microseconds a record of the load tool). So triggers
of a kind share a Set, and what they count is bounded.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import re2

from storage.redaction.shapes import options

_Match: TypeAlias = Callable[[bytes], list[int]]

_NOTHING: Final[tuple[int, ...]] = ()
_COUNTED: Final = re.compile(r"(?<!\\x)(\\d|[^x])\{(\d+)(?:,\d*)?\}")
_MOST_COUNTED: Final = 8
_LEADING_GAP: Final = re.compile(r"^(\(\?i\))?\[[^\]]+\]\*")
_MANY_WORDS: Final = 600
"""Characters of a trigger that lists all secret words."""


def leaner(trigger: str) -> str:
    r"""A trigger that matches wherever `trigger` does and counts less. Digits are counted on.

    >>> leaner("[a-f0-9]{32}-"), leaner(r"\d{13}"), leaner(r"(?i)[\w.]*secret=")
    ('[a-f0-9]{8,}-', '\\d{13}', '(?i)secret=')
    """
    without_gap = _LEADING_GAP.sub(lambda match: match[1] or "", trigger)
    return _COUNTED.sub(_bounded, without_gap)


def _bounded(match: "re.Match[str]") -> str:
    if match[1] == r"\d" or int(match[2]) <= _MOST_COUNTED:
        return match[0]
    return f"{match[1]}{{{_MOST_COUNTED},}}"


def _kind(trigger: str) -> str:
    if len(trigger) > _MANY_WORDS:
        return "all secret words"
    if trigger.startswith("(?i)"):
        return "words"
    return "runs" if trigger.startswith(("[", "\\d")) or "|[" in trigger else "prefixes"


class Triggers:
    """Compiled triggers; `__call__` gives the numbers of those that match, none for most texts."""

    __slots__ = ("_sets",)

    def __init__(self, triggers: Sequence[str]) -> None:
        """Raises re2.error for a trigger that RE2 does not take."""
        by_kind: dict[str, list[int]] = {}
        for number, trigger in enumerate(triggers):
            by_kind.setdefault(_kind(trigger), []).append(number)
        self._sets = tuple(
            (_compiled([triggers[number] for number in numbers]), tuple(numbers))
            for numbers in by_kind.values()
        )

    def __call__(self, raw: bytes) -> Sequence[int]:
        """Numbers of the triggers that match somewhere in `raw`."""
        found: list[int] | None = None
        for match, numbers in self._sets:
            hits = match(raw)
            if hits:
                here = [numbers[hit] for hit in hits]
                found = here if found is None else found + here
        return _NOTHING if found is None else found


def _compiled(triggers: Sequence[str]) -> _Match:
    made = re2.Set.SearchSet(options())
    for trigger in triggers:
        made.Add(leaner(trigger))
    made.Compile()
    match: _Match = made._set.Match  # noqa: SLF001 - the wrapper around it takes as long as it does
    return match
