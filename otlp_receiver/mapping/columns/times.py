"""The time of a record, and its quality.

Sources: opentelemetry-proto logs.proto, `observed_time_unix_nano`: "Use time_unix_nano if it is
present, otherwise use observed_time_unix_nano". Implausible times are stored as sent and marked.
"""

_DAY_NS = 86_400 * 10**9
PAST_NS = 400 * _DAY_NS
"""Records older than this on arrival are marked: a replay of a year's archive is not older."""
FUTURE_NS = _DAY_NS
"""Records further in the future are marked: no time zone error exceeds a day."""

SKEW_NS = 300 * 10**9
"""Records further ahead of our clock are reported: synchronised clocks differ by less."""

OBSERVED, RECEIVED, PAST, FUTURE = "observed", "received", "past", "future"
"""metadata.time_quality of a record without a plausible time of its own."""

MAX_DURATION_NS = 2**63 - 1
"""Maximum of the column: 292 years."""


def plausible_ns(received_ns: int) -> tuple[int, int]:
    """The earliest and the latest plausible time of a record received at `received_ns`."""
    return received_ns - PAST_NS, received_ns + FUTURE_NS


def time_without_own(observed_ns: int, received_ns: int) -> tuple[int, str]:
    """(time, quality) of a record without its own time.

    >>> time_without_own(5, 9), time_without_own(0, 9)
    ((5, 'observed'), (9, 'received'))
    """
    return (observed_ns, OBSERVED) if observed_ns else (received_ns, RECEIVED)


def quality_of(time_ns: int, earliest_ns: int, latest_ns: int) -> str:
    """PAST or FUTURE for an implausible time, else ""."""
    if time_ns < earliest_ns:
        return PAST
    return FUTURE if time_ns > latest_ns else ""


def odd_times_text(count: int) -> str:
    """Warning to the sender about records with implausible times, which are stored nevertheless."""
    return (
        f"{count} records have timestamps more than {PAST_NS // _DAY_NS} days before or more than"
        f" {FUTURE_NS // _DAY_NS} day after arrival; stored with metadata.time_quality: check the"
        " sender's clock, and that seconds and milliseconds are converted to nanoseconds"
    )


def skewed_text(count: int, most_ns: int) -> str:
    """Warning to the sender about records dated ahead, which are stored as sent.

    >>> skewed_text(2, 3600 * 10**9)[:64]
    '2 records are dated up to 60 minutes after their arrival; stored'
    """
    return (
        f"{count} records are dated up to {most_ns // (60 * 10**9)} minutes after their arrival;"
        " stored as sent: check the sender's clock, and that local times are not sent as UTC"
    )


def duration_ns(start_ns: int, end_ns: int) -> int | None:
    """Duration of a span; None if end or start is missing, 0 if the end precedes the start.

    >>> duration_ns(5, 9), duration_ns(9, 5), duration_ns(5, 0), duration_ns(0, 5)
    (4, 0, None, None)
    """
    if not end_ns or not start_ns:
        return None
    return min(max(end_ns - start_ns, 0), MAX_DURATION_NS)
