"""What both routes over traces read of a span."""

from config.levels import Level
from query.planning.compile import key_and
from storage.database.read import Row
from storage.record.times import microseconds_of

MAX_SPANS = 10_000
"""Records of one trace that its summary covers."""
SPAN_COLUMNS = key_and(
    *("kind", "level", "source_module", "action", "span_id", "parent_span_id", "duration_ns"),
    "trace_id",
)
ERRORS = frozenset({Level.ERROR.name, Level.CRITICAL.name})


def start_ns(row: Row) -> int:
    """Start of a span in nanoseconds since 1970."""
    return microseconds_of(row["created_at"]) * 1000 + int(row["created_ns"])
