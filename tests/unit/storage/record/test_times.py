"""Parsing and formatting of times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import BadInput
from storage.record.times import datetime_of, microseconds_of, parse_time, rfc3339_ns

CASES = [
    ("1970-01-01T00:00:00Z", 0),
    ("1970-01-01t00:00:00.000000001z", 1),
    ("1970-01-01 00:00:00.5Z", 500_000_000),
    ("1970-01-01T01:00:00+01:00", 0),
    ("1970-01-01T01:00:00 01:00", 0),  # a plus that was not percent-encoded
    ("1969-12-31T23:59:59.999999999Z", -1),
    ("1969-12-31T22:30:00-01:30", 0),
    ("9999-12-31T23:59:59.999999999Z", 253_402_300_799_999_999_999),
    ("now", 10**18),
    ("-1s", 10**18 - 10**9),
    ("-15m", 10**18 - 900 * 10**9),
    ("-24h", 10**18 - 86_400 * 10**9),
    ("-7d", 10**18 - 7 * 86_400 * 10**9),
    ("-2w", 10**18 - 14 * 86_400 * 10**9),
]


@pytest.mark.parametrize(("text", "ns"), CASES)
def test_times_are_read_to_the_nanosecond(text, ns):
    assert parse_time(text, now_ns=10**18, where="start") == ns


@pytest.mark.parametrize(
    "text", ["", "1h", "-1", "-h", "2026-01-01T00:00Z", "2026-01-01T00:00:00.1234567890Z", "-1 h"]
)
def test_other_texts_are_rejected(text):
    with pytest.raises(BadInput) as refused:
        parse_time(text, now_ns=0, where="end")

    assert refused.value.where == "end"


@given(st.integers(-62_135_596_800 * 10**9, 253_402_300_800 * 10**9 - 1))
def test_what_is_written_is_read_back(ns):
    assert parse_time(rfc3339_ns(ns), now_ns=0, where="start") == ns


@given(st.integers())
def test_every_number_of_microseconds_has_a_datetime(us):
    back = microseconds_of(datetime_of(us))

    assert back == us or abs(us) > abs(back)
