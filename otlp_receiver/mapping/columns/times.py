"""When a record happened, and how far that can be trusted.

Sources: opentelemetry-proto logs.proto, `observed_time_unix_nano`: "Use time_unix_nano if it is
present, otherwise use observed_time_unix_nano". Odd times are stored as sent and marked.
"""

_DAY_NS = 86_400 * 10**9
PAST_NS = 400 * _DAY_NS
"""Records older than this at arrival are marked: no replay of a year's archive is older."""
FUTURE_NS = _DAY_NS
"""Records further ahead than this are marked: no time zone mistake is larger than a day."""

OBSERVED, RECEIVED, PAST, FUTURE = "observed", "received", "past", "future"
"""metadata.time_quality, where a record has no plausible time of its own."""

MAX_DURATION_NS = 2**63 - 1
"""What the column takes: 292 years."""


def plausible_ns(received_ns: int) -> tuple[int, int]:
    """The earliest and the latest time that is not odd for something received at `received_ns`."""
    return received_ns - PAST_NS, received_ns + FUTURE_NS


def time_without_own(observed_ns: int, received_ns: int) -> tuple[int, str]:
    """(time, quality) of a record that did not send its own.

    >>> time_without_own(5, 9), time_without_own(0, 9)
    ((5, 'observed'), (9, 'received'))
    """
    return (observed_ns, OBSERVED) if observed_ns else (received_ns, RECEIVED)


def quality_of(time_ns: int, earliest_ns: int, latest_ns: int) -> str:
    """Either PAST or FUTURE for a time that is not plausible, else ""."""
    if time_ns < earliest_ns:
        return PAST
    return FUTURE if time_ns > latest_ns else ""


def odd_times_text(count: int) -> str:
    """What a sender is told of records with odd times, which are stored all the same."""
    return (
        f"{count} records are dated more than {PAST_NS // _DAY_NS} days before their arrival or"
        f" more than {FUTURE_NS // _DAY_NS} after it; they are stored with metadata.time_quality:"
        " check the sender's clock, or send seconds and milliseconds as nanoseconds"
    )


def duration_ns(start_ns: int, end_ns: int) -> int | None:
    """Of a span; None where an end (or a start) was not sent, 0 where the end precedes the start.

    >>> duration_ns(5, 9), duration_ns(9, 5), duration_ns(5, 0), duration_ns(0, 5)
    (4, 0, None, None)
    """
    if not end_ns or not start_ns:
        return None
    return min(max(end_ns - start_ns, 0), MAX_DURATION_NS)
