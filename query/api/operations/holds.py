"""Legal holds, listed, added and released: handlers, models, routes."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated

from aiohttp import web
from pydantic import Field

from config.access import Permission
from config.errors import BadInput
from query.api.http.bodies import Body, read_body
from query.api.http.call import API, Call, Route
from query.api.http.change_audit import record_change
from query.api.http.models import Model
from query.api.http.parameters import parameters
from query.api.http.responses import json_response
from query.api.operations.times import time_or_null
from query.api.records.querying import Querying
from query.language.filter_parameters import FILTERS, one_text
from query.planning.search import HOLD, Search
from retention.errors import NoSuchHold
from retention.holding import holds
from retention.holding.holds import Hold, HoldRequest
from storage.database.pool import Pool
from storage.filtering.filters import Filter, TimeRange, all_of
from storage.record.times import rfc3339


class NewHold(Body):
    """Which records to hold, why, until when."""

    q: str = ""
    """Query; together with the times and `filter` it must select something."""
    filter: Annotated[dict[str, str | list[str]], Field(default_factory=dict)]
    """Filter parameters of GET /api/v1/logs: `{"actorId": "u-42"}`."""
    start: str | None = None
    end: str | None = None
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    name: Annotated[str, Field(min_length=1, max_length=100)] = "hold"
    until: Annotated[datetime | None, Field(strict=False)] = None


class HoldRow(Model):
    """A legal hold, active or past."""

    id: int
    name: str
    q: str
    """The query, as given."""
    reason: str
    created_by: str
    created_at: datetime
    until: datetime | None
    released_at: datetime | None
    released_by: str | None
    release_reason: str | None
    is_active: bool


class HoldRows(Model):
    """Holds, newest first."""

    data: list[HoldRow]
    next_cursor: None


class HoldRoutes:
    """The routes over legal holds."""

    def __init__(self, querying: Querying, reader: Pool, changes: Pool) -> None:
        """`changes`: connections of a role that may add holds."""
        self._querying = querying
        self._reader = reader
        self._changes = changes

    def routes(self) -> Iterable[Route]:
        """List, add, release."""
        yield Route(
            method="GET",
            path=f"{API}/holds",
            handler=self.list,
            permission=Permission.OPERATIONS_READ,
            action="holds.list",
            tag="retention",
            summary="Legal holds",
            response=HoldRows,
        )
        yield Route(
            method="POST",
            path=f"{API}/holds",
            handler=self.add,
            permission=Permission.HOLDS_MANAGE,
            action="holds.add",
            tag="retention",
            summary="Add a legal hold",
            body=NewHold,
            response=HoldRow,
            status=201,
        )
        yield Route(
            method="DELETE",
            path=f"{API}/holds/{{id}}",
            handler=self.release,
            permission=Permission.HOLDS_MANAGE,
            action="holds.release",
            tag="retention",
            summary="Release a legal hold",
            response=HoldRow,
        )

    async def list(self, call: Call) -> web.Response:
        """GET /api/v1/holds."""
        parameters(call)
        async with self._reader.acquire() as connection:
            found = await holds.all_holds(connection)
        call.rows = len(found)
        return json_response({"data": [_json(hold) for hold in found], "nextCursor": None})

    async def add(self, call: Call) -> web.Response:
        """POST /api/v1/holds: 201; the hold is in force when the response is sent."""
        body = await read_body(call, NewHold)
        pairs = [("q", body.q)]
        pairs += list(_filter_pairs(body.filter))
        pairs += [(key, text) for key, text in (("start", body.start), ("end", body.end)) if text]
        sources = self._querying.sources
        search = await self._querying.parse(pairs, HOLD)
        shown = " ".join(f"{name}={value}" if name != "q" else value for name, value in pairs)
        request = HoldRequest(
            name=body.name,
            filter=_selected(search),
            shown=shown.strip(),
            why=body.reason,
            made_by=call.principal.subject,
            ends_at=body.until,
        )
        await record_change(sources.audit, call, f"hold {shown}: {body.reason}")
        async with self._changes.acquire() as connection:
            return json_response(_json(await holds.add(connection, request)), status=201)

    async def release(self, call: Call) -> web.Response:
        """DELETE /api/v1/holds/{id}."""
        number = one_text("id", (call.request.match_info["id"],))
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise NoSuchHold(f"there is no hold {number[:20]}")
        why = parameters(call, "reason").get("reason") or "released"
        await record_change(self._querying.sources.audit, call)
        async with self._changes.acquire() as connection:
            released = await holds.release(
                connection, int(number), by=call.principal.subject, why=why[:2000]
            )
        return json_response(_json(released))


def _filter_pairs(given: Mapping[str, str | list[str]]) -> Iterator[tuple[str, str]]:
    for name, values in given.items():
        if name not in FILTERS and not name.startswith(("attr.", "resource.")):
            raise BadInput(f"filter: Unknown parameter {name[:100]}", where="filter")
        for value in [values] if isinstance(values, str) else values:
            yield name, value


def _selected(search: Search) -> Filter:
    times = TimeRange(search.start_ns, search.end_ns)
    if times == TimeRange(None, None):
        return search.where
    return all_of(times, search.where)


def _json(hold: Hold) -> dict[str, object]:
    return {
        "id": hold.hold_id,
        "name": hold.name,
        "q": hold.shown,
        "reason": hold.why,
        "createdBy": hold.made_by,
        "createdAt": rfc3339(hold.made_at),
        "until": time_or_null(hold.ends_at),
        "releasedAt": time_or_null(hold.released_at),
        "releasedBy": hold.released_by,
        "releaseReason": hold.released_why,
        "isActive": hold.is_active(datetime.now(UTC)),
    }
