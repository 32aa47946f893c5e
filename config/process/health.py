"""Readiness of a process (/readyz): one state per check, and the overall status.

503 only if the process cannot do its work; otherwise 200, with "degraded" and the reasons.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

CHECK_TIMEOUT_S = 2.0


class State(StrEnum):
    """State of a check."""

    OK = "ok"
    DEGRADED = "degraded"
    """Works with reduced function or redundancy."""
    FAILED = "failed"
    """The process cannot do its work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check."""

    state: State
    reason: str = ""
    """Human-readable: what is wrong and how to fix it. Never a secret."""


OK = Finding(State.OK)
Check = Callable[[], Awaitable[Finding]]


async def readiness(checks: Mapping[str, Check]) -> tuple[int, dict[str, object]]:
    """HTTP status and JSON of /readyz; a check that times out or raises counts as failed."""
    names = list(checks)
    found = await asyncio.gather(*[_run(checks[name]) for name in names])
    by_name = dict(zip(names, found, strict=True))
    states = {finding.state for finding in found}
    overall = next((state for state in (State.FAILED, State.DEGRADED) if state in states), State.OK)
    body: dict[str, object] = {
        "status": overall.value,
        "checks": {
            name: {"state": finding.state.value, "reason": finding.reason}
            for name, finding in by_name.items()
        },
    }
    return (503 if overall is State.FAILED else 200), body


async def _run(check: Check) -> Finding:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check()
    except TimeoutError:
        return Finding(State.FAILED, f"no response within {CHECK_TIMEOUT_S:g} s")
    except Exception as error:  # noqa: BLE001 - a check that raises counts as failed
        return Finding(State.FAILED, type(error).__name__)
