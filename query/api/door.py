"""Checks at the door: token, permission, how many questions at a time, the audit of each access.

Every handler is reached through `Door.guard` and through nothing else (app.py).
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

from config.errors import OpslogError
from query.access_audit import AccessAudit, Outcome
from query.api.call import Call, ClientAddresses, Route
from query.auth.tokens import Principal, Verifier
from query.errors import Forbidden, TooManyQuestions, Unauthorized

REQUEST_ID = web.RequestKey("request_id", str)


class Door:
    """Lets in who may, and tells the audit."""

    def __init__(
        self,
        verifier: Verifier,
        audit: AccessAudit,
        addresses: ClientAddresses,
        *,
        questions_at_a_time: int,
    ) -> None:
        self._verifier = verifier
        self._audit = audit
        self._addresses = addresses
        self._most = questions_at_a_time
        self._running: Counter[str] = Counter()

    def guard(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The route's handler behind the checks."""

        async def open_to_all(request: web.Request) -> web.StreamResponse:
            return await route.handler(self._call(route, request))

        async def checked(request: web.Request) -> web.StreamResponse:
            call = self._call(route, request)
            call.principal = await self._verifier.verify(_bearer(request))
            with self._slot(call.principal):
                return await self._audited(call)

        return open_to_all if route.permission is None else checked

    def _call(self, route: Route, request: web.Request) -> Call:
        return Call(
            route=route,
            request=request,
            request_id=request[REQUEST_ID],
            client_address=self._addresses.of(request),
        )

    @contextmanager
    def _slot(self, principal: Principal) -> Iterator[None]:
        if self._running[principal.token] >= self._most:
            raise TooManyQuestions(f"at most {self._most} questions of one token at a time")
        self._running[principal.token] += 1
        try:
            yield
        finally:
            self._running[principal.token] -= 1
            if not self._running[principal.token]:
                del self._running[principal.token]

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
        if call.route.action and not answer.prepared:
            await self._audit.note(call.event(Outcome.SUCCESS))
        return answer


def _check_permission(call: Call) -> None:
    held, route = call.principal.permissions, call.route
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
