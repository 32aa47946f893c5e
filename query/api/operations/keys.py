"""The handlers of ingest keys: made, listed, rotated, revoked. A key is shown once."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from aiohttp import web
from pydantic import AwareDatetime, Field

from config.errors import BadInput
from config.levels import LEVEL_NAMES, Level
from query.api.http.bodies import Body, read_body
from query.api.http.call import Call
from query.api.http.changes import recorded
from query.api.records.querying import say
from query.auth.access_audit import AccessAudit
from query.language.parameters import one_text
from storage.access import ingest_keys
from storage.access.ingest_keys import IngestKey, KeyTerms
from storage.database.pool import Pool
from storage.record.times import rfc3339

_LONGEST_GRACE_S = 30 * 86400


class NewKey(Body):
    """What a key is to be."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    rights: tuple[Literal["logs", "traces", "audit"], ...] = ("logs", "traces")
    attributes: Annotated[dict[str, str | int | float | bool], Field(default_factory=dict)]
    """Added to each resource; they win over what the sender says."""
    min_level: str | None = None
    """Records below it are rejected and counted."""
    expires_at: AwareDatetime | None = None
    records_per_s: Annotated[int | None, Field(ge=1, le=2**31 - 1)] = None
    bytes_per_s: Annotated[int | None, Field(ge=1, le=2**63 - 1)] = None


class Rotation(Body):
    """How a key is renewed."""

    grace_s: Annotated[int, Field(ge=0, le=_LONGEST_GRACE_S)] = 3600
    """How long the old key still holds."""


class KeyRoutes:
    """Answers questions about keys, and changes them."""

    def __init__(self, changes: Pool, audit: AccessAudit) -> None:
        self._changes = changes
        self._audit = audit

    async def list(self, call: Call) -> web.Response:
        """GET /api/v1/ingest/keys."""
        for name in call.request.query:
            if name != "revoked":
                raise BadInput(f"there is no parameter {name[:100]}", where=name[:100])
        with_revoked = call.request.query.get("revoked", "false")
        if with_revoked not in {"true", "false"}:
            raise BadInput("revoked is true or false", where="revoked")
        async with self._changes.acquire() as connection:
            keys = await ingest_keys.list_keys(connection, with_revoked=with_revoked == "true")
        call.rows = len(keys)
        return say({"data": [_shown(key) for key in keys], "nextCursor": None})

    async def create(self, call: Call) -> web.Response:
        """POST /api/v1/ingest/keys: 201 with the key itself, this once."""
        wish = await read_body(call, NewKey)
        terms = KeyTerms(
            rights=wish.rights,
            attributes=wish.attributes,
            min_level=_level(wish.min_level),
            expires_at=wish.expires_at,
            records_per_s=wish.records_per_s,
            bytes_per_s=wish.bytes_per_s,
        )
        await recorded(self._audit, call, f"name={wish.name} rights={','.join(wish.rights)}")
        async with self._changes.acquire() as connection:
            made = await ingest_keys.create(
                connection, wish.name, made_by=call.principal.subject, terms=terms
            )
        return say(_shown(made.key) | {"key": made.secret}, status=201)

    async def rotate(self, call: Call) -> web.Response:
        """POST /api/v1/ingest/keys/{name}/rotate: a new key, the old one holds for the grace."""
        wish = await read_body(call, Rotation)
        await recorded(self._audit, call, f"graceS={wish.grace_s}")
        async with self._changes.acquire() as connection:
            made = await ingest_keys.rotate(
                connection,
                _name(call),
                made_by=call.principal.subject,
                grace=timedelta(seconds=wish.grace_s),
            )
        return say(_shown(made.key) | {"key": made.secret}, status=201)

    async def revoke(self, call: Call) -> web.Response:
        """DELETE /api/v1/ingest/keys/{name}: ends at once, on all receivers within seconds."""
        await recorded(self._audit, call)
        async with self._changes.acquire() as connection:
            return say({"revoked": await ingest_keys.revoke(connection, _name(call))})


def _name(call: Call) -> str:
    return one_text("name", (call.request.match_info["name"],))


def _level(text: str | None) -> Level | None:
    if text is None:
        return None
    if text.upper() not in LEVEL_NAMES:
        raise BadInput(f"minLevel is one of {', '.join(LEVEL_NAMES)}", where="minLevel")
    return Level[text.upper()]


def _shown(key: IngestKey) -> dict[str, object]:
    terms = key.terms
    return {
        "id": key.id,
        "name": key.name,
        "hint": key.hint,
        "rights": list(terms.rights),
        "attributes": dict(terms.attributes),
        "minLevel": None if terms.min_level is None else terms.min_level.name,
        "recordsPerS": terms.records_per_s,
        "bytesPerS": terms.bytes_per_s,
        "createdAt": rfc3339(key.made_at),
        "createdBy": key.made_by,
        "expiresAt": _time(terms.expires_at),
        "revokedAt": _time(key.revoked_at),
        "lastUsedAt": _time(key.last_used_at),
        "rotatedFrom": key.rotated_from,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)
