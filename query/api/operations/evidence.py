"""The handlers of evidence: figures of ingest, proofs, heads of the ledger, dead letters."""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import asyncpg
from aiohttp import web
from pydantic import Field

from config.errors import BadInput
from config.process.clock import now_ns
from query.api.http.bodies import Body, read_body
from query.api.http.call import Call
from query.api.http.changes import recorded
from query.api.records.querying import say
from query.api.records.records import Logs
from query.auth.access_audit import AccessAudit
from query.errors import NotFound
from query.language.parameters import one_text, record_id
from storage.database.pool import Pool
from storage.database.statements import statement
from storage.ledger.accounting.balance import minutes, summed_minutes
from storage.ledger.accounting.checks import LedgerCheck, newest_check
from storage.ledger.accounting.minutes import FIGURES
from storage.ledger.accounting.waiting import Waiting, waiting_in
from storage.ledger.proof import proof_of
from storage.record.times import datetime_of, parse_time, rfc3339
from storage.writing import replaying

MOST = 1000
_NUMBER = re.compile(r"[0-9]{1,17}", re.ASCII)
_HOUR = timedelta(hours=1)
_LOOKS = {"": minutes, "minute": summed_minutes}


class Discard(Body):
    """Why a dead letter is given up."""

    reason: Annotated[str, Field(min_length=1, max_length=400)]


class Operations:
    """Answers what came, what became of it, and what proves it."""

    def __init__(
        self, logs: Logs, reader: Pool, changes: Pool, audit: AccessAudit, spools: Path
    ) -> None:
        """`changes`: connections of a role that may store rows and change dead letters.

        `spools`: the folder with the spools of this machine.
        """
        self._spools = spools
        self._logs = logs
        self._reader = reader
        self._changes = changes
        self._audit = audit

    async def ledger(self, call: Call) -> web.Response:
        """GET /api/v1/ingest/ledger: figures per minute, by default of the last hour.

        `by=minute` sums them over keys, modules and reasons, so that more minutes fit in an answer.
        """
        asked = _only(call, "start", "end", "by")
        look = _LOOKS.get(asked.get("by", ""))
        if look is None:
            raise BadInput("by is minute, or left out", where="by")
        times = {
            name: datetime_of(parse_time(asked[name], now_ns=now_ns(), where=name) // 1000)
            for name in ("start", "end")
            if name in asked
        }
        end = times.get("end", datetime_of(now_ns() // 1000))
        start = times.get("start", end - _HOUR)
        async with self._reader.acquire() as connection:
            rows = await look(connection, start, end, MOST)
            last = await newest_check(connection)
            spools = await waiting_in(connection, self._spools)
        call.rows = len(rows)
        totals = {name: sum(row[name] for row in rows) for name in FIGURES}
        return say(
            {
                "data": [_minute_shown(row) for row in rows],
                "nextCursor": None,
                "totals": totals,
                "isCut": len(rows) == MOST,
                "spools": [_spool_shown(spool) for spool in spools],
                "lastCheck": _check_shown(last) if last else None,
            }
        )

    async def checkpoint(self, call: Call) -> web.Response:
        """GET /api/v1/ledger/checkpoint: the newest signed head, as it was published."""
        _only(call)
        async with self._reader.acquire() as connection:
            row = await connection.fetchrow(statement("newest_checkpoint"))
        if row is None:
            raise NotFound("the ledger has not been signed yet")
        return web.Response(text=row["note"], content_type="text/plain")

    async def proof(self, call: Call) -> web.Response:
        """GET /api/v1/logs/{id}/proof: for the stand-alone verifier."""
        await self._logs.one(call)  # whether the asker may see it, and whether it is there
        wanted = record_id("id", call.request.match_info["id"])
        async with self._reader.acquire() as connection:
            found = await proof_of(connection, wanted)
        if found is None:
            raise NotFound("there is no record with this id")
        call.rows = 1
        return say({"proof": [found]})

    async def dead_letters(self, call: Call) -> web.Response:
        """GET /api/v1/dead-letters."""
        asked = _only(call, "state", "cursor")
        state = asked.get("state", "waiting")
        if state not in replaying.STATES:
            raise BadInput(f"state is one of {', '.join(replaying.STATES)}", where="state")
        after = _number(asked["cursor"], "cursor") if "cursor" in asked else 0
        async with self._reader.acquire() as connection:
            rows = await replaying.letters(connection, state=state, limit=MOST, after=after)
        call.rows = len(rows)
        cursor = str(rows[-1]["dead_letter_id"]) if len(rows) == MOST else None
        return say({"data": [_letter_shown(dict(row)) for row in rows], "nextCursor": cursor})

    async def dead_letter(self, call: Call) -> web.Response:
        """GET /api/v1/dead-letters/{id}: with its row, as it would have been stored."""
        _only(call)
        async with self._reader.acquire() as connection:
            found = await replaying.contents(connection, _id_of(call))
        call.rows = 1
        return say(_letter_shown(found) | {"row": found["row"]})

    async def replay(self, call: Call) -> web.Response:
        """POST /api/v1/dead-letters/{id}/replay."""
        _only(call)
        number = _id_of(call)
        await recorded(self._audit, call)
        async with self._changes.acquire() as connection:
            outcome = await replaying.replay(connection, number, by=call.principal.subject)
        return say({"id": number, "isStored": outcome.stored, "reason": outcome.reason})

    async def discard(self, call: Call) -> web.Response:
        """POST /api/v1/dead-letters/{id}/discard."""
        _only(call)
        number = _id_of(call)
        asked = await read_body(call, Discard)
        await recorded(self._audit, call, asked.reason)
        async with self._changes.acquire() as connection:
            await replaying.discard(
                connection, number, by=call.principal.subject, reason=asked.reason
            )
        return say({"id": number, "isStored": False, "reason": asked.reason})


def _only(call: Call, *names: str) -> Mapping[str, str]:
    for name in call.request.query:
        if name not in names:
            raise BadInput(f"there is no parameter {name[:100]}", where=name[:100])
    return {name: one_text(name, (value,)) for name, value in call.request.query.items()}


def _number(text: str, where: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise BadInput(f"{where} is a whole number", where=where)
    return int(text)


def _id_of(call: Call) -> int:
    return _number(call.request.match_info["id"], "id")


def _minute_shown(row: asyncpg.Record) -> dict[str, object]:
    return {
        "minute": rfc3339(row["minute"]),
        "ingestKeyId": row.get("ingest_key_id"),
        "sourceModule": row.get("source_module"),
        "reason": row.get("reason") or None,
        **{name: row[name] for name in FIGURES},
    }


def _spool_shown(spool: Waiting) -> dict[str, object]:
    return {
        "spool": spool.spool,
        "requests": spool.requests,
        "rows": spool.rows,
        "quarantinedFrames": spool.quarantined,
        "quarantinedRows": spool.quarantined_rows,
    }


def _check_shown(last: LedgerCheck) -> dict[str, object]:
    return {
        "beganAt": rfc3339(last.began_at),
        "endedAt": rfc3339(last.ended_at),
        "rows": last.rows,
        "segments": last.segments,
        "differences": list(last.differences),
    }


def _letter_shown(row: Mapping[str, Any]) -> dict[str, object]:
    return {
        "id": row["dead_letter_id"],
        "batchId": str(row["batch_id"]),
        "position": row["position"],
        "class": row["class"],
        "sqlstate": row["sqlstate"],
        "reason": row["reason"],
        "receivedAt": rfc3339(row["received_at"]),
        "madeAt": rfc3339(row["made_at"]),
        "state": row["state"],
        "note": row["note"],
    }
