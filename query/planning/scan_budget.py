"""How many records one query may scan without an index, and what is left out beyond that. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from query.planning.compile import LeafFilter
from query.planning.index_use import scans_leaves

MAX_SCANNED_ROWS = 2_000_000
"""Records that one query scans without an index: a second or two."""


TOO_MANY = "too many records to scan without an index"


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
        if scans_leaves(part.condition):
            rows += part.leaf.rows
            if rows > most_rows:
                left.append(part)
                continue
        taken.append(part)
    if not left:
        return taken, None
    return taken, missing_of(left, TOO_MANY)


def unreadable_of(parts: Iterable[LeafFilter]) -> Missing | None:
    """Segments whose pack could not be read, by name; None: there are none."""
    leaves = sorted([part.leaf for part in parts], key=lambda leaf: leaf.segment)
    if not leaves:
        return None
    names = ", ".join(f"{leaf.segment} ({leaf.class_name})" for leaf in leaves)
    what = "Segment" if len(leaves) == 1 else "Segments"
    detail = f"{what} {names} could not be read: pack missing or damaged. See opslog packs verify"
    return Missing(detail, len(leaves), sum(leaf.rows for leaf in leaves))


def both(one: Missing | None, other: Missing | None) -> Missing | None:
    """All that is missing."""
    if one is None or other is None:
        return one or other
    details = one.detail if one.detail == other.detail else f"{one.detail}. {other.detail}"
    return Missing(details, one.segments + other.segments, one.rows + other.rows)


def missing_of(parts: Sequence[LeafFilter], why: str) -> Missing:
    """These leaves were not searched, and why."""
    rows = sum(part.leaf.rows for part in parts)
    detail = f"Not everything was searched: {why}. Narrow the time range or filter by a field"
    return Missing(detail, len(parts), rows)
