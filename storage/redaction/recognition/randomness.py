"""Whether bytes look random rather than written by a person."""

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


def looks_random(match: bytes) -> bool:
    """At least 3 bits per byte, and a digit or mixed case: natural words stay below.

    3 bits need 8 distinct bytes; with 12 the entropy need not be computed.
    """
    distinct = len(set(match[:256]))
    if distinct < _LEAST_DISTINCT or (distinct < _PLENTY and entropy(match) < _LEAST_ENTROPY_BITS):
        return False
    return _DIGIT.search(match) is not None or (
        _SMALL.search(match) is not None and _CAPITAL.search(match) is not None
    )


def mixed(match: bytes) -> bool:
    """Digits, lower and upper case together, unlike hexadecimal digests and paths."""
    return (
        looks_random(match)
        and _DIGIT.search(match) is not None
        and _SMALL.search(match) is not None
        and _CAPITAL.search(match) is not None
    )
