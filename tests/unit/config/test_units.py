"""Human-readable durations and sizes."""

import pytest

from config.errors import SetupError
from config.process.clock import now_ns, utc_text
from config.units import duration_s, duration_text, size_bytes, size_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7d", 604800),
        ("12h", 43200),
        ("1y", 31536000),
        ("1d12h", 129600),
        (" 1 d 12 h ", 129600),
        ("30min", 1800),
        ("30m", 1800),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("2W", 1209600),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    """Case and spaces are ignored."""
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", " ", "7", "d", "7 parsecs", "7d!", "-7d", "1h 2"])
def test_an_invalid_duration_is_rejected_with_examples(text: str) -> None:
    """A bare number has no unit, so it is not a duration."""
    with pytest.raises(SetupError, match="use for example 7d"):
        duration_s(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1b", 1),
        ("64MiB", 2**26),
        ("64M", 2**26),
        ("1MB", 10**6),
        ("1.5k", 1536),
        ("2TiB", 2**41),
        (" 4096 ", 4096),
    ],
)
def test_sizes(text: str, size: int) -> None:
    """MiB is 2^20, MB is 10^6."""
    assert size_bytes(text) == size


def test_an_invalid_size_is_rejected() -> None:
    """With examples."""
    with pytest.raises(SetupError, match="'64 MeB' is not a size"):
        size_bytes("64 MeB")


@pytest.mark.parametrize("text", ["7d", "36h", "90min", "61s", "250ms", "0s"])
def test_durations_round_trip(text: str) -> None:
    """Whole units only."""
    assert duration_text(duration_s(text)) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**50, "1024.0 TiB")]
)
def test_sizes_are_rounded(size: int, text: str) -> None:
    """TiB is the largest unit."""
    assert size_text(size) == text


def test_times_show_all_nine_digits() -> None:
    """More than a float could represent."""
    assert utc_text(1) == "1970-01-01T00:00:00.000000001Z"
    assert utc_text(-1) == "1969-12-31T23:59:59.999999999Z"
    assert utc_text(now_ns()).endswith("Z")
