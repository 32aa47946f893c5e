"""The zone map of a segment: levels, kinds and times of its rows, from the catalogue. Pure."""

from datetime import timedelta

from config.levels import Level
from storage.filtering.prune import FOREVER_US, Leaf
from storage.record.classes import AUDIT, CLASS_BY_LEVEL
from storage.record.fields import Kind
from storage.record.times import microseconds_of
from storage.segments.catalogue import Segment

# Plausible times: [received - 400 days, received + 1 day]; rows outside are counted as odd and
# excluded from the zone map (storage/record/copy_binary.py, `odd_time`).
_PLAUSIBLE_BEFORE_US = timedelta(days=400) // timedelta(microseconds=1)
_PLAUSIBLE_AFTER_US = timedelta(days=1) // timedelta(microseconds=1)

_FINAL_STATES = frozenset({"closed", "sealed", "packed"})
_LEVEL_CLASSES = {
    name: frozenset({level}) for name, level in zip(CLASS_BY_LEVEL, Level, strict=True)
}
_TELEMETRY = frozenset({Kind.LOG, Kind.SPAN})


def leaf_of(segment: Segment) -> Leaf:
    """The catalogue's row as a Leaf for pruning."""
    name = segment.class_name
    kinds = frozenset({Kind.AUDIT}) if name == AUDIT else None
    return Leaf(
        segment=segment.number,
        levels=_LEVEL_CLASSES.get(name),
        kinds=_TELEMETRY if name in _LEVEL_CLASSES else kinds,
        spans_us=_spans(segment),
        rows=segment.rows_estimate if segment.rows is None else segment.rows,
        is_packed=segment.is_packed,
        class_name=name,
        data_hash=segment.data_hash,
        is_ready=segment.state == "ready",
        opened_us=None if segment.opened_at is None else microseconds_of(segment.opened_at),
    )


def _spans(segment: Segment) -> tuple[tuple[int, int], ...]:
    # An open segment still grows, and one that was just closed has no totals yet.
    if segment.state not in _FINAL_STATES or segment.rows is None:
        return ((-FOREVER_US, FOREVER_US),)
    spans = []
    if segment.min_created_at is not None and segment.max_created_at is not None:
        spans.append(
            (microseconds_of(segment.min_created_at), microseconds_of(segment.max_created_at))
        )
    if segment.odd_times and segment.min_received_at and segment.max_received_at:
        # Odd rows may lie anywhere outside the plausible range of every row's arrival.
        spans.append((-FOREVER_US, microseconds_of(segment.max_received_at) - _PLAUSIBLE_BEFORE_US))
        spans.append((microseconds_of(segment.min_received_at) + _PLAUSIBLE_AFTER_US, FOREVER_US))
    return tuple(spans)
