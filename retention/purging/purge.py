"""Purge: removes the records that match a filter early, in two steps.

    request   counts the records and issues a token valid for ten minutes; changes nothing
    confirm   with the token; from then on it is executed, even after a crash (execution.py)

Never purged: held records, audit records, records younger than the minimum age of their class, and
records that arrived after the request. The ledger has who, why, and the hashes of removed rows.
"""

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from config.settings import Settings
from retention.errors import NothingSelected, PackUnreadable, PurgeTokenInvalid
from retention.purging.scope import Scope
from storage.database.connection import Connection
from storage.database.statements import statement
from storage.filtering.filter_json import dump
from storage.filtering.filters import EVERYTHING, NOTHING, Filter
from storage.packs.errors import PackDamaged
from storage.packs.store import PacksUnavailable

TOKEN_LIFE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The effect of a purge."""

    rows: int
    size: int
    """COPY bytes, estimated from the mean of each segment."""
    segments: int
    held_rows: int
    """Matching, and kept by a legal hold."""
    protected_rows: int
    """Matching, and younger than the minimum age of their class."""


@dataclass(frozen=True, slots=True)
class PurgePreview:
    """A purge that awaits confirmation."""

    purge_id: int
    token: str
    expires_at: datetime
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class PurgeRequest:
    """The records to purge, and why."""

    filter: Filter
    shown: str
    why: str
    requested_by: str


async def estimate(
    connection: Connection, settings: Settings, condition: Filter, requested_at: datetime
) -> Estimate:
    """Count the effect. Any role; reads every segment that the catalogue cannot rule out.

    Raises:
        NothingSelected: the filter is empty.
        PackUnreadable: records that may match are in a pack that cannot be read.
    """
    if condition in {EVERYTHING, NOTHING}:
        raise NothingSelected(
            "a purge needs a filter that matches some records, not all or none", where="q"
        )
    scope = await Scope.read(connection, settings, condition, requested_at)
    rows = size = segments = on_hold = protected = 0
    for stored in scope.segments:
        try:
            counts = await scope.count(connection, stored)
        except (PackDamaged, PacksUnavailable) as error:
            raise PackUnreadable(f"segment {stored.segment}: {error}") from error
        rows += counts.purgeable
        size += round(stored.size / stored.rows * counts.purgeable) if stored.rows else 0
        segments += counts.purgeable > 0
        on_hold += counts.held
        protected += counts.matching - counts.held - counts.purgeable
    return Estimate(rows, size, segments, on_hold, protected)


async def request_purge(
    reader: Connection, writer: Connection, settings: Settings, request: PurgeRequest
) -> PurgePreview:
    """First step: count the effect and issue the token. Raises NothingSelected."""
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
    """Second step: confirm the purge; returns its number.

    Raises:
        PurgeTokenInvalid: unknown, used, expired, or issued for another filter.
    """
    try:
        purge_id: int | None = await writer.fetchval(
            statement("confirm_purge"), _hash(token), dump(condition), by
        )
    except asyncpg.UniqueViolationError as error:
        raise PurgeTokenInvalid("this purge was already confirmed", where="token") from error
    if purge_id is None:
        raise PurgeTokenInvalid(
            "the token is unknown, older than ten minutes, or was issued for another filter",
            where="token",
        )
    return purge_id


@dataclass(frozen=True, slots=True)
class PurgeState:
    """Progress of a purge."""

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
    """Rewritten so far."""
    held_rows: int
    """As counted by the first step."""
    protected_rows: int
    """As counted by the first step."""


async def state_of(connection: Connection, purge_id: int) -> PurgeState | None:
    """Progress of a purge; None: no purge has this number."""
    row = await connection.fetchrow(statement("purge_state"), purge_id)
    return PurgeState(**row) if row else None


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
