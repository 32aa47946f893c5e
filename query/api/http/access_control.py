"""Checks at the door: token, permission, how many questions at a time, the audit of each access.

Every handler is reached through `Door.guard` and through nothing else (app.py).
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

from config.access import Permission
from config.errors import OpslogError
from query.api.http.call import Call, ClientAddresses, Route
from query.auth.access_audit import AccessAudit, Outcome
from query.auth.sessions import Sessions
from query.auth.tokens import Principal, Verifier
from query.errors import Forbidden, TooManyQuestions, Unauthorized

VIEWER_HEADER = "X-Opslog-Viewer"
SLOW_AT_A_TIME = 10
"""Exports, and live tails, of one token: each export asks the database again and again."""
_SAFE = frozenset({"GET", "HEAD"})
_BY_MODULE = frozenset(
    {Permission.LOGS_READ, Permission.LOGS_EXPORT, Permission.AUDIT_READ, Permission.REDACTION_TEST}
)
"""What can be limited to source modules. Figures, dead letters, holds, purges are of all."""
REQUEST_ID = web.RequestKey("request_id", str)


class Door:
    """Lets in who may, and tells the audit."""

    def __init__(
        self,
        verifier: Verifier,
        audit: AccessAudit,
        addresses: ClientAddresses,
        sessions: Sessions,
        *,
        questions_at_a_time: int,
        body_timeout_s: float = 30.0,
    ) -> None:
        self._body_timeout_s = body_timeout_s
        self._sessions = sessions
        self._verifier = verifier
        self._audit = audit
        self._addresses = addresses
        self._most = questions_at_a_time
        self._running: Counter[tuple[str, str]] = Counter()

    def guard(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The route's handler behind the checks."""

        async def open_to_all(request: web.Request) -> web.StreamResponse:
            return await route.handler(self._call(route, request))

        async def checked(request: web.Request) -> web.StreamResponse:
            call = self._call(route, request)
            call.principal = await self._principal(call)
            with self._slot(call):
                return await self._audited(call)

        is_open = route.permission is None and not route.needs_token
        return open_to_all if is_open else checked

    async def _principal(self, call: Call) -> Principal:
        """Who asks: by the token of the header, else by the cookie of the page."""
        request = call.request
        cookie = request.cookies.get(cookie_name(is_secure=call.is_secure), "")
        if "Authorization" in request.headers or not cookie:
            return await self._verifier.verify(_bearer(request))
        _check_same_site(request)
        found = self._sessions.find(cookie)
        if found is None:
            raise Unauthorized("the session is over; log in again")
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

    @contextmanager
    def _slot(self, call: Call) -> Iterator[None]:
        """One of the places of a token; what stays for long has places of its own."""
        slow = call.route.path if call.route.is_slow else ""
        place = call.principal.token, slow
        most = SLOW_AT_A_TIME if slow else self._most
        if self._running[place] >= most:
            what = "of these" if slow else "questions"
            raise TooManyQuestions(f"at most {most} {what} of one token at a time")
        self._running[place] += 1
        try:
            yield
        finally:
            self._running[place] -= 1
            if not self._running[place]:
                del self._running[place]

    async def _audited(self, call: Call) -> web.StreamResponse:
        """Answers the call; the access is recorded before the answer leaves."""
        try:
            _check_permission(call)
            answer = await call.route.handler(call)
        except OpslogError as error:
            outcome = Outcome.DENIED if isinstance(error, Forbidden) else Outcome.FAILURE
            if call.route.action:
                await self._audit.note(call.event(outcome, error.code))
            raise
        # A stream has recorded itself before its first byte.
        if call.route.action and not answer.prepared and not call.is_recorded:
            await self._audit.note(call.event(Outcome.SUCCESS))
        return answer


def cookie_name(*, is_secure: bool) -> str:
    """The session's cookie; browsers take `__Host-` over TLS only, and for this host alone."""
    return "__Host-opslog" if is_secure else "opslog"


def _check_same_site(request: web.Request) -> None:
    """A cookie counts only where no other site can have made the request.

    Beside SameSite=Strict: browsers say where a request comes from, and a header of our own
    cannot be sent across sites without our leave, which nobody gets. Downloads are plain links.
    """
    fetched_from = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    if fetched_from not in {"same-origin", "none"}:
        raise Forbidden("requests of other sites are not taken")
    if origin is not None and origin.partition("://")[2] != request.host:
        raise Forbidden("requests of other sites are not taken")
    if request.method not in _SAFE and VIEWER_HEADER not in request.headers:
        raise Forbidden(f"send the header {VIEWER_HEADER}")


def _check_permission(call: Call) -> None:
    held, route = call.principal.permissions, call.route
    if route.permission is None:
        return
    if call.principal.modules is not None and route.permission not in _BY_MODULE:
        raise Forbidden("a token that is limited to source modules reads records only")
    if route.permission in held or (route.audit_permission and route.audit_permission in held):
        return
    raise Forbidden(f"this needs {route.permission}")


def _bearer(request: web.Request) -> str:
    """The token of the one Authorization header; tokens in addresses are never looked at."""
    headers = request.headers.getall("Authorization", [])
    scheme, _, token = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("send a token: Authorization: Bearer …")
    return token.strip()
