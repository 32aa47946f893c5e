"""Dead letters, listed, shown, replayed and discarded: handlers, models, routes."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import Field, JsonValue

from config.access import Permission
from config.errors import BadInput
from query.api.http.bodies import Body, read_body
from query.api.http.call import API, Call, Route
from query.api.http.change_audit import record_change
from query.api.http.models import Model
from query.api.http.parameters import parameters, whole_number
from query.api.http.responses import json_response
from query.auth.access_audit import AccessAudit
from storage.database.pool import Pool
from storage.record.times import rfc3339
from storage.writing import replaying

PAGE_ROWS = 1000


class Discard(Body):
    """Why a dead letter is discarded."""

    reason: Annotated[str, Field(min_length=1, max_length=400)]


class DeadLetter(Model):
    """A row that PostgreSQL rejected."""

    id: int
    batch_id: str
    position: int
    class_name: Annotated[str, Field(alias="class")]
    sqlstate: str
    reason: str
    received_at: datetime
    created_at: datetime
    state: Literal["waiting", "replayed", "discarded"]
    note: str | None


class DeadLetterPage(Model):
    """Dead letters of a state, oldest first."""

    data: list[DeadLetter]
    next_cursor: str | None


class DeadLetterRow(DeadLetter):
    """A dead letter and its row, by column."""

    row: dict[str, JsonValue]


class DeadLetterOutcome(Model):
    """The result of a replay or discard."""

    id: int
    is_stored: bool
    reason: str


class DeadLetterRoutes:
    """The routes over dead letters."""

    def __init__(self, reader: Pool, changes: Pool, audit: AccessAudit) -> None:
        """`changes`: connections of a role that may store rows and change dead letters."""
        self._reader = reader
        self._changes = changes
        self._audit = audit

    def routes(self) -> Iterable[Route]:
        """List, show, replay, discard."""
        for path, handler, action, response, summary in (
            ("", self.list, "dead_letters.list", DeadLetterPage, "Rejected rows"),
            ("/{id}", self.one, "dead_letters.read", DeadLetterRow, "One rejected row"),
        ):
            yield Route(
                method="GET",
                path=f"{API}/dead-letters{path}",
                handler=handler,
                permission=Permission.OPERATIONS_READ,
                action=action,
                tag="evidence",
                summary=summary,
                response=response,
            )
        for verb, handler, summary, body in (
            ("replay", self.replay, "Store a rejected row after a fix", None),
            ("discard", self.discard, "Discard a rejected row", Discard),
        ):
            yield Route(
                method="POST",
                path=f"{API}/dead-letters/{{id}}/{verb}",
                handler=handler,
                permission=Permission.OPERATIONS_MANAGE,
                action=f"dead_letters.{verb}",
                tag="evidence",
                summary=summary,
                body=body,
                response=DeadLetterOutcome,
            )

    async def list(self, call: Call) -> web.Response:
        """GET /api/v1/dead-letters."""
        given = parameters(call, "state", "cursor")
        state = given.get("state", "waiting")
        if state not in replaying.STATES:
            raise BadInput(f"Unknown state. Use {', '.join(replaying.STATES)}", where="state")
        after = whole_number(given["cursor"], "cursor") if "cursor" in given else 0
        async with self._reader.acquire() as connection:
            rows = await replaying.letters(connection, state=state, limit=PAGE_ROWS, after=after)
        call.rows = len(rows)
        cursor = str(rows[-1]["dead_letter_id"]) if len(rows) == PAGE_ROWS else None
        return json_response({"data": [_json(dict(row)) for row in rows], "nextCursor": cursor})

    async def one(self, call: Call) -> web.Response:
        """GET /api/v1/dead-letters/{id}: with its row, as it would have been stored."""
        parameters(call)
        async with self._reader.acquire() as connection:
            found = await replaying.contents(connection, _id_of(call))
        call.rows = 1
        return json_response(_json(found) | {"row": found["row"]})

    async def replay(self, call: Call) -> web.Response:
        """POST /api/v1/dead-letters/{id}/replay."""
        parameters(call)
        number = _id_of(call)
        await record_change(self._audit, call)
        async with self._changes.acquire() as connection:
            outcome = await replaying.replay(connection, number, by=call.principal.subject)
        return json_response({"id": number, "isStored": outcome.stored, "reason": outcome.reason})

    async def discard(self, call: Call) -> web.Response:
        """POST /api/v1/dead-letters/{id}/discard."""
        parameters(call)
        number = _id_of(call)
        body = await read_body(call, Discard)
        await record_change(self._audit, call, body.reason)
        async with self._changes.acquire() as connection:
            await replaying.discard(
                connection, number, by=call.principal.subject, reason=body.reason
            )
        return json_response({"id": number, "isStored": False, "reason": body.reason})


def _id_of(call: Call) -> int:
    return whole_number(call.request.match_info["id"], "id")


def _json(row: Mapping[str, Any]) -> dict[str, object]:
    return {
        "id": row["dead_letter_id"],
        "batchId": str(row["batch_id"]),
        "position": row["position"],
        "class": row["class"],
        "sqlstate": row["sqlstate"],
        "reason": row["reason"],
        "receivedAt": rfc3339(row["received_at"]),
        "createdAt": rfc3339(row["made_at"]),
        "state": row["state"],
        "note": row["note"],
    }
