"""The time of a record: OTLP's points 97 to 101, 127."""

import pytest

from config.process.clock import utc_text
from otlp_receiver.mapping.columns.times import FUTURE_NS, PAST_NS
from tests.support.telemetry import (
    NOW_NS,
    log,
    logs_json,
    metadata_of,
    one_log,
    span,
    spans,
    stored,
)


def test_point_97_all_nine_digits_are_kept():
    """Exact, without conversion to float."""
    record = one_log(timeUnixNano=str(NOW_NS + 123_456_789))

    assert record.created_unix_ns == NOW_NS + 123_456_789
    assert "time_quality" not in metadata_of(record)


def test_point_98_without_a_time_the_observed_one_counts():
    """With a note in metadata; the observed time is always kept."""
    record = one_log(timeUnixNano="0", observedTimeUnixNano=str(NOW_NS - 5))

    assert record.created_unix_ns == NOW_NS - 5
    assert metadata_of(record)["time_quality"] == "observed"
    assert metadata_of(record)["otel"]["observed_ns"] == NOW_NS - 5


def test_point_99_without_both_the_arrival_counts():
    """Such a request cannot be recognized as a duplicate."""
    batch = stored(logs_json(log(timeUnixNano=None)))

    assert batch.records[0].created_unix_ns == NOW_NS
    assert metadata_of(batch.records[0])["time_quality"] == "received"
    assert not batch.every_record_has_time


def test_a_request_of_records_with_times_can_be_recognized():
    """An observed time counts as the record's own."""
    batch = stored(logs_json(log(), log(timeUnixNano=0, observedTimeUnixNano=5)))

    assert batch.every_record_has_time


@pytest.mark.parametrize(
    ("time_ns", "quality"),
    [
        (1, "past"),
        (NOW_NS - PAST_NS - 1, "past"),
        (NOW_NS - PAST_NS, ""),
        (NOW_NS + FUTURE_NS, ""),
        (NOW_NS + FUTURE_NS + 1, "future"),
        (2**63 - 1, "future"),
        (2**64 - 1, "future"),
    ],
)
def test_points_100_and_101_times_far_from_now_are_kept_and_marked(time_ns, quality):
    """Not clamped; the mark excludes them from a segment's time range."""
    record = one_log(timeUnixNano=str(time_ns))

    assert record.created_unix_ns == time_ns
    assert record.odd_time == bool(quality)
    assert metadata_of(record).get("time_quality", "") == quality
    assert utc_text(record.created_unix_ns)


@pytest.mark.parametrize(
    ("start", "end", "duration"),
    [
        (NOW_NS, NOW_NS + 5, 5),
        (NOW_NS, NOW_NS, 0),
        (NOW_NS, NOW_NS - 5, 0),
        (NOW_NS, 0, None),
        (0, NOW_NS, None),
        (1, 2**64 - 1, 2**63 - 1),
    ],
)
def test_point_127_durations_are_never_negative(start, end, duration):
    """An end before the start is 0, no end is NULL, the maximum is 292 years."""
    (record,) = spans(span(startTimeUnixNano=str(start), endTimeUnixNano=str(end)))

    assert record.duration_ns == duration
    assert record.created_unix_ns == (start or NOW_NS)
