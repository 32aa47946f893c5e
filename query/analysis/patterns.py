"""Message patterns: variable parts become `<*>`. Pure."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

PLACEHOLDER = "<*>"
MAX_CHARACTERS = 300
"""Length of a message that is considered."""

# Ids, numbers, addresses, times, quoted texts: whatever contains a digit or is quoted.
_VARIABLE = re.compile(
    r""""[^"]*"|'[^']*'|(?<![\w])[\w.:@/%+-]*\d[\w.:@/%+-]*|<\*>""",
    re.ASCII,
)
_RUNS = re.compile(r"<\*>(?:[\s,;]*<\*>)+")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern and its number of messages."""

    pattern: str
    count: int
    first: int
    """Index of the first message with this pattern."""


def pattern_of(message: str) -> str:
    """The message with placeholders for its variable parts.

    >>> pattern_of("order o-17 failed after 2.5 s for 'jane'")
    'order <*> failed after <*> s for <*>'
    """
    return _RUNS.sub(PLACEHOLDER, _VARIABLE.sub(PLACEHOLDER, message[:MAX_CHARACTERS]))


def grouped(messages: Iterable[str]) -> list[Pattern]:
    """The patterns of these messages, the most frequent first."""
    counts: Counter[str] = Counter()
    firsts: dict[str, int] = {}
    for index, message in enumerate(messages):
        pattern = pattern_of(message)
        counts[pattern] += 1
        firsts.setdefault(pattern, index)
    return [Pattern(pattern, count, firsts[pattern]) for pattern, count in counts.most_common()]
