"""Browser sessions: a verified token is exchanged for a cookie that scripts cannot read.

The cookie contains the principal and its expiry, signed with a key of this installation. It
never outlives its token; permissions are derived from the role on each request. Logging out ends
all sessions of the same token (storage/access/session_ends.py).
"""

import hashlib
import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Any, Protocol

import orjson

from config.access import permissions_of
from query.auth.shared_state import SharedState
from query.auth.tokens import Principal
from storage.access.session_ends import SessionEnd

_MAX_LENGTH = 4096
_TAG_BYTES = 32


class Ends(Protocol):
    """Ended sessions (storage.access.session_ends.SessionEnds)."""

    def ended_s(self, token: str) -> float:
        """Sessions of this token that began before this time are over; 0: none."""
        ...

    def end(self, token: str, end: SessionEnd) -> None:
        """Record a logout."""
        ...


class SharedEnds:
    """Ended sessions: at once in all processes of this machine, elsewhere by the database."""

    def __init__(self, ends: Ends, state: SharedState) -> None:
        self._ends = ends
        self._state = state

    def ended_s(self, token: str) -> float:
        """As of Ends."""
        return max(self._ends.ended_s(token), self._state.ended_s(token))

    def end(self, token: str, end: SessionEnd) -> None:
        """As of Ends."""
        self._state.end_sessions(token, end.ended_s)
        self._ends.end(token, end)


class Sessions:
    """Creates and verifies session cookies."""

    def __init__(self, key: bytes, ends: Ends) -> None:
        # Derive a separate key, so that the secret can be used for other purposes too.
        self._key = hmac.digest(key, b"opslog session", hashlib.sha256)
        self._ends = ends

    def begin(self, principal: Principal) -> str:
        """The value of a new cookie for the principal of a verified token."""
        body = orjson.dumps(
            {
                "at": time.time(),
                "sub": principal.subject,
                "role": principal.role,
                "modules": principal.modules,
                "token": principal.token,
                "exp": principal.expires_s,
            }
        )
        return urlsafe_b64encode(body + self._tag(body)).decode().rstrip("=")

    def find(self, text: str) -> Principal | None:
        """The principal of a cookie; None if it is forged, expired or ended."""
        claims = self._opened(text)
        if claims is None or claims["exp"] <= time.time():
            return None
        if claims.get("at", 0.0) <= self._ends.ended_s(claims["token"]):
            return None
        modules = claims["modules"]
        return Principal(
            subject=claims["sub"],
            role=claims["role"],
            permissions=permissions_of(claims["role"]),
            expires_s=claims["exp"],
            token=claims["token"],
            modules=None if modules is None else tuple(modules),
        )

    def end(self, text: str) -> None:
        """End this session, and all others of its token."""
        claims = self._opened(text)
        if claims is not None:
            self._ends.end(claims["token"], SessionEnd(time.time(), claims["exp"]))

    def _opened(self, text: str) -> Mapping[str, Any] | None:
        if len(text) > _MAX_LENGTH or not text.isascii():
            return None
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except Base64Error:
            return None
        body, tag = raw[:-_TAG_BYTES], raw[-_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(body)):
            return None
        claims: Mapping[str, Any] = orjson.loads(body)
        return claims

    def _tag(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, hashlib.sha256)
