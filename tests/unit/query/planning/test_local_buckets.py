"""Buckets of a time zone begin with its hours and days."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import BadInput
from query.planning.counting import Counts
from query.planning.local_buckets import LocalBuckets, zone_of

HOUR_S = 3600
DAY_S = 24 * HOUR_S
ZONES = st.sampled_from(sorted(name for name in available_timezones() if "/" in name))
STARTS = st.integers(946_684_800, 1_893_456_000)  # 2000 to 2030


@given(ZONES, STARTS, st.integers(1, 30), st.sampled_from([1, 2, 7]))
def test_days_begin_at_the_first_moment_of_the_day(name, start_s, days, step):
    zone = zone_of(name)
    end_s = start_s + days * DAY_S
    begins = list(LocalBuckets(zone, step * DAY_S).begins(start_s, end_s))

    assert begins[0] <= start_s
    assert begins == sorted(set(begins))
    for at in begins:
        local = datetime.fromtimestamp(at, zone)
        before = datetime.fromtimestamp(at - 1, zone)
        assert local.date() > before.date()
        assert step != 7 or local.weekday() == 0 or local.date() != before.date()


@given(ZONES, STARTS, st.integers(1, 10), st.sampled_from([1, 3, 6, 12, 24, 168]))
def test_each_short_bucket_is_in_one_that_begins(name, start_s, days, hours):
    start_s -= start_s % 900
    end_s = start_s + days * DAY_S
    buckets = LocalBuckets(zone_of(name), hours * HOUR_S)
    short_s = buckets.short_s(start_s, end_s)
    found = Counts()
    for at in range(start_s - start_s % short_s, end_s, short_s):
        found.counts[at, "x"] = 1
    total = len(found.counts)
    buckets.together(found)

    assert sum(found.counts.values()) == total
    begins = set(buckets.begins(start_s - start_s % short_s, end_s))
    assert {at for at, _ in found.counts} <= begins


def test_days_of_summer_time_have_their_own_lengths():
    buckets = LocalBuckets(ZoneInfo("Europe/Berlin"), DAY_S)
    for month, day, hours in ((3, 29, 23), (10, 25, 25), (6, 1, 24)):
        start = datetime(2026, month, day, 12, tzinfo=UTC)
        first, second = list(
            buckets.begins(int(start.timestamp()), int(start.timestamp()) + DAY_S)
        )[:2]
        assert second - first == hours * HOUR_S


@pytest.mark.parametrize(
    "name", ["Europe/Berlin2", "../etc/passwd", "/etc/passwd", "Europe", "x\0"]
)
def test_an_unknown_zone_is_refused(name):
    with pytest.raises(BadInput, match="time zone"):
        zone_of(name)
