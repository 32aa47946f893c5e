"""Health and metrics of one process: on a Unix socket, and optionally on a port.

The query server includes the status of the other processes in its own /readyz, so that one address
covers the whole installation.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from config.process import telemetry
from config.process.health import CHECK_TIMEOUT_S, Check, Finding, State, readiness
from opslog.installation.installation import Installation


class HealthServer:
    """Serves /livez, /readyz and /metrics of this process."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._runner: web.AppRunner | None = None

    async def start(self, socket: Path, port: int | None = None) -> None:
        """Listen on `socket` (replaced if it exists), and on 127.0.0.1:`port` if given."""
        app = web.Application()
        app.router.add_get("/livez", _livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", _metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await asyncio.to_thread(socket.unlink, missing_ok=True)
        await web.UnixSite(self._runner, str(socket)).start()
        if port is not None:
            await web.TCPSite(self._runner, "127.0.0.1", port).start()

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _readyz(self, _: web.Request) -> web.Response:
        status, body = await readiness(self._checks)
        return web.json_response(body, status=status)


@asynccontextmanager
async def serving(
    installation: Installation, name: str, checks: Mapping[str, Check], port: int | None
) -> AsyncIterator[None]:
    """Serve the health of process `name` within the block."""
    health = HealthServer(checks)
    await health.start(installation.health_socket(name), port)
    try:
        yield
    finally:
        await health.close()


async def _livez(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(
        body=telemetry.exposition(), headers={"Content-Type": telemetry.CONTENT_TYPE}
    )


def check_of(name: str, socket: Path) -> Check:
    """A check that reads the health of another process of this installation."""

    async def check() -> Finding:
        timeout = aiohttp.ClientTimeout(total=CHECK_TIMEOUT_S / 2)
        try:
            async with (
                aiohttp.UnixConnector(str(socket)) as connector,
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.get("http://localhost/readyz") as response,
            ):
                status = await response.json()
        except (OSError, aiohttp.ClientError, TimeoutError):
            return Finding(State.DEGRADED, f"{name} does not respond; see its lines in the log")
        reasons = [
            f"{part}: {found['reason']}"
            for part, found in status["checks"].items()
            if found["state"] != State.OK
        ]
        # A problem in another process does not make this one unready.
        state = State.OK if status["status"] == State.OK else State.DEGRADED
        return Finding(state, "; ".join(reasons))

    return check
