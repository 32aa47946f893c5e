"""Ingest counters per minute, by key, module and reason: handler, models, route."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
from aiohttp import web

from config.access import Permission
from config.errors import BadInput
from config.process.clock import now_ns
from query.api.http.call import API, Call, Route
from query.api.http.models import Model
from query.api.http.parameters import parameters
from query.api.http.responses import json_response
from storage.database.pool import Pool
from storage.ledger.accounting.balance import minutes, summed_minutes
from storage.ledger.accounting.checks import LedgerCheck, newest_check
from storage.ledger.accounting.minutes import COUNTERS
from storage.ledger.accounting.waiting import Waiting, waiting_in
from storage.record.times import datetime_of, parse_time, rfc3339

MAX_ROWS = 1000
_HOUR = timedelta(hours=1)
_READERS = {"": minutes, "minute": summed_minutes}


class IngestMinute(Model):
    """received + derived = stored + duplicate + dead + rejected."""

    minute: datetime
    ingest_key_id: int | None
    """Null in sums over all keys."""
    source_module: str | None
    """Empty if a rejected record has none; null in sums over all modules."""
    reason: str | None
    """Reason of rejection, in rows that count rejected records."""
    received: int
    derived: int
    stored: int
    duplicate: int
    dead: int
    rejected: int


class SpoolWaiting(Model):
    """Acknowledged data in a local spool that is not in the database yet."""

    spool: str
    requests: int
    rows: int
    quarantined_frames: int
    """Damaged frames; the ledger has an entry `corrupt` for each."""
    quarantined_rows: int


class LastCheck(Model):
    """The last hourly comparison of the counters with counted rows."""

    began_at: datetime
    ended_at: datetime
    rows: int
    segments: int
    differences: list[str]
    """Descriptions; empty: balanced."""


class IngestLedger(Model):
    """Counters per minute of arrival, newest first."""

    data: list[IngestMinute]
    next_cursor: None
    totals: dict[str, int]
    """Sums over the rows of this response."""
    is_cut: bool
    """There are more rows; narrow the time range."""
    spools: list[SpoolWaiting]
    last_check: LastCheck | None
    """Null: no check has run yet."""


class IngestRoutes:
    """The route that returns ingest counters."""

    def __init__(self, reader: Pool, spools: Path) -> None:
        """`spools`: the folder with the spools of this machine."""
        self._reader = reader
        self._spools = spools

    def routes(self) -> Iterable[Route]:
        """GET /api/v1/ingest/ledger."""
        yield Route(
            method="GET",
            path=f"{API}/ingest/ledger",
            handler=self.ledger,
            permission=Permission.OPERATIONS_READ,
            action="ledger.read",
            tag="evidence",
            summary="Ingest counters per minute, spools, the last check",
            response=IngestLedger,
        )

    async def ledger(self, call: Call) -> web.Response:
        """GET /api/v1/ingest/ledger: counters per minute, by default of the last hour.

        `by=minute` sums over keys, modules and reasons, so that a response covers more minutes.
        """
        given = parameters(call, "start", "end", "by")
        read = _READERS.get(given.get("by", ""))
        if read is None:
            raise BadInput("by must be minute, or omitted", where="by")
        times = {
            name: datetime_of(parse_time(given[name], now_ns=now_ns(), where=name) // 1000)
            for name in ("start", "end")
            if name in given
        }
        end = times.get("end", datetime_of(now_ns() // 1000))
        start = times.get("start", end - _HOUR)
        async with self._reader.acquire() as connection:
            rows = await read(connection, start, end, MAX_ROWS)
            last = await newest_check(connection)
            spools = await waiting_in(connection, self._spools)
        call.rows = len(rows)
        totals = {name: sum(row[name] for row in rows) for name in COUNTERS}
        return json_response(
            {
                "data": [_minute_json(row) for row in rows],
                "nextCursor": None,
                "totals": totals,
                "isCut": len(rows) == MAX_ROWS,
                "spools": [_spool_json(spool) for spool in spools],
                "lastCheck": _check_json(last) if last else None,
            }
        )


def _minute_json(row: asyncpg.Record) -> dict[str, object]:
    return {
        "minute": rfc3339(row["minute"]),
        "ingestKeyId": row.get("ingest_key_id"),
        "sourceModule": row.get("source_module"),
        "reason": row.get("reason") or None,
        **{name: row[name] for name in COUNTERS},
    }


def _spool_json(spool: Waiting) -> dict[str, object]:
    return {
        "spool": spool.spool,
        "requests": spool.requests,
        "rows": spool.rows,
        "quarantinedFrames": spool.quarantined,
        "quarantinedRows": spool.quarantined_rows,
    }


def _check_json(last: LedgerCheck) -> dict[str, object]:
    return {
        "beganAt": rfc3339(last.began_at),
        "endedAt": rfc3339(last.ended_at),
        "rows": last.rows,
        "segments": last.segments,
        "differences": list(last.differences),
    }
