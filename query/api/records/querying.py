"""What handlers of records share: where they read, how a question becomes a page of JSON."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import orjson
from aiohttp import web

from config.access import Permission
from config.errors import BadInput
from query.api.http.call import Call
from query.auth.access_audit import AccessAudit
from query.auth.scope import confine, visible_kinds
from query.language.terms import StoredAs
from query.planning.cost import is_found_by_id
from query.planning.cursor import Cursors, Position
from query.planning.pages import Missing, Page, Pages, Question, key_of
from query.planning.search import Search, Shape, parse
from query.render.records import MEMBERS, page_json, records
from storage.database.read import Reader, Session, Streams
from storage.filtering.filters import EVERYTHING, Filter, TimeRange, all_of
from storage.filtering.resolve import resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What the handlers read from and write to."""

    reader: Reader
    pages: Pages
    streams: Streams
    cursors: Cursors
    audit: AccessAudit
    stored_as: StoredAs
    now_ns: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question within the asker's rights."""

    search: Search
    untimed: Filter
    """Kinds and filters, without the time; resources not yet resolved."""
    start_ns: int | None
    end_ns: int | None
    position: Position | None
    """Where the cursor stands."""

    @property
    def where(self) -> Filter:
        """All of it."""
        return all_of(TimeRange(self.start_ns, self.end_ns), self.untimed)


class Asking:
    """Reads questions and answers them with pages of records."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources

    def search(self, call: Call, shape: Shape, within: Filter = EVERYTHING) -> Search:
        """The question in a request's parameters. Raises BadInput."""
        return parse(
            call.request.query.items(),
            shape,
            now_ns=self.sources.now_ns(),
            stored_as=self.sources.stored_as,
            within=within,
        )

    def asked(
        self,
        call: Call,
        search: Search,
        *,
        telemetry: Permission = Permission.LOGS_READ,
        takes_audit: bool = False,
    ) -> Asked:
        """The question within the asker's rights. Raises Forbidden, BadInput.

        With `takes_audit` audit records belong to the answer of those who may read them.
        """
        start_ns, end_ns, position = search.start_ns, search.end_ns, None
        if search.cursor is not None:
            position = self.sources.cursors.open(search.cursor, search.digest)
            start_ns, end_ns = position.start_ns, position.end_ns
        asker = call.principal
        kinds = search.kinds or (visible_kinds(asker.permissions) if takes_audit else frozenset())
        untimed = all_of(confine(kinds, asker, telemetry=telemetry), search.where)
        return Asked(search, untimed, start_ns, end_ns, position)

    async def read(self, session: Session, asked: Asked) -> Page:
        """The page that is asked for."""
        search = asked.search
        after = None if asked.position is None else asked.position.after
        question = Question(await resolve(session, asked.where), search.order, search.limit, after)
        return await self.sources.pages.read(session, question)

    async def page(self, call: Call, asked: Asked) -> web.Response:
        """The page as JSON."""
        names = members(asked.search)
        is_lookup = is_found_by_id(asked.where)
        async with self.sources.reader.session(is_lookup=is_lookup) as session:
            page = await self.read(session, asked)
            streams = await self.sources.streams.of(
                session, [row["stream_id"] for row in page.rows]
            )
        call.rows = len(page.rows)
        cursor = self.next_cursor(page, asked)
        body = page_json(records(page.rows, streams, names), cursor, notes(asked.search, page))
        return finished(call, body, cursor, is_closed=self.is_closed(asked))

    def next_cursor(self, page: Page, asked: Asked) -> str | None:
        """Where the next page begins; None on the last one."""
        if not page.has_more:
            return None
        position = Position(key_of(page.rows[-1]), asked.start_ns, asked.end_ns)
        return self.sources.cursors.seal(position, asked.search.digest)

    def is_closed(self, asked: Asked) -> bool:
        """Whether the range lies in the past and does not move with the clock."""
        end_ns = asked.end_ns
        return "end" in asked.search.typed and end_ns is not None and end_ns < self.sources.now_ns()


def members(search: Search) -> frozenset[str] | None:
    """The members of the record that are wanted; None: all."""
    text = search.only("fields")
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in MEMBERS:
            raise BadInput(f"fields are some of {', '.join(MEMBERS)}", where="fields")
    return frozenset(names)


def notes(search: Search, page: Page) -> dict[str, object]:
    """Members that an answer has only when there is something to say."""
    found: dict[str, object] = {}
    if search.notice:
        found["notice"] = search.notice
    if page.missing is not None:
        found["partial"] = partial(page.missing)
    return found


def partial(missing: Missing) -> dict[str, object]:
    """What is missing, as the API says it."""
    return {"detail": missing.detail, "segments": missing.segments, "rows": missing.rows}


def finished(
    call: Call, body: bytes, cursor: str | None = None, *, is_closed: bool = False
) -> web.Response:
    """The JSON answer; with a tag that tells whether it has changed, where it hardly can."""
    answer = json_answer(body)
    if cursor is not None:
        following = call.request.rel_url.update_query(cursor=cursor)
        answer.headers["Link"] = f'<{following}>; rel="next"'
    if is_closed:
        tag = hashlib.sha256(body).hexdigest()[:32]
        if any(seen.value in {tag, "*"} for seen in call.request.if_none_match or ()):
            answer = web.Response(status=304)
        answer.headers["ETag"] = f'W/"{tag}"'
        answer.headers["Cache-Control"] = "private, no-cache"
    return answer


def json_answer(body: bytes, status: int = 200) -> web.Response:
    """An answer of JSON that is written already."""
    return web.Response(body=body, status=status, content_type="application/json")


def say(document: Mapping[str, object] | Iterable[object], status: int = 200) -> web.Response:
    """An answer of JSON."""
    return json_answer(orjson.dumps(document), status)
