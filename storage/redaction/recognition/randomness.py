"""Whether bytes look drawn by a machine rather than written by a person."""

import re
from collections import Counter
from math import log2
from typing import Final

_LEAST_ENTROPY_BITS: Final = 3.0
_LEAST_DISTINCT: Final = 8
_PLENTY: Final = 12
_DIGIT: Final = re.compile(rb"[0-9]")
_SMALL: Final = re.compile(rb"[a-z]")
_CAPITAL: Final = re.compile(rb"[A-Z]")


def entropy(match: bytes) -> float:
    """Shannon entropy in bits per byte, over at most the first 256 bytes."""
    head = match[:256]
    return -sum(n / len(head) * log2(n / len(head)) for n in Counter(head).values())


def random_looking(match: bytes) -> bool:
    """At least 3 bits per byte, and a digit or two cases: words of a language stay below.

    3 bits take 8 different bytes; with 12 of them the sum need not be made.
    """
    distinct = len(set(match[:256]))
    if distinct < _LEAST_DISTINCT or (distinct < _PLENTY and entropy(match) < _LEAST_ENTROPY_BITS):
        return False
    return _DIGIT.search(match) is not None or (
        _SMALL.search(match) is not None and _CAPITAL.search(match) is not None
    )


def mixed(match: bytes) -> bool:
    """Digits, small and capital letters together, as in no hexadecimal digest and no path."""
    return (
        random_looking(match)
        and _DIGIT.search(match) is not None
        and _SMALL.search(match) is not None
        and _CAPITAL.search(match) is not None
    )
