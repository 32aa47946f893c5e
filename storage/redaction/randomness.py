"""Whether bytes look drawn by a machine rather than written by a person."""

import re
from collections import Counter
from math import log2


def entropy(match: bytes) -> float:
    """Shannon entropy in bits per byte, over at most the first 256 bytes."""
    head = match[:256]
    return -sum(n / len(head) * log2(n / len(head)) for n in Counter(head).values())


def random_looking(match: bytes) -> bool:
    """At least 3 bits per byte, and a digit or two cases: words of a language stay below."""
    return entropy(match) >= 3.0 and (
        re.search(rb"\d", match) is not None
        or (re.search(rb"[a-z]", match) is not None and re.search(rb"[A-Z]", match) is not None)
    )


def mixed(match: bytes) -> bool:
    """Digits, small and capital letters together, as in no hexadecimal digest and no path."""
    return (
        random_looking(match)
        and re.search(rb"\d", match) is not None
        and re.search(rb"[a-z]", match) is not None
        and re.search(rb"[A-Z]", match) is not None
    )
