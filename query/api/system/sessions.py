"""The handlers of browser sessions: log in with a token, who am I, log out."""

import time

from aiohttp import web

from query.api.http.access_control import cookie_name
from query.api.http.call import Call
from query.api.records.querying import say
from query.auth.sessions import Sessions
from query.auth.tokens import Principal
from storage.record.times import rfc3339_ns


class SessionRoutes:
    """Answers the page's login."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def begin(self, call: Call) -> web.Response:
        """POST /api/v1/session: the token of the Authorization header becomes a cookie."""
        answer = say(_shown(call.principal))
        answer.set_cookie(
            cookie_name(is_secure=call.is_secure),
            self._sessions.begin(call.principal),
            max_age=max(int(call.principal.expires_s - time.time()), 0),
            path="/",
            secure=call.is_secure,
            httponly=True,
            samesite="Strict",
        )
        return answer

    async def show(self, call: Call) -> web.Response:
        """GET /api/v1/session: who asks, and what they may do."""
        return say(_shown(call.principal))

    async def end(self, call: Call) -> web.Response:
        """DELETE /api/v1/session: the cookie holds no more."""
        name = cookie_name(is_secure=call.is_secure)
        self._sessions.end(call.request.cookies.get(name, ""))
        answer = web.Response(status=204)
        answer.del_cookie(name, path="/", secure=call.is_secure, httponly=True, samesite="Strict")
        return answer


def _shown(principal: Principal) -> dict[str, object]:
    return {
        "subject": principal.subject,
        "role": principal.role,
        "permissions": sorted(principal.permissions),
        "sourceModules": principal.modules,
        "expiresAt": rfc3339_ns(int(principal.expires_s) * 10**9),
    }
