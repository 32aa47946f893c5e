"""How many records one query may scan without an index, and what is left out beyond that. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from query.planning.compile import LeafFilter
from query.planning.index_use import scans_leaf

MAX_SCANNED_ROWS = 2_000_000
"""Records that one query scans without an index: a second or two."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What a query did not search."""

    detail: str
    segments: int
    rows: int
    """Approximate number of records not searched."""


def within_budget(
    chosen: Sequence[LeafFilter], *, most_rows: int = MAX_SCANNED_ROWS
) -> tuple[list[LeafFilter], Missing | None]:
    """The leaves that can be read in time; of those that need a scan, the first ones in order."""
    taken, left, rows = [], [], 0
    for part in chosen:
        if scans_leaf(part.condition, part.leaf):
            rows += part.leaf.rows
            if rows > most_rows:
                left.append(part)
                continue
        taken.append(part)
    if not left:
        return taken, None
    return taken, missing_of(left, "too many records to scan without an index")


def missing_of(parts: Sequence[LeafFilter], why: str) -> Missing:
    """These leaves were not searched, and why."""
    rows = sum(part.leaf.rows for part in parts)
    detail = f"Not everything was searched: {why}. Narrow the time range or filter by a field"
    return Missing(detail, len(parts), rows)
