"""JSON scalars as typed columns hold them. Compiled by mypyc; hot loops."""

from typing import Final

import orjson
from mypy_extensions import i64

STRING: Final = 0
INTEGER: Final = 1
DECIMAL: Final = 2
DOUBLE: Final = 3
BOOLEAN: Final = 4
DELAY: Final = 5
LINK: Final = 6
"""Kinds of promoted keys. DELAY: nanoseconds after the record's own time. LINK: equals a column."""
_MAX_INT = (1 << 63) - 1

Scalar = bytes | int | float | None


def typed(kind: i64, raw: bytes, scale: int, moment: int | None) -> Scalar:
    """Convert a JSON scalar to its column's value; None if not canonical or of another type."""
    if kind == STRING:
        return plain_text(raw)
    if kind == BOOLEAN:
        return 1 if raw == b"true" else 0 if raw == b"false" else None
    if kind == INTEGER:
        return whole(raw)
    if kind == DOUBLE:
        return fraction(raw)
    if kind == DECIMAL:
        return scaled(raw, scale)
    number = whole(raw)
    if number is None or moment is None:
        return None
    delay = number - moment
    return delay if -_MAX_INT <= delay <= _MAX_INT else None


def plain_text(raw: bytes) -> bytes | None:
    """The text of a JSON string that is escaped as jsonb does it."""
    if raw[0] != 34:
        return None
    if b"\\" not in raw:
        return raw[1:-1]
    text: str = orjson.loads(raw)
    return text.encode() if orjson.dumps(text) == raw else None


def whole(raw: bytes) -> int | None:
    """An integer of 64 bits, in digits as Python prints it."""
    size: i64 = len(raw)
    if size > 20 or size == 0:
        return None
    at: i64 = 1 if raw[0] == 45 else 0
    if at == size or (raw[at] == 48 and size > 1):
        return None
    digits: i64 = size - at
    negative = at == 1
    value: i64 = 0
    while at < size:
        digit: i64 = i64(raw[at]) - 48
        if digit < 0 or digit > 9:
            return None
        if digits > 18 and value > 922_337_203_685_477_579:
            return None
        value = value * 10 + digit
        at += 1
    return int(-value if negative else value)


def fraction(raw: bytes) -> float | None:
    """A number with a fraction whose shortest form this is."""
    if len(raw) > 25 or b"." not in raw or raw[0] == 34:
        return None
    try:
        value = float(raw)
    except ValueError:
        return None
    return value if raw == repr(value).encode() else None


def scaled(raw: bytes, scale: int) -> int | None:
    """A fraction times 10 to the `scale`, if that is an integer and reproduces the text.

    At most 15 digits, no zeros at either end that Python would not print, not below 0.0001: then
    the text is the shortest form of its double.
    """
    size: i64 = len(raw)
    at: i64 = 1 if size > 0 and raw[0] == 45 else 0
    negative = at == 1
    if size - at < 3 or size - at > 16:
        return None
    if raw[at] == 48 and raw[at + 1] != 46:
        return None
    value: i64 = 0
    point: i64 = -1
    while at < size:
        letter: i64 = i64(raw[at])
        if letter == 46:
            if point >= 0:
                return None
            point = at
        elif letter < 48 or letter > 57:
            return None
        else:
            value = value * 10 + letter - 48
        at += 1
    decimals: i64 = size - point - 1
    if point < 1 or decimals < 1 or decimals > i64(scale):
        return None
    if raw[size - 1] == 48 and decimals > 1:
        return None
    missing: i64 = i64(scale) - decimals
    while missing > 0:
        value *= 10
        missing -= 1
    if value == 0:
        return None if negative or decimals > 1 else 0
    number = int(-value if negative else value)
    if value < 1000 or value > 100_000_000_000_000:
        return number if unscaled(number, scale) == raw else None
    return number


def unscaled(number: int, scale: int) -> bytes:
    """The JSON of a DECIMAL."""
    return repr(number / 10**scale).encode()
