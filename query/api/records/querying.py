"""What the groups of routes over records share: their sources, and queries within a scope."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiohttp import web
from pydantic import BaseModel

from config.access import Permission
from config.errors import BadInput
from query.api.http.call import API, Call, Handler, Route
from query.api.http.responses import conditional_response
from query.auth.access_audit import AccessAudit
from query.auth.record_scope import confine, visible_kinds
from query.auth.tokens import Principal
from query.errors import Forbidden
from query.language.names import NO_NAMES
from query.language.terms import StoredAs
from query.planning.compile import Key
from query.planning.cursor import Cursors, Position
from query.planning.explain import EXPLAINED, Explain
from query.planning.index_use import is_id_lookup
from query.planning.known_names import KnownNames
from query.planning.notices import beyond_end, unknown_names
from query.planning.pages import Page, Pages, Query, key_of
from query.planning.scan_budget import Missing
from query.planning.search import Notice, Search, Shape, parse
from query.render.records import MEMBERS, page_json, records
from storage.database.read import Reader, Session, Streams, spent_on
from storage.filtering.filters import EVERYTHING, Filter, TimeRange, all_of
from storage.filtering.resolve import resolve

_SIGNS = frozenset(":=<>")
"""Queries without these have no names."""
SAMPLE = 5_000
"""Number of newest records that patterns and approximate facets are based on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What the handlers read from and write to."""

    reader: Reader
    pages: Pages
    known: KnownNames
    streams: Streams
    cursors: Cursors
    audit: AccessAudit
    stored_as: StoredAs
    now_ns: Callable[[], int]


@dataclass(frozen=True, slots=True)
class ScopedSearch:
    """A search, restricted to what the principal may read."""

    search: Search
    untimed: Filter
    """Kinds and filters without the time range; resources not resolved yet."""
    scope: Filter
    """What the principal may read of the kinds, without the filters of the search."""
    start_ns: int | None
    end_ns: int | None
    position: Position | None
    """Of the cursor."""

    @property
    def where(self) -> Filter:
        """The complete filter."""
        return all_of(TimeRange(self.start_ns, self.end_ns), self.untimed)


class Querying:
    """Parses searches, restricts them to the principal's scope, and returns pages of records."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources

    async def search(self, call: Call, shape: Shape, within: Filter = EVERYTHING) -> Search:
        """The search in a request's parameters. Raises BadInput, Forbidden."""
        search = await self.parse(call.request.query.items(), shape, within)
        if is_explained(search, call.principal):
            EXPLAINED.set(Explain())
        return search

    async def parse(
        self, pairs: Iterable[tuple[str, str]], shape: Shape, within: Filter = EVERYTHING
    ) -> Search:
        """The search in these parameters. Raises BadInput."""
        given = list(pairs)
        has_names = any(name == "q" and set(text) & _SIGNS for name, text in given)
        return parse(
            given,
            shape,
            now_ns=self.sources.now_ns(),
            stored_as=self.sources.stored_as,
            within=within,
            names=await self.sources.known.names() if has_names else NO_NAMES,
        )

    def scoped(
        self,
        call: Call,
        search: Search,
        *,
        telemetry: Permission = Permission.LOGS_READ,
        with_audit: bool = False,
    ) -> ScopedSearch:
        """The search within the principal's scope. Raises Forbidden, BadInput.

        `with_audit`: includes audit records by default, for principals who may read them.
        """
        start_ns, end_ns, position = search.start_ns, search.end_ns, None
        if search.cursor is not None:
            position = self.sources.cursors.open(search.cursor, search.digest)
            start_ns, end_ns = position.start_ns, position.end_ns
        principal = call.principal
        default = visible_kinds(principal.permissions) if with_audit else frozenset()
        kinds = search.kinds or default
        scope = confine(kinds, principal, telemetry=telemetry)
        untimed = all_of(scope, search.where)
        return ScopedSearch(search, untimed, scope, start_ns, end_ns, position)

    async def read(self, session: Session, scoped: ScopedSearch) -> Page:
        """The page of records that the search selects."""
        search = scoped.search
        after = None if scoped.position is None else scoped.position.after
        where = await resolve(session, scoped.where)
        query = Query(where, search.order, search.limit, after)
        return await self.sources.pages.read(session, query)

    async def page(self, call: Call, scoped: ScopedSearch) -> web.Response:
        """The page as JSON."""
        names = members(scoped.search)
        is_lookup = is_id_lookup(scoped.where)
        async with self.sources.reader.session(is_lookup=is_lookup) as session:
            page = await self.read(session, scoped)
            streams = await self.sources.streams.of(
                session, [row["stream_id"] for row in page.rows]
            )
            found = await self.notices(session, scoped, is_empty=not page.rows)
        call.rows = len(page.rows)
        with spent_on("render_s"):
            cursor = self.next_cursor(page, scoped)
            remarks = notes(found, page.missing)
            body = page_json(records(page.rows, streams, names), cursor, remarks)
        return conditional_response(call, body, cursor, is_closed=self.is_closed(scoped))

    async def notices(
        self, session: Session, scoped: ScopedSearch, *, is_empty: bool
    ) -> list[Notice]:
        """What a client should know about the result; `is_empty`: nothing was found."""
        search, pages = scoped.search, self.sources.known.pages
        found: list[Notice] = []
        if scoped.position is None and is_empty:
            within = all_of(TimeRange(scoped.start_ns, scoped.end_ns), scoped.scope)
            found += await unknown_names(session, pages, search, within)
        if scoped.position is None and "end" not in search.typed and scoped.end_ns is not None:
            where = scoped.untimed
            found += await beyond_end(session, pages, scoped.scope, where, scoped.end_ns)
        return [*found, *search.notices]

    def next_cursor(self, page: Page, scoped: ScopedSearch) -> str | None:
        """Cursor of the next page; None on the last one."""
        return self.cursor_after(key_of(page.rows[-1]) if page.has_more else None, scoped)

    def cursor_after(self, key: Key | None, scoped: ScopedSearch) -> str | None:
        """Cursor of what follows a row; None: nothing does."""
        if key is None:
            return None
        position = Position(key, scoped.start_ns, scoped.end_ns)
        return self.sources.cursors.seal(position, scoped.search.digest)

    def is_closed(self, scoped: ScopedSearch) -> bool:
        """Whether the range ends in the past, at a time that was given: the result is stable."""
        end_ns = scoped.end_ns
        is_past = end_ns is not None and end_ns < self.sources.now_ns()
        return "end" in scoped.search.typed and is_past


def is_explained(search: Search, principal: Principal) -> bool:
    """Whether the response explains the query. Raises Forbidden, BadInput.

    What is read depends on all records, whatever the principal may see of them.
    """
    if not is_true(search, "explain"):
        return False
    if Permission.OPERATIONS_READ not in principal.permissions or principal.modules is not None:
        raise Forbidden(f"explain requires {Permission.OPERATIONS_READ}, for all source modules")
    return True


def read_route(
    path: str,
    handler: Handler,
    *,
    action: str,
    summary: str,
    response: type[BaseModel],
    parameters: Shape | None = None,
) -> Route:
    """A GET route that returns records, or statistics of them."""
    return Route(
        method="GET",
        path=f"{API}{path}",
        handler=handler,
        permission=Permission.LOGS_READ,
        audit_permission=Permission.AUDIT_READ,
        action=action,
        tag="records",
        summary=summary,
        parameters=parameters,
        response=response,
    )


def is_true(search: Search, name: str) -> bool:
    """A control that is true or false; false by default. Raises BadInput."""
    text = search.only(name) or "false"
    if text not in {"true", "false"}:
        raise BadInput(f"{name} must be true or false", where=name)
    return text == "true"


def members(search: Search) -> frozenset[str] | None:
    """The selected members of the record; None: all."""
    text = search.only("fields")
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in MEMBERS:
            raise BadInput(f"Unknown field {name[:100]}. Use {', '.join(MEMBERS)}", where="fields")
    return frozenset(names)


def notes(notices: Iterable[Notice], missing: Missing | None) -> dict[str, object]:
    """The optional members of a response: notices, and what was not searched."""
    found: dict[str, object] = {}
    if items := list(notices):
        found["notice"] = ". ".join(item.detail for item in items)
        found["notices"] = [
            {"detail": item.detail, "change": dict(item.change) or None} for item in items
        ]
    if missing is not None:
        found["partial"] = {
            "detail": missing.detail,
            "segments": missing.segments,
            "rows": missing.rows,
        }
    return found
