"""Why a record was not taken: the closed list. Counted by these names, told in these sentences."""

from typing import Final

BAD_VALUE: Final = "bad_value"
BELOW_MIN_LEVEL: Final = "below_min_level"
TOO_MANY: Final = "too_many"
TOO_MUCH: Final = "too_much"

REASONS: Final[dict[str, str]] = {
    BAD_VALUE: "a field has a value of the wrong type or out of range; send it as OTLP/JSON says",
    BELOW_MIN_LEVEL: "the level is below the minimum of the ingest key; send it with another key",
    TOO_MANY: "the request holds more records than limits.request_rows; send smaller batches",
    TOO_MUCH: "the request's records take more than 512 MiB as text; send smaller batches",
}
"""Reason to what the sender can do about it, for `error_message` of a partial success."""
