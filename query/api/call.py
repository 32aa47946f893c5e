"""One route of the table, and one request to it as its handler sees it."""

import ipaddress
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from aiohttp import web
from pydantic import BaseModel

from config.access import Permission
from query.access_audit import AccessEvent, Outcome
from query.auth.tokens import Principal
from query.search import Shape

NOBODY = Principal("nobody", "", frozenset(), 0.0, "")
"""Asks the routes that are open to everybody."""

Handler: TypeAlias = Callable[["Call"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One line of the table in routes.py."""

    method: str
    path: str
    handler: Handler
    permission: Permission | None
    """What the asker needs; None: open to everybody (health only)."""
    audit_permission: Permission | None = None
    """Suffices as well; the handler then gives out audit records only (scope.py)."""
    action: str = ""
    """Name of the access in the audit, object.verb; "": not recorded."""
    summary: str
    parameters: Shape | None = None
    answer: type[BaseModel] | None = None
    """Model of a JSON answer; None: not JSON."""


@dataclass(slots=True)
class Call:
    """A request that was let in."""

    route: Route
    request: web.Request
    request_id: str
    client_address: str | None
    principal: Principal = NOBODY
    rows: int | None = None
    """Records given out; the handler sets it."""

    @property
    def question(self) -> str:
        """What was asked, as typed, without the cursor."""
        path = [f"{name}={value}" for name, value in self.request.match_info.items()]
        query = [
            f"{name}={value}" for name, value in self.request.query.items() if name != "cursor"
        ]
        return "&".join([*path, *query])

    def event(self, outcome: Outcome, error: str = "") -> AccessEvent:
        """This access, as of now."""
        return AccessEvent(
            at_unix_ns=time.time_ns(),
            action=self.route.action,
            outcome=outcome,
            subject=self.principal.subject,
            role=self.principal.role,
            token=self.principal.token,
            client_address=self.client_address,
            permission=str(self.route.permission or ""),
            route=self.route.path,
            question=self.question,
            rows=self.rows,
            error=error,
            request_id=self.request_id,
        )


class ClientAddresses:
    """Finds the address of the client behind proxies that are trusted."""

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        self._trusted = [ipaddress.ip_network(text, strict=False) for text in trusted_proxies]

    def of(self, request: web.Request) -> str | None:
        """The last address that no trusted proxy vouches for.

        X-Forwarded-For is read from its end: what stands before an address that we do not trust
        may have been invented by it.
        """
        address = _address(request.remote or "")
        hops = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
        while address is not None and self._is_trusted(address) and hops and hops[-1].strip():
            address = _address(hops.pop().strip())
        return None if address is None else str(address)

    def _is_trusted(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        return any(address in network for network in self._trusted)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
