"""Texts, numbers and times with the semantics of PostgreSQL."""

import re
from decimal import Decimal

from storage.filtering.filters import TimeRange

NUMBER = re.compile(r"-?(0|[1-9]\d{0,63})(\.\d{1,64})?([eE][+-]?\d{1,2})?", re.ASCII)
"""A number in a filter (storage/filtering/conditions.py)."""
_FLOAT = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_HEX = re.compile(
    r"\s*[+-]?0[xX]([0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)([pP][+-]?\d+)?\s*", re.ASCII
)
_ZERO = re.compile(r"\s*[+-]?(0[xX])?[0.]+([eEpP].*)?\s*", re.ASCII)
LOWEST, HIGHEST = -(1 << 63), (1 << 63) - 1


def lowered(text: str) -> str:
    """Simple lower case, letter by letter, as lower() under C.UTF-8."""
    if text.isascii():
        return text.lower()
    return text.replace("\u0130", "i").replace("\u03a3", "\u03c3").lower()


def double(text: str) -> Decimal | None:
    """Convert a text to a number as jsonpath does; None for an error."""
    try:
        if _FLOAT.fullmatch(text):
            value = float(text)
        elif _HEX.fullmatch(text):
            value = float.fromhex(text)
        else:
            return None
    except OverflowError:
        return None
    # Infinity and underflow are errors of PostgreSQL's double precision.
    if value in {float("inf"), float("-inf")} or (value == 0 and not _ZERO.fullmatch(text)):
        return None
    return Decimal(f"{value:.15g}")


def time_bounds(condition: TimeRange) -> tuple[int, int]:
    """The range in microseconds (start, end); an open end is the limit of 64 bits."""
    start = LOWEST if condition.start_ns is None else condition.start_ns // 1000
    end = HIGHEST if condition.end_ns is None else -(-condition.end_ns // 1000)
    return start, end
