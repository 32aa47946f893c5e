"""Times in the responses of operations."""

from datetime import datetime

from storage.record.times import rfc3339


def time_or_null(at: datetime | None) -> str | None:
    """RFC 3339, or None."""
    return None if at is None else rfc3339(at)
