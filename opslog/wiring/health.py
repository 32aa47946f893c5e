"""Health and metrics of one process: on a Unix socket for the house, on a port when asked.

The query server gathers what the others say at their sockets into its own /readyz, so that one
address tells about the whole house.
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
        """Listen on `socket` (made anew), and on 127.0.0.1:`port` when one is given."""
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
    """The health of process `name`, for as long as the block lasts."""
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


def ask(name: str, socket: Path) -> Check:
    """A check that asks another process of this house how it is."""

    async def check() -> Finding:
        timeout = aiohttp.ClientTimeout(total=CHECK_TIMEOUT_S / 2)
        try:
            async with (
                aiohttp.UnixConnector(str(socket)) as connector,
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.get("http://localhost/readyz") as answer,
            ):
                said = await answer.json()
        except (OSError, aiohttp.ClientError, TimeoutError):
            return Finding(State.DEGRADED, f"{name} does not answer; see its lines in the log")
        reasons = [
            f"{part}: {found['reason']}"
            for part, found in said["checks"].items()
            if found["state"] != State.OK
        ]
        # Another process in trouble does not keep this one from its work.
        state = State.OK if said["status"] == State.OK else State.DEGRADED
        return Finding(state, "; ".join(reasons))

    return check
