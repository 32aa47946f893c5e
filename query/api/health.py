"""Is it alive, can it work, how is it doing."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from query.api.call import Call
from storage.read import Reader, Statement

_log = logging.getLogger(__name__)

CHECK_TIMEOUT_S = 2.0


class State(StrEnum):
    """Of a check, or of the process: the worst of its checks."""

    OK = "ok"
    DEGRADED = "degraded"
    """Works, but not as it should."""
    FAILED = "failed"
    """This process cannot do its work."""


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found; the detail is shown to everybody, so it names no address or path."""

    state: State
    detail: str = ""


Checks: TypeAlias = Mapping[str, Callable[[], Awaitable[Check]]]
"""By the name under which /readyz shows them."""


async def check_database(reader: Reader) -> Check:
    """Whether the database answers questions; without it the query server cannot work."""
    await reader.rows(Statement("SELECT 1"))
    return Check(State.OK)


class Health:
    """The handlers of health, metrics and version."""

    def __init__(self, checks: Checks, version: str) -> None:
        self._checks = checks
        self._version = version

    async def livez(self, _: Call) -> web.Response:
        """200 as long as the process answers at all."""
        return web.json_response({"status": "ok"})

    async def readyz(self, _: Call) -> web.Response:
        """Every check with its state; 503 when one of them failed."""
        names = list(self._checks)
        found = await asyncio.gather(*(_within_time(self._checks[name], name) for name in names))
        states = {check.state for check in found}
        worst = next(
            (state for state in (State.FAILED, State.DEGRADED) if state in states), State.OK
        )
        body = {
            "status": worst,
            "checks": {
                name: {"state": check.state, "detail": check.detail}
                for name, check in zip(names, found, strict=True)
            },
        }
        return web.Response(
            body=orjson.dumps(body),
            status=503 if worst is State.FAILED else 200,
            content_type="application/json",
        )

    async def metrics(self, _: Call) -> web.Response:
        """Prometheus text of all processes that share the metrics folder."""
        text = await asyncio.to_thread(_metrics_text)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def version(self, _: Call) -> web.Response:
        """Which opslog this is."""
        return web.json_response({"name": "opslog", "version": self._version})


async def _within_time(check: Callable[[], Awaitable[Check]], name: str) -> Check:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check()
    except TimeoutError:
        return Check(State.FAILED, "no answer in time")
    except Exception as error:  # noqa: BLE001 - whatever a check meets, the answer is "failed"
        _log.info("check %s failed: %s", name, type(error).__name__)
        return Check(State.FAILED, "does not answer")


def _metrics_text() -> bytes:
    registry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
