"""The clock, read in one place. Pure code receives times as values."""

import time
from datetime import UTC, datetime

NS_PER_S = 1_000_000_000


def now_ns() -> int:
    """Nanoseconds since 1970 UTC by the system clock, which may be set and so step back."""
    return time.time_ns()


def monotonic_s() -> float:
    """Seconds of the monotonic clock; for durations and deadlines, not for dates."""
    return time.monotonic()


def utc_text(unix_ns: int) -> str:
    """RFC 3339 with nanoseconds, the API's time format. Years 1 to 9999.

    >>> utc_text(1_700_000_000_123_456_789)
    '2023-11-14T22:13:20.123456789Z'
    """
    seconds, rest = divmod(unix_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"
