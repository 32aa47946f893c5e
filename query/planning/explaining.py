"""Collects what the scans of one request read, for `explain=true`.

A request sets `EXPLAINED`; whatever reads for it adds to `explained()`, in the task of the request:
threads that read packs do not have it.
"""

from contextvars import ContextVar

from query.planning.explain import Explain
from query.planning.pages import Page, Pages, Query
from storage.database.read import Session

EXPLAINED: ContextVar[Explain | None] = ContextVar("opslog_explained", default=None)
"""Of the current request; None: it wants no explanation."""


def add_explained(part: Explain) -> None:
    """Add what a part of the current request read."""
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


class ExplainedPages(Pages):
    """Pages whose explanations are part of the request's."""

    async def read(self, session: Session, query: Query) -> Page:
        """As of Pages."""
        page = await super().read(session, query)
        add_explained(page.explain)
        return page
