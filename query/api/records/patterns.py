"""Message patterns: handler, models, route."""

import asyncio
from collections.abc import Iterable

import orjson
from aiohttp import web

from query.analysis.patterns import grouped
from query.api.http.call import Call, Route
from query.api.http.models import Model
from query.api.http.responses import conditional_response
from query.api.records.models import Explanation, LogRecord, NoticeModel, Partial
from query.api.records.querying import SAMPLE, Querying, notes, read_route
from query.planning.compile import Order
from query.planning.pages import Query
from query.planning.search import PATTERNS
from query.render.records import record_json
from storage.database.read import NO_STREAM
from storage.filtering.resolve import resolve


class Pattern(Model):
    """A message pattern."""

    pattern: str
    count: int
    level: str
    """Of the newest record."""
    sample: LogRecord


class Patterns(Model):
    """Message patterns, the most frequent first."""

    data: list[Pattern]
    sampled: bool
    """There are more records than the patterns are based on."""
    records: int
    """Number of records that the patterns are based on."""
    notice: str = ""
    notices: tuple[NoticeModel, ...] = ()
    partial: Partial | None = None
    explain: Explanation | None = None


class PatternRoutes:
    """The route that groups messages by pattern."""

    def __init__(self, querying: Querying) -> None:
        self._querying = querying
        self._from = querying.sources

    def routes(self) -> Iterable[Route]:
        """GET /api/v1/logs/patterns."""
        yield read_route(
            "/logs/patterns",
            self.patterns,
            action="logs.patterns",
            summary="Messages grouped by pattern",
            parameters=PATTERNS,
            response=Patterns,
        )

    async def patterns(self, call: Call) -> web.Response:
        """GET /api/v1/logs/patterns: messages by pattern, the most frequent first."""
        search = await self._querying.search(call, PATTERNS)
        scoped = self._querying.scoped(call, search)
        async with self._from.reader.session() as session:
            query = Query(await resolve(session, scoped.where), Order.NEWEST, SAMPLE)
            page = await self._from.pages.read(session, query)
            remarks = await self._querying.notices(session, scoped, is_empty=not page.rows)
            found = await asyncio.to_thread(grouped, [row["message"] for row in page.rows])
            found = found[: search.limit]
            samples = [page.rows[item.first] for item in found]
            streams = await self._from.streams.of(session, [row["stream_id"] for row in samples])
        call.rows = len(samples)
        parts = []
        for item, row in zip(found, samples, strict=True):
            head = {"pattern": item.pattern, "count": item.count, "level": row["level"]}
            record = record_json(row, streams.get(row["stream_id"], NO_STREAM))
            parts.append(orjson.dumps(head)[:-1] + b',"sample":' + record + b"}")
        more: dict[str, object] = {"sampled": page.has_more, "records": len(page.rows)}
        more |= notes(remarks, page.missing)
        body = b'{"data":[%s],' % b",".join(parts) + orjson.dumps(more)[1:]
        return conditional_response(call, body, is_closed=self._querying.is_closed(scoped))
