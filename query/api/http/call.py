"""A route, and a request to it as its handler sees it."""

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

ANONYMOUS = Principal("nobody", "", frozenset(), 0.0, "")
"""The principal of requests to public routes."""

API = "/api/v1"

Handler: TypeAlias = Callable[["Call"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One row of the route table (routes.py)."""

    method: str
    path: str
    handler: Handler
    permission: Permission | None
    """What the principal needs; None: public, unless `needs_token`."""
    needs_token: bool = False
    """Where `permission` is None: any valid token suffices, whatever its role."""
    audit_permission: Permission | None = None
    """Suffices as well; the handler then returns audit records only (record_scope.py)."""
    action: str = ""
    """Name of the access in the audit: object.verb; "": not recorded."""
    is_streaming: bool = False
    """Open for as long as the client reads, so it has its own limit (access_control.py)."""
    tag: str = ""
    """Its section in the API documentation."""
    summary: str
    parameters: Shape | None = None
    body: type[BaseModel] | None = None
    """Model of the JSON request body."""
    response: type[BaseModel] | None = None
    """Model of a JSON response; None: not JSON."""
    status: int = 200
    """Status of a successful response."""
    media: tuple[str, ...] = ()
    """Content types of a response that is not JSON."""


@dataclass(slots=True)
class Call:
    """A request to a route."""

    route: Route
    request: web.Request
    request_id: str
    client_address: str | None
    is_secure: bool = False
    """Whether the client uses TLS, with this server or with a trusted proxy."""
    body_timeout_s: float = 30.0
    """Time limit for the request body."""
    principal: Principal = ANONYMOUS
    cookie: str = ""
    """The session cookie that was used in place of a token."""
    rows: int | None = None
    """Number of records returned; set by the handler."""
    body_summary: str = ""
    """Summary of the body for the audit; set by the handler."""
    is_recorded: bool = False
    """Whether the access is recorded already."""

    @property
    def query(self) -> str:
        """Path values, parameters and body summary as received, without the cursor."""
        path = [f"{name}={value}" for name, value in self.request.match_info.items()]
        query = [
            f"{name}={value}" for name, value in self.request.query.items() if name != "cursor"
        ]
        return "&".join([*path, *query, *([self.body_summary] if self.body_summary else [])])

    def event(self, outcome: Outcome, error: str = "") -> AccessEvent:
        """The audit event of this access, now."""
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
            query=self.query,
            rows=self.rows,
            error=error,
            request_id=self.request_id,
        )


class ClientAddresses:
    """Finds the client's address behind trusted proxies."""

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        self._trusted = [ipaddress.ip_network(text, strict=False) for text in trusted_proxies]

    def of(self, request: web.Request) -> str | None:
        """The last address that is not a trusted proxy.

        X-Forwarded-For is read from its end: an untrusted address may have forged whatever
        precedes it.
        """
        address = _address(request.remote or "")
        hops = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
        while address is not None and self._is_trusted(address) and hops and hops[-1].strip():
            address = _address(hops.pop().strip())
        return None if address is None else str(address)

    def is_secure(self, request: web.Request) -> bool:
        """Whether the client uses TLS, by the connection or by a trusted proxy's header."""
        if request.secure:
            return True
        peer = _address(request.remote or "")
        if peer is None or not self._is_trusted(peer):
            return False
        protocols = request.headers.getall("X-Forwarded-Proto", [""])[-1]
        return protocols.rpartition(",")[2].strip().lower() == "https"

    def hosts(self, request: web.Request) -> set[str]:
        """The hosts that the client may have named: Host, and X-Forwarded-Host of a proxy."""
        hosts = {request.host}
        peer = _address(request.remote or "")
        if peer is not None and self._is_trusted(peer):
            for value in request.headers.getall("X-Forwarded-Host", []):
                hosts.update(host.strip() for host in value.split(","))
        return hosts - {""}

    def _is_trusted(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        return any(address in network for network in self._trusted)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
