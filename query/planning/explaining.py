"""Pages of records whose explanations become part of the request's."""

from query.planning.explain import add_explained
from query.planning.pages import Page, Pages, Query
from storage.database.read import Session


class ExplainedPages(Pages):
    """Pages whose explanations are part of the request's."""

    async def read(self, session: Session, query: Query) -> Page:
        """As of Pages."""
        page = await super().read(session, query)
        add_explained(page.explain)
        return page
