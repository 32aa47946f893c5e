"""Ingest keys: create, list, rotate, revoke. Only SHA-256 hashes are stored.

A key is valid until `revoked_at` or `expires_at`, whichever is first. Rotation sets `revoked_at` of
the old key to the end of its grace period, so both are valid for a while. Each change is announced
on CHANNEL, to which otlp_receiver/admission/keys.py listens.
"""

import math
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import ClassVar, cast

import asyncpg
import orjson

from config.errors import BadInput
from config.levels import Level
from storage.database.roles import Connection
from storage.database.statements import statement
from storage.record.record import Value

CHANNEL = "opslog_ingest_keys"
PREFIX = "opslog_"
HINT_CHARACTERS = 12
RIGHTS = ("logs", "traces", "audit")
DEFAULT_RIGHTS = ("logs", "traces")

_ALPHABET = string.digits + string.ascii_letters
_SECRET_CHARACTERS = 40
"""62 possible values each: 238 bits, infeasible to guess, so one round of SHA-256 suffices."""
_MAX_NAME_CHARACTERS = 100
_YEAR_10000_S = 253_402_300_800


class KeyRefused(BadInput):
    """The name, a permission or a limit of the key is not valid."""

    code = "key_refused"
    title = "The ingest key cannot be created or changed like this"


class KeyNameTaken(KeyRefused):
    """A valid key has this name; revoke or rotate it, or choose another name."""

    code = "key_name_taken"
    title = "An ingest key with this name exists"
    status: ClassVar[int] = 409


class KeyUnknown(KeyRefused):
    """There is no valid key with this name."""

    code = "key_unknown"
    title = "There is no ingest key with this name"
    status: ClassVar[int] = 404


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """Permissions and limits of a key. Rates apply per second and receiver; None is no limit."""

    rights: tuple[str, ...] = DEFAULT_RIGHTS
    """Members of RIGHTS."""
    attributes: Mapping[str, Value] = field(default_factory=dict)
    """Added to each resource; they override the sender's."""
    min_level: Level | None = None
    """Records below it are rejected and counted."""
    expires_at: datetime | None = None
    records_per_s: int | None = None
    bytes_per_s: int | None = None

    def __post_init__(self) -> None:
        unknown = sorted(set(self.rights) - set(RIGHTS))
        if unknown or not self.rights:
            raise KeyRefused(
                f"use one or more of {', '.join(RIGHTS)}; got {', '.join(unknown) or 'none'}",
                where="rights",
            )
        for name in ("records_per_s", "bytes_per_s"):
            rate = getattr(self, name)
            if rate is not None and rate < 1:
                raise KeyRefused(f"{name} must be at least 1; omit it for no limit", where=name)
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise KeyRefused("expires_at needs a time zone", where="expires_at")
        if self.expires_at is not None and not 0 <= self.expires_at.timestamp() < _YEAR_10000_S:
            raise KeyRefused("expires_at must be in the years 1970 to 9999", where="expires_at")
        if any(_is_out_of_range(value) for value in self.attributes.values()):
            raise KeyRefused("a number in the attributes is out of range", where="attributes")


@dataclass(frozen=True, slots=True)
class IngestKey:
    """The public part of a key: everything except the key itself."""

    id: int
    name: str
    hint: str
    """The first HINT_CHARACTERS characters, to tell keys apart."""
    terms: KeyTerms
    made_at: datetime
    made_by: str
    revoked_at: datetime | None
    """May be in the future: the end of a rotation's grace period."""
    rotated_from: int | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A newly created key. `secret` is shown once and is not in the repr."""

    key: IngestKey
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class HashedKey:
    """A valid key as receivers need it to authenticate senders."""

    id: int
    name: str
    digest: bytes = field(repr=False)
    terms: KeyTerms
    revoked_at: datetime | None


def digest_of(secret: str) -> bytes:
    """SHA-256 of a presented key; invalid UTF-8 never matches a stored hash."""
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()


async def create(
    conn: Connection, name: str, *, made_by: str, terms: KeyTerms | None = None
) -> IssuedKey:
    """Create a key. Raises KeyNameTaken, KeyRefused."""
    checked = _checked_name(name)
    async with conn.transaction():
        await conn.execute(statement("free_key_name"), checked)
        return await _insert(conn, checked, made_by, terms or KeyTerms(), rotated_from=None)


async def list_keys(conn: Connection, *, with_revoked: bool = False) -> list[IngestKey]:
    """Keys by name, newest first within a name; `with_revoked` adds revoked and expired ones."""
    rows = await conn.fetch(statement("list_keys"), with_revoked)
    return [_ingest_key(row) for row in rows]


async def rotate(
    conn: Connection, name: str, *, made_by: str, grace: timedelta = timedelta(hours=1)
) -> IssuedKey:
    """Create a key with the same name and terms; the old one is valid until `grace` is over."""
    if grace < timedelta(0):
        raise KeyRefused("the grace period must not be negative", where="grace")
    async with conn.transaction():
        old = await conn.fetchrow(statement("end_key"), name, grace)
        if old is None:
            raise KeyUnknown(f"no valid ingest key named {name!r}", where="name")
        return await _insert(
            conn, name, made_by, _terms(old), rotated_from=int(old["ingest_key_id"])
        )


async def revoke(conn: Connection, name: str) -> int:
    """Revoke every key with this name, also in its grace period; returns how many. KeyUnknown."""
    async with conn.transaction():
        ended = await conn.fetch(statement("revoke_keys"), name)
        if not ended:
            raise KeyUnknown(f"no valid ingest key named {name!r}", where="name")
        await _announce(conn)
    return len(ended)


async def keys_in_force(conn: Connection) -> list[HashedKey]:
    """Every valid key, for receivers to authenticate senders."""
    return [
        HashedKey(
            id=row["ingest_key_id"],
            name=row["name"],
            digest=row["key_hash"],
            terms=_terms(row),
            revoked_at=row["revoked_at"],
        )
        for row in await conn.fetch(statement("keys_in_force"))
    ]


async def note_use(conn: Connection, used_at: Mapping[int, datetime]) -> None:
    """Store when keys were last used, by id; never moves a time back."""
    await conn.execute(statement("note_key_use"), list(used_at), list(used_at.values()))


async def _insert(
    conn: Connection, name: str, made_by: str, terms: KeyTerms, *, rotated_from: int | None
) -> IssuedKey:
    secret = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_CHARACTERS))
    try:
        row = await conn.fetchrow(
            statement("insert_key"),
            name,
            digest_of(secret),
            secret[:HINT_CHARACTERS],
            made_by,
            terms.expires_at,
            rotated_from,
            list(terms.rights),
            orjson.dumps(dict(terms.attributes)).decode(),
            None if terms.min_level is None else terms.min_level.name,
            terms.records_per_s,
            terms.bytes_per_s,
        )
    except asyncpg.UniqueViolationError as error:
        raise KeyNameTaken(
            f"an ingest key named {name!r} exists; rotate or revoke it, or choose another name",
            where="name",
        ) from error
    await _announce(conn)
    return IssuedKey(key=_ingest_key(cast("asyncpg.Record", row)), secret=secret)


async def _announce(conn: Connection) -> None:
    await conn.execute(statement("announce_keys"), CHANNEL)


def _is_out_of_range(value: Value) -> bool:
    """Whether a number fits neither 64 bits nor JSON."""
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, int) and not -(2**63) <= value < 2**64


def _checked_name(name: str) -> str:
    if not name or len(name) > _MAX_NAME_CHARACTERS or not name.isprintable():
        raise KeyRefused(
            f"the name must have 1 to {_MAX_NAME_CHARACTERS} printable characters", where="name"
        )
    return name


def _terms(row: asyncpg.Record) -> KeyTerms:
    level = row["min_level"]
    return KeyTerms(
        rights=tuple(row["rights"]),
        attributes=orjson.loads(row["attributes"]),
        min_level=None if level is None else Level[level],
        expires_at=row["expires_at"],
        records_per_s=row["records_per_s"],
        bytes_per_s=row["bytes_per_s"],
    )


def _ingest_key(row: asyncpg.Record) -> IngestKey:
    return IngestKey(
        id=row["ingest_key_id"],
        name=row["name"],
        hint=row["hint"],
        terms=_terms(row),
        made_at=row["made_at"],
        made_by=row["made_by"],
        revoked_at=row["revoked_at"],
        rotated_from=row["rotated_from"],
        last_used_at=row["last_used_at"],
    )
