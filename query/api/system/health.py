"""Is it alive, can it work, how is it doing."""

import asyncio
from collections.abc import Mapping

from aiohttp import web

from config.process import telemetry
from config.process.health import CHECK_TIMEOUT_S, OK, Check, Finding, State, readiness
from query.api.http.call import Call
from storage.database import migrate
from storage.database.pool import Pool
from storage.database.read import DatabaseBusy, Reader, Statement
from storage.errors import SchemaBehind, SchemaEdited, SchemaNewer


async def check_database(reader: Reader) -> Finding:
    """Whether the database answers questions; without it the query server cannot work."""
    try:
        await reader.rows(Statement("SELECT 1"))
    except DatabaseBusy as error:
        return Finding(State.DEGRADED, error.title)
    return OK


async def check_migrations(pool: Pool) -> Finding:
    """Whether the tables are those that this opslog was written for."""
    try:
        async with pool.acquire(timeout=CHECK_TIMEOUT_S / 2) as connection:
            await migrate.require_current(connection)
    except SchemaBehind as error:
        return Finding(State.FAILED, f"{error.title}: run `opslog migrate up`")
    except (SchemaNewer, SchemaEdited) as error:
        return Finding(State.DEGRADED, error.title)
    except TimeoutError:
        return Finding(State.DEGRADED, "no database connection got free in time")
    return OK


class Health:
    """The handlers of health, metrics and version."""

    def __init__(self, checks: Mapping[str, Check], version: str) -> None:
        self._checks = checks
        self._version = version

    async def livez(self, _: Call) -> web.Response:
        """200 as long as the process answers at all."""
        return web.json_response({"status": "ok"})

    async def readyz(self, _: Call) -> web.Response:
        """Every check with its state; 503 when one of them failed."""
        status, body = await readiness(self._checks)
        return web.json_response(body, status=status)

    async def metrics(self, _: Call) -> web.Response:
        """Prometheus text of all processes that share the metrics folder."""
        text = await asyncio.to_thread(telemetry.exposition)
        return web.Response(body=text, headers={"Content-Type": telemetry.CONTENT_TYPE})

    async def version(self, _: Call) -> web.Response:
        """Which opslog this is."""
        return web.json_response({"name": "opslog", "version": self._version})
