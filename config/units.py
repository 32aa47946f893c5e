"""Human-readable durations and sizes: `7d`, `12h`, `1y`, `64MiB`."""

import re

from config.errors import SetupError

_SECONDS = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 7 * 86400.0,
    "y": 365 * 86400.0,
}
_BYTES = {
    "b": 1,
    **{
        unit + tail: 2 ** (10 * power)
        for power, unit in enumerate("kmgt", 1)
        for tail in ("", "ib")
    },
    **{f"{unit}b": 10 ** (3 * power) for power, unit in enumerate("kmgt", 1)},
}
_PLAIN = re.compile(r"\s*[0-9]+\s*")
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")


def duration_s(text: str) -> float:
    """Parse `1d12h`, `90s`, `500ms` to seconds; a year has 365 days. Raises SetupError.

    >>> duration_s("1d12h")
    129600.0
    """
    return _sum(text, _SECONDS, "a duration", "7d, 12h, 30min, 90s, 500ms or 1y")


def size_bytes(text: str) -> int:
    """Parse `64MiB`, `1.5G`, `500MB` or `4096` to bytes; M is MiB, MB is 10^6. Raises SetupError.

    >>> size_bytes("64MiB"), size_bytes("4096")
    (67108864, 4096)
    """
    if _PLAIN.fullmatch(text):
        return int(text)
    return int(_sum(text, _BYTES, "a size", "64MiB, 500MB or 2G"))


def duration_text(seconds: float) -> str:
    """The shortest exact form, in whole units.

    >>> duration_text(129600)
    '36h'
    """
    for unit in ("d", "h", "min", "s"):
        if seconds >= _SECONDS[unit] and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f}{unit}"
    return f"{seconds * 1000:g}ms" if seconds else "0s"


def size_text(size: int) -> str:
    """Human-readable size, rounded to one decimal.

    >>> size_text(3 * 2**30)
    '3.0 GiB'
    """
    amount, unit = float(size), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            break
        amount /= 1024
    return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"


def _sum(text: str, units: dict[str, float] | dict[str, int], what: str, examples: str) -> float:
    """Sum of one or more amounts with units; the text may contain nothing else."""
    total, at = 0.0, 0
    while at < len(text):
        found = _AMOUNT.match(text, at)
        factor = found and units.get(found[2].lower())
        if not found or factor is None:
            break
        total += float(found[1]) * factor
        at = found.end()
    if not text.strip() or at < len(text):
        raise SetupError(f"{text!r} is not {what}; use for example {examples}")
    return total
