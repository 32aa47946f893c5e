"""What a query read and what it skipped, for `explain=true` and tests. Pure.

A request that wants to know sets `EXPLAINED`; what reads for it calls `add_explained` in the task
of the request: threads that read packs have an Explain of their own.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum


class Skipped(StrEnum):
    """Why a segment or a block was not read."""

    CATALOGUE = "catalogue"
    """Class, level, kind or times of the segment."""
    COUNTERS = "counters"
    """The segment has no such kind or source module."""
    BLOOM = "bloom"
    """The class's filters of trace and correlation ids."""
    ZONE_MAP = "zoneMap"
    """Times or durations of the block."""
    SIGNATURE = "signature"
    """Tokens and grams of the block."""
    TEMPLATES = "templates"
    """Counted from the pack's message templates."""
    PAGE_FULL = "pageFull"
    """Could not have rows before those found."""
    LIMIT = "limit"
    """Time or scan budget was spent."""
    UNREADABLE = "unreadable"
    """The pack is missing or damaged."""


class Stage(StrEnum):
    """What time was spent on."""

    PLAN = "plan"
    DATABASE = "database"
    OPEN = "open"
    CANDIDATES = "candidates"
    FILTER = "filter"
    ROWS = "rows"


@dataclass(slots=True)
class Explain:
    """Counts of one query; segments are leaves and packs together."""

    segments: int = 0
    """Segments of the catalogue."""
    segments_skipped: dict[Skipped, int] = field(default_factory=dict)
    leaves_read: int = 0
    packs_read: int = 0
    blocks: int = 0
    """Blocks of the packs that were opened."""
    blocks_skipped: dict[Skipped, int] = field(default_factory=dict)
    blocks_read: int = 0
    rows_scanned: int = 0
    """Rows of the blocks that were read."""
    rows_found: int = 0
    """Rows of the page, or counted ones."""
    stages_ms: dict[Stage, float] = field(default_factory=dict)

    def skip_segments(self, why: Skipped, count: int = 1) -> None:
        """Count segments that were not read."""
        if count:
            self.segments_skipped[why] = self.segments_skipped.get(why, 0) + count

    def skip_blocks(self, why: Skipped, count: int = 1) -> None:
        """Count blocks that were not read."""
        if count:
            self.blocks_skipped[why] = self.blocks_skipped.get(why, 0) + count

    def spend(self, stage: Stage, seconds: float) -> None:
        """Add time to a stage."""
        self.stages_ms[stage] = self.stages_ms.get(stage, 0.0) + seconds * 1000

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Add the time of a block of code to a stage."""
        begin_s = time.perf_counter()
        try:
            yield
        finally:
            self.spend(stage, time.perf_counter() - begin_s)

    def shown(self) -> dict[str, object]:
        """As JSON: counts by reason, and milliseconds by stage."""
        return {
            "segments": {
                "considered": self.segments,
                "skipped": {why.value: count for why, count in self.segments_skipped.items()},
                "leavesRead": self.leaves_read,
                "packsRead": self.packs_read,
            },
            "blocks": {
                "considered": self.blocks,
                "skipped": {why.value: count for why, count in self.blocks_skipped.items()},
                "read": self.blocks_read,
            },
            "rows": {"scanned": self.rows_scanned, "found": self.rows_found},
            "stagesMs": {stage.value: round(ms, 3) for stage, ms in self.stages_ms.items()},
        }


EXPLAINED: ContextVar[Explain | None] = ContextVar("opslog_explained", default=None)
"""Of the current request; None: it wants no explanation."""


def add_explained(part: Explain) -> None:
    """Add what a part of the current request read.

    A request of several searches has the segments of each, so a segment may count several times.
    """
    whole = EXPLAINED.get()
    if whole is None:
        return
    whole.segments += part.segments
    whole.leaves_read += part.leaves_read
    whole.packs_read += part.packs_read
    whole.blocks += part.blocks
    whole.blocks_read += part.blocks_read
    whole.rows_scanned += part.rows_scanned
    whole.rows_found += part.rows_found
    for why, count in part.segments_skipped.items():
        whole.skip_segments(why, count)
    for why, count in part.blocks_skipped.items():
        whole.skip_blocks(why, count)
    for stage, spent_ms in part.stages_ms.items():
        whole.spend(stage, spent_ms / 1000)
