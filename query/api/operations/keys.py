"""Ingest keys, listed, created, rotated and revoked: handlers, models, routes."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Literal

from aiohttp import web
from pydantic import AwareDatetime, Field, JsonValue

from config.access import Permission
from config.errors import BadInput
from config.levels import LEVEL_NAMES, Level
from query.api.http.bodies import Body, read_body
from query.api.http.call import API, Call, Route
from query.api.http.change_audit import record_change
from query.api.http.models import Model
from query.api.http.parameters import refuse_others
from query.api.http.responses import json_response
from query.api.operations.times import time_or_null
from query.auth.access_audit import AccessAudit
from query.language.filter_parameters import one_text
from storage.access import ingest_keys
from storage.access.ingest_keys import IngestKey, KeyTerms
from storage.database.pool import Pool
from storage.record.times import rfc3339

_MAX_GRACE_S = 30 * 86400


class NewKey(Body):
    """A key to create."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    rights: tuple[Literal["logs", "traces", "audit"], ...] = ("logs", "traces")
    attributes: Annotated[dict[str, str | int | float | bool], Field(default_factory=dict)]
    """Added to each resource; they override the sender's."""
    min_level: str | None = None
    """Records below it are rejected and counted."""
    expires_at: AwareDatetime | None = None
    records_per_s: Annotated[int | None, Field(ge=1, le=2**31 - 1)] = None
    bytes_per_s: Annotated[int | None, Field(ge=1, le=2**63 - 1)] = None


class Rotation(Body):
    """How to rotate a key."""

    grace_s: Annotated[int, Field(ge=0, le=_MAX_GRACE_S)] = 3600
    """How long the old key remains valid."""


class Key(Model):
    """An ingest key, without its secret."""

    id: int
    name: str
    hint: str
    """Its first characters."""
    rights: list[Literal["logs", "traces", "audit"]]
    attributes: dict[str, JsonValue]
    min_level: str | None
    records_per_s: int | None
    bytes_per_s: int | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    """May be in the future: the end of a rotation's grace period."""
    last_used_at: datetime | None
    rotated_from: int | None


class Keys(Model):
    """The ingest keys."""

    data: list[Key]
    next_cursor: None


class CreatedKey(Key):
    """A key that was just created."""

    key: str
    """The key; it is not shown again."""


class Revoked(Model):
    """Number of keys revoked."""

    revoked: int


class KeyRoutes:
    """The routes over ingest keys."""

    def __init__(self, changes: Pool, audit: AccessAudit) -> None:
        self._changes = changes
        self._audit = audit

    def routes(self) -> Iterable[Route]:
        """List, create, rotate, revoke."""
        for method, path, handler, action, summary, body, response, status in (
            ("GET", "", self.list, "keys.list", "Ingest keys", None, Keys, 200),
            (
                *("POST", "", self.create, "keys.create", "Create an ingest key", NewKey),
                *(CreatedKey, 201),
            ),
            (
                *("POST", "/{name}/rotate", self.rotate, "keys.rotate", "Rotate a key", Rotation),
                *(CreatedKey, 201),
            ),
            ("DELETE", "/{name}", self.revoke, "keys.revoke", "Revoke a key", None, Revoked, 200),
        ):
            yield Route(
                method=method,
                path=f"{API}/ingest/keys{path}",
                handler=handler,
                permission=Permission.KEYS_MANAGE,
                action=action,
                tag="ingest keys",
                summary=summary,
                body=body,
                response=response,
                status=status,
            )

    async def list(self, call: Call) -> web.Response:
        """GET /api/v1/ingest/keys."""
        refuse_others(call, "revoked")
        with_revoked = call.request.query.get("revoked", "false")
        if with_revoked not in {"true", "false"}:
            raise BadInput("revoked must be true or false", where="revoked")
        async with self._changes.acquire() as connection:
            keys = await ingest_keys.list_keys(connection, with_revoked=with_revoked == "true")
        call.rows = len(keys)
        return json_response({"data": [_json(key) for key in keys], "nextCursor": None})

    async def create(self, call: Call) -> web.Response:
        """POST /api/v1/ingest/keys: 201 with the key, which is not shown again."""
        body = await read_body(call, NewKey)
        terms = KeyTerms(
            rights=body.rights,
            attributes=body.attributes,
            min_level=_level(body.min_level),
            expires_at=body.expires_at,
            records_per_s=body.records_per_s,
            bytes_per_s=body.bytes_per_s,
        )
        await record_change(self._audit, call, f"name={body.name} rights={','.join(body.rights)}")
        async with self._changes.acquire() as connection:
            created = await ingest_keys.create(
                connection, body.name, made_by=call.principal.subject, terms=terms
            )
        return json_response(_json(created.key) | {"key": created.secret}, status=201)

    async def rotate(self, call: Call) -> web.Response:
        """POST /api/v1/ingest/keys/{name}/rotate: the old key is valid for the grace period."""
        body = await read_body(call, Rotation)
        await record_change(self._audit, call, f"graceS={body.grace_s}")
        async with self._changes.acquire() as connection:
            created = await ingest_keys.rotate(
                connection,
                _name(call),
                made_by=call.principal.subject,
                grace=timedelta(seconds=body.grace_s),
            )
        return json_response(_json(created.key) | {"key": created.secret}, status=201)

    async def revoke(self, call: Call) -> web.Response:
        """DELETE /api/v1/ingest/keys/{name}: in force on all receivers within seconds."""
        await record_change(self._audit, call)
        async with self._changes.acquire() as connection:
            return json_response({"revoked": await ingest_keys.revoke(connection, _name(call))})


def _name(call: Call) -> str:
    return one_text("name", (call.request.match_info["name"],))


def _level(text: str | None) -> Level | None:
    if text is None:
        return None
    if text.upper() not in LEVEL_NAMES:
        names = ", ".join(LEVEL_NAMES)
        raise BadInput(f'Unknown level "{text[:100]}". Use {names}', where="minLevel")
    return Level[text.upper()]


def _json(key: IngestKey) -> dict[str, object]:
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
        "expiresAt": time_or_null(terms.expires_at),
        "revokedAt": time_or_null(key.revoked_at),
        "lastUsedAt": time_or_null(key.last_used_at),
        "rotatedFrom": key.rotated_from,
    }
