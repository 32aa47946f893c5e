"""Authentication by ingest key: the sender, its permissions, and the attributes it adds.

A KeyRing is an in-memory copy of the active keys. It is refreshed by NOTIFY and at least every
POLL_S, so that a revoked key is refused within seconds, and saved as a file of hashes next to the
spool, so that senders can be authenticated while PostgreSQL is unavailable.
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
"""Maximum age of the copy while PostgreSQL is available; revocation is guaranteed within 5 s."""
NOTE_USE_S = 60.0
"""How often the time of last use of a key is written; the first use is written by the next poll."""
_RETRY_S = 1.0
"""Delay before reconnecting to PostgreSQL."""
_WARN_EVERY_S = 60.0
_QUERY_TIMEOUT_S = 5.0
"""A connection is dropped after this time without a response: the network may be down."""
_CONNECTION_ERRORS = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # Raised by asyncpg if the server ends a session just as a statement starts.
    asyncpg.InternalClientError,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A sender."""

    id: int
    """`ingest_key_id` of its rows; 0 without a key."""
    name: str
    rights: frozenset[str]
    """Signals it may send."""
    attributes: tuple[tuple[str, Value], ...] = ()
    """Added to each resource; they override those of the sender."""
    min_level: Level | None = None
    """Records below it are rejected."""
    records_per_s: int | None = None
    bytes_per_s: int | None = None


KEYLESS = KeyInfo(id=0, name="", rights=frozenset(DEFAULT_RIGHTS))
"""A sender on loopback without a key."""


@dataclass(frozen=True, slots=True)
class _Entry:
    digest: bytes
    info: KeyInfo
    ends_s: float
    """Unix time in seconds at which the key expires or its grace period ends."""


class KeyRing:
    """The active keys, and authentication by them."""

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
        """Time at which the last use was written, by key id."""
        self._changed = asyncio.Event()
        self.refreshed_s: float | None = None
        """Unix time in seconds of the last refresh from PostgreSQL; None before the first."""

    def load_snapshot(self) -> None:
        """Load the keys of the last run, for use until the first refresh from PostgreSQL."""
        if self._snapshot is not None:
            keys = read_snapshot(self._snapshot)
            if keys is not None:
                self.replace(keys)

    def replace(self, keys: Sequence[HashedKey]) -> None:
        """Replace all keys."""
        self._keys = list(keys)
        self._entries = {key.digest: _entry(key) for key in keys}

    def check(self, authorization: str | None) -> KeyInfo:
        """Authenticate by Authorization header. Raises KeyMissing, KeyRejected, KeysUnknown.

        If no key is required, other credentials than ingest keys are ignored: an SDK may send
        another backend's token. Ingest keys are always checked, so that revocation takes effect.
        """
        token = _bearer(authorization)
        if not self._required and not token.startswith(PREFIX):
            return KEYLESS
        if not token:
            raise KeyMissing("send `Authorization: Bearer <ingest key>`", where="Authorization")
        if self._keys is None:
            raise KeysUnknown("ingest keys cannot be verified until the database is available")
        digest = digest_of(token)
        entry = self._entries.get(digest)
        now_s = self._clock()
        if entry is None or not hmac.compare_digest(entry.digest, digest) or entry.ends_s <= now_s:
            raise KeyRejected(
                "the ingest key is unknown, revoked or expired", where="Authorization"
            )
        self._used[entry.info.id] = now_s
        return entry.info

    async def run(self, pool: Pool) -> None:
        """Keep the copy up to date until cancelled; reconnect after outages of PostgreSQL."""
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
                    _log.warning("cannot refresh ingest keys: %s", type(error).__name__)
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
    """The token of a Bearer header (scheme case-insensitive, RFC 9110 section 11.1), or ""."""
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
