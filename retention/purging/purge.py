"""Purge: records that a filter selects are removed before their time, in two steps.

    ask       counts what would go and gives a token good for ten minutes; nothing is touched
    confirm   with the token; from then on it is done, whatever is killed in between (purging.py)

Held and audit records never go, nor those within the floor of their class, nor any that arrived
after it was asked for. Whose it was, why, and the hashes of what went are in the ledger.
"""

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from config.settings import Settings
from retention.errors import NothingSelected, PurgeTokenInvalid
from retention.purging.scope import Scope
from storage.database.connection import Connection
from storage.database.statements import statement
from storage.filtering.filter_json import dump
from storage.filtering.filters import EVERYTHING, NOTHING, Filter

TOKEN_LIFE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a purge would do."""

    rows: int
    size: int
    """COPY bytes, by the mean of each segment."""
    segments: int
    held_rows: int
    """Selected, and kept by a legal hold."""
    protected_rows: int
    """Selected, and younger than the floor of their class."""


@dataclass(frozen=True, slots=True)
class PurgePreview:
    """A purge that waits for its confirmation."""

    purge_id: int
    token: str
    expires_at: datetime
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class PurgeRequest:
    """What somebody wants gone."""

    filter: Filter
    shown: str
    why: str
    requested_by: str


async def estimate(
    connection: Connection, settings: Settings, condition: Filter, requested_at: datetime
) -> Estimate:
    """Count what would go. Any role; reads every segment that the catalogue cannot rule out.

    Raises:
        NothingSelected: the filter is empty.
    """
    if condition in {EVERYTHING, NOTHING}:
        raise NothingSelected("a purge needs a filter; everything or nothing is none", where="q")
    scope = await Scope.read(connection, settings, condition, requested_at)
    rows = size = segments = on_hold = protected = 0
    for stored in scope.segments:
        counts = await scope.count(connection, stored)
        rows += counts["going"]
        size += round(stored.size / stored.rows * counts["going"]) if stored.rows else 0
        segments += counts["going"] > 0
        on_hold += counts["held"]
        protected += counts["matching"] - counts["held"] - counts["going"]
    return Estimate(rows, size, segments, on_hold, protected)


async def request_purge(
    reader: Connection, writer: Connection, settings: Settings, request: PurgeRequest
) -> PurgePreview:
    """The first step: what would go, and the token that does it. Raises NothingSelected."""
    requested_at = datetime.now(UTC)
    found = await estimate(reader, settings, request.filter, requested_at)
    token = secrets.token_urlsafe(32)
    row = await writer.fetchrow(
        statement("request_purge"),
        _hash(token),
        dump(request.filter),
        request.shown,
        request.why,
        request.requested_by,
        requested_at,
        requested_at + TOKEN_LIFE,
        json.dumps(asdict(found)),
    )
    assert row is not None
    return PurgePreview(row["purge_id"], token, row["expires_at"], found)


async def confirm(writer: Connection, condition: Filter, token: str, *, by: str) -> int:
    """The second step: the number of the purge, which is done from now on.

    Raises:
        PurgeTokenInvalid: unknown, used, too old, or given for another filter.
    """
    try:
        purge_id: int | None = await writer.fetchval(
            statement("confirm_purge"), _hash(token), dump(condition), by
        )
    except asyncpg.UniqueViolationError as error:
        raise PurgeTokenInvalid("this purge was confirmed before", where="token") from error
    if purge_id is None:
        raise PurgeTokenInvalid(
            "the token is unknown, older than ten minutes, or was given for another filter",
            where="token",
        )
    return purge_id


@dataclass(frozen=True, slots=True)
class PurgeState:
    """How far a purge has come."""

    purge_id: int
    shown: str
    why: str
    requested_by: str
    requested_at: datetime
    confirmed_at: datetime | None
    done_at: datetime | None
    rows: int
    """Removed so far."""
    size: int
    """Their COPY bytes."""
    segments: int
    """Written anew so far."""
    held_rows: int
    """As the first step counted them."""
    protected_rows: int
    """Likewise."""


async def state_of(connection: Connection, purge_id: int) -> PurgeState | None:
    """How far it has come; None: there is none of this number."""
    row = await connection.fetchrow(statement("purge_state"), purge_id)
    return PurgeState(**row) if row else None


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
