"""One route of the table, and one request to it as its handler sees it."""

import ipaddress
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from aiohttp import web
from pydantic import BaseModel

from config.access import Permission
from query.auth.access_audit import AccessEvent, Outcome
from query.auth.tokens import Principal
from query.planning.search import Shape

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
    needs_token: bool = False
    """Where `permission` is None: any believed token is let in, whatever its role."""
    audit_permission: Permission | None = None
    """Suffices as well; the handler then gives out audit records only (scope.py)."""
    action: str = ""
    """Name of the access in the audit, object.verb; "": not recorded."""
    is_slow: bool = False
    """Stays for as long as the asker likes, and so has places of its own (door.py)."""
    tag: str = ""
    """Its chapter in the description of the API."""
    summary: str
    parameters: Shape | None = None
    body: type[BaseModel] | None = None
    """Model of the request's JSON body."""
    answer: type[BaseModel] | None = None
    """Model of a JSON answer; None: not JSON."""
    status: int = 200
    """Of the answer when all goes well."""
    media: tuple[str, ...] = ()
    """Types of an answer that is not JSON."""


@dataclass(slots=True)
class Call:
    """A request that was let in."""

    route: Route
    request: web.Request
    request_id: str
    client_address: str | None
    is_secure: bool = False
    """Whether the client speaks TLS with us, or with a proxy that we trust."""
    body_timeout_s: float = 30.0
    """Longest time for the request's body."""
    principal: Principal = NOBODY
    cookie: str = ""
    """The session that stood for a token."""
    rows: int | None = None
    """Records given out; the handler sets it."""
    said: str = ""
    """What a body asked for, in words; the handler sets it."""
    is_recorded: bool = False
    """Whether the access has its record already."""

    @property
    def question(self) -> str:
        """What was asked, as typed, without the cursor."""
        path = [f"{name}={value}" for name, value in self.request.match_info.items()]
        query = [
            f"{name}={value}" for name, value in self.request.query.items() if name != "cursor"
        ]
        return "&".join([*path, *query, *([self.said] if self.said else [])])

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

    def is_secure(self, request: web.Request) -> bool:
        """Whether TLS protects the way to the client, as far as we can know."""
        if request.secure:
            return True
        peer = _address(request.remote or "")
        if peer is None or not self._is_trusted(peer):
            return False
        said = request.headers.getall("X-Forwarded-Proto", [""])[-1]
        return said.rpartition(",")[2].strip().lower() == "https"

    def _is_trusted(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        return any(address in network for network in self._trusted)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
