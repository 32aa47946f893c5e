"""The handlers of retention: plan, runs, status, segments, legal holds, purge.

Everything is decided and done in the room `retention`; here it is asked for, permitted, recorded
and shown. A purge is carried out by the worker; its second step waits for it for a while.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated

from aiohttp import web
from pydantic import Field

from config.access import Permission
from config.errors import BadInput
from config.settings import Settings
from query.api.http.bodies import Body, read_body
from query.api.http.call import Call
from query.api.http.changes import recorded
from query.api.operations.retention_shown import (
    class_shown,
    hold_shown,
    purged_shown,
    run_shown,
    segment_shown,
    step_shown,
    time_text,
)
from query.api.records.querying import Asking, say
from query.language.parameters import FILTERS, one_text
from query.planning.search import HOLD, PURGE, Search, parse
from retention.errors import NoSuchHold, NothingSelected
from retention.holding import holds
from retention.holding.holds import Wish
from retention.holding.matching import Catalogued
from retention.policy.catalogue import stored_segments
from retention.purging import purge
from retention.reporting import history
from retention.reporting.forecast import forecast
from retention.reporting.status import status_of
from storage.database.pool import Pool
from storage.filtering.filters import EVERYTHING, Filter, TimeRange, all_of
from storage.record.times import rfc3339

MOST_STEPS = 500
MOST_RUNS = 50
WAIT_S = 25.0
"""The second step of a purge waits this long for its end; proxies give up after thirty."""
_LOOK_S = 0.2


class NewHold(Body):
    """What is to be held, why, until when."""

    q: str = ""
    """In the search language; with the times and `filter` it must select something."""
    filter: Annotated[dict[str, str | list[str]], Field(default_factory=dict)]
    """The same by parameters of GET /api/v1/logs: `{"actorId": "u-42"}`."""
    start: str | None = None
    end: str | None = None
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    name: Annotated[str, Field(min_length=1, max_length=100)] = "hold"
    until: Annotated[datetime | None, Field(strict=False)] = None


class RetentionRoutes:
    """Answers questions about retention, and takes its orders."""

    def __init__(self, settings: Settings, asking: Asking, reader: Pool, changes: Pool) -> None:
        """`changes`: connections of a role that may make holds and ask for purges."""
        self._settings = settings
        self._asking = asking
        self._reader = reader
        self._changes = changes

    async def plan(self, call: Call) -> web.Response:
        """GET /api/v1/retention/plan."""
        _no_parameters(call)
        async with self._reader.acquire() as connection:
            plan = (await forecast(connection, self._settings, datetime.now(UTC))).plan
        steps = [step_shown(step, is_due=True) for step in plan.steps]
        steps += [step_shown(step, is_due=False) for step in plan.later]
        call.rows = len(steps)
        return say(
            {
                "data": steps[:MOST_STEPS],
                "nextCursor": None,
                "rows": plan.rows,
                "bytes": plan.size,
                "segments": len(plan.going),
            }
        )

    async def runs(self, call: Call) -> web.Response:
        """GET /api/v1/retention/runs."""
        before = _before(_only(call, "cursor").get("cursor"))
        async with self._reader.acquire() as connection:
            found = await history.runs(connection, most=MOST_RUNS, before=before)
        call.rows = len(found)
        cursor = str(found[-1].run_id) if len(found) == MOST_RUNS else None
        return say({"data": [run_shown(run) for run in found], "nextCursor": cursor})

    async def status(self, call: Call) -> web.Response:
        """GET /api/v1/retention/status."""
        _no_parameters(call)
        async with self._reader.acquire() as connection:
            found = await status_of(connection, self._settings, datetime.now(UTC))
        call.rows = len(found.classes)
        backlog = found.backlog
        return say(
            {
                "data": [class_shown(each) for each in found.classes],
                "nextCursor": None,
                "backlog": {
                    "segments": backlog.segments,
                    "rows": backlog.rows,
                    "seconds": round(backlog.seconds, 1),
                },
                "lastRun": time_text(found.last_run),
                "problems": found.problems,
            }
        )

    async def segments(self, call: Call) -> web.Response:
        """GET /api/v1/segments."""
        _no_parameters(call)
        async with self._reader.acquire() as connection:
            catalogued = (await Catalogued.read(connection)).by_number
            found = await stored_segments(connection)
        call.rows = len(found)
        rows = [segment_shown(each, catalogued.get(each.segment)) for each in reversed(found)]
        return say({"data": rows, "nextCursor": None})

    async def holds(self, call: Call) -> web.Response:
        """GET /api/v1/holds."""
        _no_parameters(call)
        async with self._reader.acquire() as connection:
            found = await holds.all_holds(connection)
        call.rows = len(found)
        return say({"data": [hold_shown(hold) for hold in found], "nextCursor": None})

    async def hold(self, call: Call) -> web.Response:
        """POST /api/v1/holds: 201; it is in force when this is answered."""
        wish = await read_body(call, NewHold)
        pairs = [("q", wish.q)]
        pairs += list(_filter_pairs(wish.filter))
        pairs += [(key, text) for key, text in (("start", wish.start), ("end", wish.end)) if text]
        sources = self._asking.sources
        search = parse(pairs, HOLD, now_ns=sources.now_ns(), stored_as=sources.stored_as)
        shown = " ".join(f"{name}={value}" if name != "q" else value for name, value in pairs)
        asked = Wish(
            name=wish.name,
            filter=_selected(search),
            shown=shown.strip(),
            why=wish.reason,
            made_by=call.principal.subject,
            ends_at=wish.until,
        )
        await recorded(sources.audit, call, f"hold {shown}: {wish.reason}")
        async with self._changes.acquire() as connection:
            return say(hold_shown(await holds.add(connection, asked)), status=201)

    async def release(self, call: Call) -> web.Response:
        """DELETE /api/v1/holds/{id}."""
        number = one_text("id", (call.request.match_info["id"],))
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise NoSuchHold(f"there is no hold {number[:20]}")
        why = _only(call, "reason").get("reason") or "released"
        await recorded(self._asking.sources.audit, call)
        async with self._changes.acquire() as connection:
            released = await holds.release(
                connection, int(number), by=call.principal.subject, why=why[:2000]
            )
        return say(hold_shown(released))

    async def purge(self, call: Call) -> web.Response:
        """DELETE /api/v1/logs/purge: what would go, and with the token: it goes."""
        search = self._asking.search(call, PURGE)
        if search.where == EVERYTHING:
            raise NothingSelected("a purge needs a filter besides times", where="q")
        asked = self._asking.asked(call, search, telemetry=Permission.LOGS_PURGE)
        token = search.only("token")
        if token is not None:
            return await self._carry_out(call, asked.where, token)
        await recorded(self._asking.sources.audit, call)
        wish = purge.PurgeWish(
            filter=asked.where,
            shown=call.question,
            why=search.only("reason") or "asked for through the API",
            asked_by=call.principal.subject,
        )
        async with self._changes.acquire() as connection:
            made = await purge.ask(connection, connection, self._settings, wish)
        found = made.estimate
        return say(
            {
                "id": made.purge_id,
                "token": made.token,
                "expiresAt": rfc3339(made.expires_at),
                "rows": found.rows,
                "bytes": found.size,
                "segments": found.segments,
                "heldRows": found.held_rows,
                "protectedRows": found.protected_rows,
                "isDone": False,
            }
        )

    async def _carry_out(self, call: Call, condition: Filter, token: str) -> web.Response:
        await recorded(self._asking.sources.audit, call)
        async with self._changes.acquire() as connection:
            purge_id = await purge.confirm(connection, condition, token, by=call.principal.subject)
        until_s = time.monotonic() + WAIT_S
        while True:
            async with self._changes.acquire() as connection:
                state = await purge.state_of(connection, purge_id)
            assert state is not None
            if state.done_at is not None or time.monotonic() > until_s:
                return say(purged_shown(state), status=200 if state.done_at else 202)
            await asyncio.sleep(_LOOK_S)


def _filter_pairs(given: Mapping[str, str | list[str]]) -> Iterator[tuple[str, str]]:
    for name, values in given.items():
        if name not in FILTERS and not name.startswith(("attr.", "resource.")):
            raise BadInput(f"filter: there is no parameter {name[:100]}", where="filter")
        for value in [values] if isinstance(values, str) else values:
            yield name, value


def _selected(search: Search) -> Filter:
    times = TimeRange(search.start_ns, search.end_ns)
    if times == TimeRange(None, None):
        return search.where
    return all_of(times, search.where)


def _only(call: Call, *names: str) -> Mapping[str, str]:
    for name in call.request.query:
        if name not in names:
            raise BadInput(f"there is no parameter {name[:100]}", where=name[:100])
    return {name: one_text(name, (value,)) for name, value in call.request.query.items()}


def _no_parameters(call: Call) -> None:
    _only(call)


def _before(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 18):
        raise BadInput("cursor is the nextCursor of the page before", where="cursor")
    return int(cursor)
