"""The level of a record: OTLP's points 102 to 106, and the fallbacks for a missing number."""

import pytest

from config.levels import LEVEL_NAMES
from otlp_receiver.mapping.columns.levels import BY_NUMBER
from tests.support.telemetry import metadata_of, one_log

NUMBERS = [
    *((number, "DEBUG") for number in range(1, 9)),
    *((number, "INFO") for number in range(9, 13)),
    *((number, "WARN") for number in range(13, 17)),
    *((number, "ERROR") for number in range(17, 21)),
    *((number, "CRITICAL") for number in range(21, 25)),
]


@pytest.mark.parametrize(("number", "expected"), NUMBERS)
def test_point_102_the_number_decides(number, expected):
    """Ranges of four; the number is kept."""
    record = one_log(severityNumber=number)

    assert LEVEL_NAMES[record.level] == expected
    assert record.severity_number == number
    assert metadata_of(record)["otel"]["severity_number"] == number
    assert "level_source" not in metadata_of(record)


TEXTS = [
    *((text, "DEBUG") for text in ("trace", "finest", "finer", "fine", "config", "verbose")),
    *((text, "INFO") for text in ("info", "information", "informational", "notice")),
    *((text, "WARN") for text in ("warn", "warning")),
    *((text, "ERROR") for text in ("err", "error", "severe")),
    *((text, "CRITICAL") for text in ("crit", "critical", "alert", "fatal", "emerg", "panic")),
    *((text, "CRITICAL") for text in ("emergency", "FATAL", " Fatal ")),
    ("DEBUG", "DEBUG"),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_point_103_without_a_number_the_text_decides(text, expected):
    """Whole tokens, case-insensitive."""
    record = one_log(severityText=text)

    assert LEVEL_NAMES[record.level] == expected
    assert metadata_of(record)["level_source"] == "severity_text"


@pytest.mark.parametrize("text", ["", "my error happened", "errors", "5"])
def test_point_104_neither_is_info(text):
    """Free text is never searched."""
    record = one_log(severityText=text, body="error error")

    assert LEVEL_NAMES[record.level] == "INFO"
    assert metadata_of(record)["otel"]["severity_number"] == 0
    assert metadata_of(record)["level_source"] == "default"


def test_point_105_the_number_wins_over_the_text():
    """The text is kept as sent."""
    record = one_log(severityNumber=9, severityText="ERROR")

    assert LEVEL_NAMES[record.level] == "INFO"
    assert metadata_of(record)["otel"]["severity_text"] == "ERROR"


@pytest.mark.parametrize("number", [25, 99, -1, 2**31 - 1, -(2**31)])
def test_point_106_a_number_out_of_range_is_none(number):
    """The enum is open: kept, and read as 0."""
    record = one_log(severityNumber=number, severityText="warn")

    assert LEVEL_NAMES[record.level] == "WARN"
    assert metadata_of(record)["otel"]["severity_number"] == number


@pytest.mark.parametrize(
    ("fields", "attributes", "expected", "source"),
    [
        ({"body": {"level": "warn"}}, {}, "WARN", "body"),
        ({"body": {"level": 30, "severity": "Error"}}, {}, "ERROR", "body"),
        ({"body": {"level": "nonsense"}}, {}, "INFO", "default"),
        ({}, {"exception.type": "E"}, "ERROR", "exception"),
        ({"body": {"level": "info"}}, {"exception.type": "E"}, "INFO", "body"),
        ({}, {"audit.outcome": "Failure"}, "WARN", "audit_outcome"),
        ({}, {"audit.outcome": "success"}, "INFO", "default"),
        ({}, {"audit.outcome": 5}, "INFO", "default"),
    ],
    ids=str,
)
def test_then_body_exception_and_outcome(fields, attributes, expected, source):
    """Body, exception, audit outcome, INFO; the source is recorded."""
    record = one_log(attributes, **fields)

    assert LEVEL_NAMES[record.level] == expected
    assert metadata_of(record)["level_source"] == source


def test_the_tables_are_those_of_the_documentation():
    """24 numbers; test_document.py compares the texts."""
    assert sorted(BY_NUMBER) == list(range(1, 25))
