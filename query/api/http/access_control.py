"""Access control: token, permission, concurrency limit, the audit of each access.

Every handler is only reachable through `AccessControl.guard` (app.py).
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager

from aiohttp import web

from config.access import Permission, Role
from config.errors import OpslogError
from query.api.http.call import Call, ClientAddresses, Route
from query.api.http.same_site import SameSite
from query.auth.access_audit import AccessAudit, Outcome
from query.auth.sessions import Sessions
from query.auth.shared_state import SharedState, slot
from query.auth.tokens import Principal, Verifier
from query.errors import Forbidden, Unauthorized
from storage.database.fairness import CALLER

CONCURRENT_STREAMS = 10
"""Exports, or live tails, per token: each export queries the database many times."""
_BY_MODULE = frozenset(
    {Permission.LOGS_READ, Permission.LOGS_EXPORT, Permission.AUDIT_READ, Permission.REDACTION_TEST}
)
"""What can be restricted to source modules. Operational data covers all modules."""
REQUEST_ID = web.RequestKey("request_id", str)


class AccessControl:
    """Authenticates, authorizes and audits each request."""

    def __init__(
        self,
        verifier: Verifier,
        audit: AccessAudit,
        addresses: ClientAddresses,
        sessions: Sessions,
        state: SharedState,
        *,
        same_site: SameSite,
        concurrent_queries: int,
        body_timeout_s: float = 30.0,
    ) -> None:
        self._body_timeout_s = body_timeout_s
        self._sessions = sessions
        self._verifier = verifier
        self._audit = audit
        self._addresses = addresses
        self._state = state
        self._same_site = same_site
        self._concurrent_queries = concurrent_queries

    def guard(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The route's handler, guarded by the checks."""

        async def public(request: web.Request) -> web.StreamResponse:
            return await route.handler(self._call(route, request))

        async def checked(request: web.Request) -> web.StreamResponse:
            call = self._call(route, request)
            call.principal = await self._principal(call)
            CALLER.set(call.principal.token)
            with self._slot(call):
                return await self._audited(call)

        is_public = route.permission is None and not route.needs_token
        return public if is_public else checked

    async def _principal(self, call: Call) -> Principal:
        """The principal of the bearer token, or else of the session cookie."""
        request = call.request
        cookie = request.cookies.get(cookie_name(is_secure=call.is_secure), "")
        if "Authorization" in request.headers or not cookie:
            return await self._verifier.verify(_bearer(request))
        self._same_site.check(request)
        found = self._sessions.find(cookie)
        if found is None:
            raise Unauthorized("The session has expired. Log in again")
        call.cookie = cookie
        return found

    def _call(self, route: Route, request: web.Request) -> Call:
        return Call(
            route=route,
            request=request,
            request_id=request[REQUEST_ID],
            client_address=self._addresses.of(request),
            is_secure=self._addresses.is_secure(request),
            body_timeout_s=self._body_timeout_s,
        )

    def _slot(self, call: Call) -> AbstractContextManager[None]:
        """One of the token's slots; each streaming route has its own limit."""
        stream = call.route.path if call.route.is_streaming else ""
        limit = CONCURRENT_STREAMS if stream else self._concurrent_queries
        what = "streams of this kind" if stream else "queries"
        refused = f"At most {limit} concurrent {what} per token"
        return slot(self._state, f"{call.principal.token} {stream}", limit, refused)

    async def _audited(self, call: Call) -> web.StreamResponse:
        """Call the handler; the access is recorded before the response is sent."""
        try:
            _check_permission(call)
            response = await call.route.handler(call)
        except OpslogError as error:
            outcome = Outcome.DENIED if isinstance(error, Forbidden) else Outcome.FAILURE
            if call.route.action:
                await self._audit.note(call.event(outcome, error.code))
            raise
        # Streaming handlers record the access before the first byte.
        if call.route.action and not response.prepared and not call.is_recorded:
            await self._audit.note(call.event(Outcome.SUCCESS))
        return response


def cookie_name(*, is_secure: bool) -> str:
    """Name of the session cookie; browsers accept `__Host-` over TLS and for this host only."""
    return "__Host-opslog" if is_secure else "opslog"


def _check_permission(call: Call) -> None:
    held, route = call.principal.permissions, call.route
    if route.permission is None:
        return
    if call.principal.modules is not None and route.permission not in _BY_MODULE:
        raise Forbidden("A token restricted to source modules may read records only")
    if route.permission in held or (route.audit_permission and route.audit_permission in held):
        return
    if call.principal.role not in set(Role):
        raise Forbidden(
            f"This requires {route.permission}. The token has none of opslog's roles: check"
            " auth.role_claim and auth.role_map"
        )
    raise Forbidden(f"This requires {route.permission}")


def _bearer(request: web.Request) -> str:
    """The token of the one Authorization header; tokens in URLs are ignored."""
    headers = request.headers.getall("Authorization", [])
    scheme, _, token = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("Send a token: Authorization: Bearer …")
    return token.strip()
