"""Purge, in two steps, preview and confirmation: handler, model, route.

Package `retention` decides; the worker removes the records, and the second step waits for it.
"""

import asyncio
import re
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from aiohttp import web

from config.access import Permission
from config.settings import Settings
from query.api.http.call import API, Call, Route
from query.api.http.change_audit import record_change
from query.api.http.models import Model
from query.api.http.responses import json_response
from query.api.records.models import NoticeModel
from query.api.records.querying import Querying, ScopedSearch, notes
from query.planning.search import PURGE
from retention.errors import NothingSelected
from retention.purging import purge
from storage.database.pool import Pool
from storage.filtering.filters import EVERYTHING, Filter
from storage.record.times import rfc3339

WAIT_S = 25.0
"""How long the second step waits for the purge to finish; proxies time out after thirty."""
_POLL_S = 0.2
_TIME = re.compile(r"\d{1,20}", re.ASCII)


class PurgeResult(Model):
    """First step: a preview and the token. Second step: what was removed."""

    id: int
    token: str | None
    """For the second step; null in its response."""
    expires_at: datetime | None
    rows: int
    bytes: int
    segments: int
    held_rows: int
    protected_rows: int
    """Younger than the minimum retention of their class."""
    is_done: bool
    """false in the second step: still running; poll `retention/runs`."""
    notice: str = ""
    notices: tuple[NoticeModel, ...] = ()
    """Of the preview: how many matching records are dated after the default end."""


class PurgeRoutes:
    """The route that purges records."""

    def __init__(self, settings: Settings, querying: Querying, changes: Pool) -> None:
        """`changes`: connections of a role that may request purges."""
        self._settings = settings
        self._querying = querying
        self._changes = changes

    def routes(self) -> Iterable[Route]:
        """DELETE /api/v1/logs/purge."""
        yield Route(
            method="DELETE",
            path=f"{API}/logs/purge",
            handler=self.purge,
            permission=Permission.LOGS_PURGE,
            action="logs.purge",
            tag="retention",
            summary="Purge records: a preview; with the token of the preview, the purge",
            parameters=PURGE,
            response=PurgeResult,
        )

    async def purge(self, call: Call) -> web.Response:
        """DELETE /api/v1/logs/purge: without a token a preview, with it the purge."""
        search = await self._querying.search(call, PURGE)
        if search.where == EVERYTHING:
            raise NothingSelected("A purge needs a filter besides the time range", where="q")
        scoped = self._querying.scoped(call, search, telemetry=Permission.LOGS_PURGE)
        token = search.only("token")
        if token is not None:
            token, scoped = _end_of_preview(token, scoped)
            return await self._carry_out(call, scoped.where, token)
        await record_change(self._querying.sources.audit, call)
        request = purge.PurgeRequest(
            filter=scoped.where,
            shown=call.query,
            why=search.only("reason") or "requested through the API",
            requested_by=call.principal.subject,
        )
        async with self._changes.acquire() as connection:
            preview = await purge.request_purge(connection, connection, self._settings, request)
        async with self._querying.sources.reader.session() as session:
            remarks = await self._querying.notices(session, scoped, is_empty=False)
        return json_response(_preview_json(preview, scoped) | notes(remarks, None))

    async def _carry_out(self, call: Call, condition: Filter, token: str) -> web.Response:
        await record_change(self._querying.sources.audit, call)
        async with self._changes.acquire() as connection:
            purge_id = await purge.confirm(connection, condition, token, by=call.principal.subject)
        until_s = time.monotonic() + WAIT_S
        while True:
            async with self._changes.acquire() as connection:
                state = await purge.state_of(connection, purge_id)
            assert state is not None
            if state.done_at is not None or time.monotonic() > until_s:
                return json_response(_state_json(state), status=200 if state.done_at else 202)
            await asyncio.sleep(_POLL_S)


def _end_of_preview(token: str, scoped: ScopedSearch) -> tuple[str, ScopedSearch]:
    """The token, and the search with the default end that its preview had.

    The end is part of the token, because the default moves with the clock; the database compares
    the whole filter with that of the preview.
    """
    token, _, end_ns = token.partition(".")
    if "end" in scoped.search.typed or not _TIME.fullmatch(end_ns):
        return token, scoped
    return token, replace(scoped, end_ns=int(end_ns))


def _preview_json(preview: purge.PurgePreview, scoped: ScopedSearch) -> dict[str, object]:
    found = preview.estimate
    return {
        "id": preview.purge_id,
        "token": f"{preview.token}.{scoped.end_ns}",
        "expiresAt": rfc3339(preview.expires_at),
        "rows": found.rows,
        "bytes": found.size,
        "segments": found.segments,
        "heldRows": found.held_rows,
        "protectedRows": found.protected_rows,
        "isDone": False,
    }


def _state_json(state: purge.PurgeState) -> dict[str, object]:
    return {
        "id": state.purge_id,
        "token": None,
        "expiresAt": None,
        "rows": state.rows,
        "bytes": state.size,
        "segments": state.segments,
        "heldRows": state.held_rows,
        "protectedRows": state.protected_rows,
        "isDone": state.done_at is not None,
    }
