"""Ingest keys at the door: who sends, what it may send, and what is added to it.

A KeyRing is a copy in memory of the keys in force. It is refreshed by NOTIFY and at least every
POLL_S, so that a revoked key is refused within seconds, and kept as a file of hashes beside the
spool, so that senders can be told apart while PostgreSQL is away.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

import asyncpg

from config.levels import Level
from otlp_receiver.errors import KeyMissing, KeyRejected, KeysUnknown
from storage.access.ingest_keys import (
    CHANNEL,
    DEFAULT_RIGHTS,
    PREFIX,
    HashedKey,
    digest_of,
    keys_in_force,
    note_use,
)
from storage.access.key_snapshot import read_snapshot, write_snapshot
from storage.database.pool import Pool
from storage.database.roles import Connection
from storage.record.record import Value

POLL_S = 2.0
"""Longest age of the copy while PostgreSQL answers; revocation is promised within 5 s."""
NOTE_USE_S = 60.0
"""How often the time of last use is written of a key in steady use; the first use is written by the
next poll."""
_RETRY_S = 1.0
"""Pause before PostgreSQL is tried again."""
_WARN_EVERY_S = 60.0
_QUERY_TIMEOUT_S = 5.0
"""A connection that does not answer within this is given up: the network may have gone."""
_CONNECTION_ERRORS = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # What asyncpg says when the server ends a session at the very moment of a new statement.
    asyncpg.InternalClientError,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What the receiver knows of a sender."""

    id: int
    """`ingest_key_id` of its rows; 0 without a key."""
    name: str
    rights: frozenset[str]
    """Signals it may send."""
    attributes: tuple[tuple[str, Value], ...] = ()
    """Added to each resource; they win over what the sender says."""
    min_level: Level | None = None
    """Records below it are rejected."""
    records_per_s: int | None = None
    bytes_per_s: int | None = None


KEYLESS = KeyInfo(id=0, name="", rights=frozenset(DEFAULT_RIGHTS))
"""A sender on loopback that shows no key."""


@dataclass(frozen=True, slots=True)
class _Entry:
    digest: bytes
    info: KeyInfo
    ends_s: float
    """Seconds since 1970 at which the key expires or its grace is over."""


class KeyRing:
    """The keys in force, and the check of what a sender shows."""

    def __init__(
        self,
        *,
        required: bool,
        snapshot: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._required = required
        self._snapshot = snapshot
        self._clock = clock
        self._entries: dict[bytes, _Entry] = {}
        self._keys: list[HashedKey] | None = None
        self._used: dict[int, float] = {}
        self._noted_s: dict[int, float] = {}
        """Key id to when its use was last written."""
        self._changed = asyncio.Event()
        self.refreshed_s: float | None = None
        """Seconds since 1970 of the last refresh from PostgreSQL; None before the first."""

    def load_snapshot(self) -> None:
        """Take the keys of the last run, until PostgreSQL has told the present ones."""
        if self._snapshot is not None:
            keys = read_snapshot(self._snapshot)
            if keys is not None:
                self.replace(keys)

    def replace(self, keys: Sequence[HashedKey]) -> None:
        """Take these keys for all that there are."""
        self._keys = list(keys)
        self._entries = {key.digest: _entry(key) for key in keys}

    def check(self, authorization: str | None) -> KeyInfo:
        """Who this is, by its Authorization header. Raises KeyMissing, KeyRejected, KeysUnknown.

        Where no key is required, credentials that are none of ours are ignored: an SDK may carry
        another backend's token. A key of ours is checked all the same, so that a revoked one ends.
        """
        token = _bearer(authorization)
        if not self._required and not token.startswith(PREFIX):
            return KEYLESS
        if not token:
            raise KeyMissing("send `Authorization: Bearer <ingest key>`", where="Authorization")
        if self._keys is None:
            raise KeysUnknown("ingest keys cannot be checked until the database is reached")
        digest = digest_of(token)
        entry = self._entries.get(digest)
        now_s = self._clock()
        if entry is None or not hmac.compare_digest(entry.digest, digest) or entry.ends_s <= now_s:
            raise KeyRejected("the ingest key is not in force", where="Authorization")
        self._used[entry.info.id] = now_s
        return entry.info

    async def run(self, pool: Pool) -> None:
        """Follow the table until cancelled, through any absence of PostgreSQL."""
        warned_s = -_WARN_EVERY_S
        while True:
            try:
                async with pool.acquire() as conn:
                    await conn.add_listener(CHANNEL, self._on_change)
                    try:
                        await self._follow(conn)
                    finally:
                        await conn.remove_listener(CHANNEL, self._on_change)
            except _CONNECTION_ERRORS as error:
                if time.monotonic() - warned_s >= _WARN_EVERY_S:
                    warned_s = time.monotonic()
                    _log.warning("ingest keys are not being refreshed: %s", type(error).__name__)
                await asyncio.sleep(_RETRY_S)

    async def _follow(self, conn: Connection) -> None:
        while True:
            self._changed.clear()
            async with asyncio.timeout(_QUERY_TIMEOUT_S):
                await self._refresh(conn)
            await self._note_use(conn)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._changed.wait()

    def _on_change(self, *_: Any) -> None:
        self._changed.set()

    async def _refresh(self, conn: Connection) -> None:
        keys = await keys_in_force(conn)
        self.refreshed_s = self._clock()
        if keys == self._keys:
            return
        self.replace(keys)
        if self._snapshot is not None:
            await asyncio.to_thread(write_snapshot, self._snapshot, keys)

    async def _note_use(self, conn: Connection) -> None:
        now_s = time.monotonic()
        due = {
            id_: at
            for id_, at in self._used.items()
            if now_s - self._noted_s.get(id_, -inf) >= NOTE_USE_S
        }
        if due:
            await note_use(conn, {id_: datetime.fromtimestamp(at, UTC) for id_, at in due.items()})
            self._noted_s.update(dict.fromkeys(due, now_s))
            self._used = {id_: at for id_, at in self._used.items() if due.get(id_) != at}


def _bearer(authorization: str | None) -> str:
    """The token of a Bearer header, its scheme in any case (RFC 9110 section 11.1), or ""."""
    if not authorization:
        return ""
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _entry(key: HashedKey) -> _Entry:
    ends = [at.timestamp() for at in (key.terms.expires_at, key.revoked_at) if at is not None]
    info = KeyInfo(
        id=key.id,
        name=key.name,
        rights=frozenset(key.terms.rights),
        attributes=tuple(key.terms.attributes.items()),
        min_level=key.terms.min_level,
        records_per_s=key.terms.records_per_s,
        bytes_per_s=key.terms.bytes_per_s,
    )
    return _Entry(digest=key.digest, info=info, ends_s=min(ends, default=inf))
