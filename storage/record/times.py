"""Parsing and formatting of times: RFC 3339 to the nanosecond, or relative to now. Pure."""

import re
from datetime import UTC, datetime, timedelta

from config.errors import BadInput

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+ -]\d\d:\d\d)", re.ASCII
)
_RELATIVE = re.compile(r"-(\d{1,9})(s|m|h|d|w)", re.ASCII)
_UNIT_NS = {
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86400 * 10**9,
    "w": 7 * 86400 * 10**9,
}


def parse_time(text: str, *, now_ns: int, where: str) -> int:
    """Nanoseconds since 1970 UTC of an RFC 3339 time, of `now`, or of `-15m` (s, m, h, d, w).

    Raises BadInput naming the parameter `where`. A space before the time zone is read as `+`,
    since a query string decodes `+` as a space.

    >>> parse_time("1970-01-01T00:00:01.000000005Z", now_ns=0, where="start")
    1000000005
    >>> parse_time("-1h", now_ns=3_600_000_000_001, where="start")
    1
    """
    if text == "now":
        return now_ns
    if relative := _RELATIVE.fullmatch(text):
        return now_ns - int(relative[1]) * _UNIT_NS[relative[2]]
    absolute = _RFC3339.fullmatch(text)
    if absolute is None:
        raise _bad_time(where)
    day, clock, fraction, zone = absolute.groups()
    zone = "+00:00" if zone in "Zz" else zone.replace(" ", "+")
    try:
        whole = datetime.fromisoformat(f"{day}T{clock}{zone}")
        seconds = (whole - EPOCH) // timedelta(seconds=1)
    except (ValueError, OverflowError) as error:
        raise _bad_time(where) from error
    return seconds * 10**9 + int((fraction or "0").ljust(9, "0"))


def _bad_time(where: str) -> BadInput:
    return BadInput(
        f"{where} is not a time: use 2026-11-23T09:00:00Z, or -15m, -1h, -7d, now",
        where=where,
    )


_MIN_US = (datetime.min.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND
_MAX_US = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND


def datetime_of(microseconds: int) -> datetime:
    """Microseconds since 1970 as a datetime, clamped to the years 1 to 9999."""
    return EPOCH + timedelta(microseconds=min(max(microseconds, _MIN_US), _MAX_US))


def microseconds_of(moment: datetime) -> int:
    """Whole microseconds since 1970 UTC."""
    return (moment - EPOCH) // _MICROSECOND


def rfc3339(moment: datetime, nanoseconds: int | None = None) -> str:
    """A UTC time with six digits, or nine when the nanoseconds 0-999 are given.

    >>> rfc3339(EPOCH, 7)
    '1970-01-01T00:00:00.000000007Z'
    """
    text = moment.replace(tzinfo=None).isoformat(timespec="microseconds")
    return f"{text}Z" if nanoseconds is None else f"{text}{nanoseconds:03d}Z"


def rfc3339_ns(nanoseconds: int) -> str:
    """Nanoseconds since 1970 as RFC 3339 with nine digits."""
    micros, rest = divmod(nanoseconds, 1000)
    return rfc3339(datetime_of(micros), rest)
