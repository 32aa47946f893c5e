"""Messages by their shape: what differs from one to the next becomes `<*>`. Pure."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

HOLE = "<*>"
MAX_CHARACTERS = 300
"""Of a message that are looked at."""

# Ids, numbers, addresses, times, quoted texts: whatever has a digit in it, or stands in quotes.
_DIFFERS = re.compile(
    r""""[^"]*"|'[^']*'|(?<![\w])[\w.:@/%+-]*\d[\w.:@/%+-]*|<\*>""",
    re.ASCII,
)
_RUNS = re.compile(r"<\*>(?:[\s,;]*<\*>)+")


@dataclass(frozen=True, slots=True)
class Found:
    """One shape and how often it was seen."""

    pattern: str
    count: int
    first: int
    """Place of the first message of this shape."""


def shape_of(message: str) -> str:
    """The message with holes where others of its kind differ.

    >>> shape_of("order o-17 failed after 2.5 s for 'jane'")
    'order <*> failed after <*> s for <*>'
    """
    return _RUNS.sub(HOLE, _DIFFERS.sub(HOLE, message[:MAX_CHARACTERS]))


def grouped(messages: Iterable[str]) -> list[Found]:
    """The shapes of these messages, the most frequent first."""
    counts: Counter[str] = Counter()
    firsts: dict[str, int] = {}
    for place, message in enumerate(messages):
        shape = shape_of(message)
        counts[shape] += 1
        firsts.setdefault(shape, place)
    return [Found(shape, count, firsts[shape]) for shape, count in counts.most_common()]
