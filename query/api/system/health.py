"""Health, metrics and version: checks, handlers, models, routes."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from config.access import Permission
from config.process import telemetry
from config.process.health import CHECK_TIMEOUT_S, OK, Check, Finding, State, readiness
from query.api.http.call import Call, Route
from storage.database import migrate
from storage.database.pool import Pool
from storage.database.read import DatabaseBusy, Reader, Statement
from storage.errors import SchemaBehind, SchemaEdited, SchemaNewer


async def check_database(reader: Reader) -> Finding:
    """Whether the database executes queries; the query server cannot work without it."""
    try:
        await reader.rows(Statement("SELECT 1"))
    except DatabaseBusy as error:
        return Finding(State.DEGRADED, error.title)
    return OK


async def check_migrations(pool: Pool) -> Finding:
    """Whether the schema matches this version of opslog."""
    try:
        async with pool.acquire(timeout=CHECK_TIMEOUT_S / 2) as connection:
            await migrate.require_current(connection)
    except SchemaBehind as error:
        return Finding(State.FAILED, f"{error.title}: run `opslog migrate up`")
    except (SchemaNewer, SchemaEdited) as error:
        return Finding(State.DEGRADED, error.title)
    except TimeoutError:
        return Finding(State.DEGRADED, "no database connection became free in time")
    return OK


class Alive(BaseModel):
    """The process is alive."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Literal["ok"]


class CheckModel(BaseModel):
    """One check of /readyz."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: Literal["ok", "degraded", "failed"]
    reason: str


class Readiness(BaseModel):
    """Readiness of this process, and of each check."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Literal["ok", "degraded", "failed"]
    checks: dict[str, CheckModel]


class Version(BaseModel):
    """Product and version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["opslog"]
    version: str


class HealthRoutes:
    """The routes of health, metrics and version."""

    def __init__(self, checks: Mapping[str, Check], version: str) -> None:
        self._checks = checks
        self._version = version

    def routes(self) -> Iterable[Route]:
        """Probes, metrics, version."""
        for path, handler, response, summary in (
            ("/livez", self.livez, Alive, "Liveness"),
            ("/readyz", self.readyz, Readiness, "Readiness, by check"),
            ("/healthz", self.readyz, Readiness, "Same as /readyz"),
        ):
            yield Route(
                method="GET",
                path=path,
                handler=handler,
                permission=None,
                tag="health",
                summary=summary,
                response=response,
            )
        yield Route(
            method="GET",
            path="/metrics",
            handler=self.metrics,
            permission=Permission.OPERATIONS_READ,
            tag="health",
            summary="Metrics in the Prometheus text format",
            media=("text/plain",),
        )
        yield Route(
            method="GET",
            path="/version",
            handler=self.version,
            permission=Permission.LOGS_READ,
            audit_permission=Permission.AUDIT_READ,
            tag="health",
            summary="Version of opslog",
            response=Version,
        )

    async def livez(self, _: Call) -> web.Response:
        """200 while the process is alive."""
        return web.json_response({"status": "ok"})

    async def readyz(self, _: Call) -> web.Response:
        """The state of each check; 503 if one failed."""
        status, body = await readiness(self._checks)
        return web.json_response(body, status=status)

    async def metrics(self, _: Call) -> web.Response:
        """Prometheus metrics of all processes that share the metrics folder."""
        text = await asyncio.to_thread(telemetry.exposition)
        return web.Response(body=text, headers={"Content-Type": telemetry.CONTENT_TYPE})

    async def version(self, _: Call) -> web.Response:
        """Product and version."""
        return web.json_response({"name": "opslog", "version": self._version})
