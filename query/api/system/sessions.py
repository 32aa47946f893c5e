"""Browser sessions, login, current principal and logout: handlers, model, routes."""

import time
from collections.abc import Iterable
from datetime import datetime

from aiohttp import web

from query.api.http.access_control import cookie_name
from query.api.http.call import API, Call, Route
from query.api.http.models import Model
from query.api.http.responses import json_response
from query.auth.sessions import Sessions
from query.auth.tokens import Principal
from storage.record.times import rfc3339_ns


class Session(Model):
    """The principal of the request."""

    subject: str
    role: str
    permissions: list[str]
    source_modules: list[str] | None
    """Source modules whose records are visible; null: all."""
    expires_at: datetime


class SessionRoutes:
    """The routes of the viewer's session."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def routes(self) -> Iterable[Route]:
        """Begin, show, end."""
        for method, handler, action, summary, response, status in (
            ("POST", self.begin, "session.begin", "Exchange a token for a cookie", Session, 200),
            ("GET", self.show, "", "The current principal and its permissions", Session, 200),
            ("DELETE", self.end, "session.end", "End the session", None, 204),
        ):
            yield Route(
                method=method,
                path=f"{API}/session",
                handler=handler,
                permission=None,
                needs_token=True,
                action=action,
                tag="session",
                summary=summary,
                response=response,
                status=status,
            )

    async def begin(self, call: Call) -> web.Response:
        """POST /api/v1/session: the token of the Authorization header becomes a cookie."""
        response = json_response(_json(call.principal))
        response.set_cookie(
            cookie_name(is_secure=call.is_secure),
            self._sessions.begin(call.principal),
            max_age=max(int(call.principal.expires_s - time.time()), 0),
            path="/",
            secure=call.is_secure,
            httponly=True,
            samesite="Strict",
        )
        return response

    async def show(self, call: Call) -> web.Response:
        """GET /api/v1/session: the current principal and its permissions."""
        return json_response(_json(call.principal))

    async def end(self, call: Call) -> web.Response:
        """DELETE /api/v1/session: invalidates the cookie."""
        name = cookie_name(is_secure=call.is_secure)
        self._sessions.end(call.request.cookies.get(name, ""))
        response = web.Response(status=204)
        response.del_cookie(name, path="/", secure=call.is_secure, httponly=True, samesite="Strict")
        return response


def _json(principal: Principal) -> dict[str, object]:
    return {
        "subject": principal.subject,
        "role": principal.role,
        "permissions": sorted(principal.permissions),
        "sourceModules": principal.modules,
        "expiresAt": rfc3339_ns(int(principal.expires_s) * 10**9),
    }
