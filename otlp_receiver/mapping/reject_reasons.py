"""Reasons for rejecting a record (a closed set): names for metrics, messages for senders."""

from typing import Final

BAD_VALUE: Final = "bad_value"
BELOW_MIN_LEVEL: Final = "below_min_level"
TOO_MANY: Final = "too_many"
TOO_MUCH: Final = "too_much"

REASONS: Final[dict[str, str]] = {
    BAD_VALUE: "no object stands where a record (or a list of them) belongs; see OTLP/JSON",
    BELOW_MIN_LEVEL: "the level is below the minimum level of the ingest key; use another key",
    TOO_MANY: "the request has more records than limits.request_rows; send smaller batches",
    TOO_MUCH: "the request's records exceed 512 MiB as text; send smaller batches",
}
"""Explanation and advice by reason, for `error_message` of a partial success."""
