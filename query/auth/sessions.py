"""Sessions of browsers: a believed token is exchanged for a cookie that scripts cannot read.

The cookie says who it is for and until when, signed with a key of this installation; it never
outlives its token, and what its holder may do is looked up anew each time. Logging out ends all
sessions that were begun with the same token until then (storage/access/session_ends.py).
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
from query.auth.tokens import Principal
from storage.access.session_ends import SessionEnd

_LONGEST = 4096
_TAG_BYTES = 32


class Ends(Protocol):
    """Remembers who logged out (storage.session_ends.SessionEnds)."""

    def ended_s(self, token: str) -> float:
        """Until when sessions of this token are over; 0: none is."""
        ...

    def end(self, token: str, end: SessionEnd) -> None:
        """Somebody logs out."""
        ...


class Sessions:
    """Seals and opens session cookies."""

    def __init__(self, key: bytes, ends: Ends) -> None:
        # A key of its own, so that the same secret may serve other purposes.
        self._key = hmac.digest(key, b"opslog session", hashlib.sha256)
        self._ends = ends

    def begin(self, principal: Principal) -> str:
        """The cookie's value for a holder of a believed token."""
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
        """Who a cookie stands for; None for what `begin` did not make, and for ended ones."""
        said = self._opened(text)
        if said is None or said["exp"] <= time.time():
            return None
        if said.get("at", 0.0) <= self._ends.ended_s(said["token"]):
            return None
        modules = said["modules"]
        return Principal(
            subject=said["sub"],
            role=said["role"],
            permissions=permissions_of(said["role"]),
            expires_s=said["exp"],
            token=said["token"],
            modules=None if modules is None else tuple(modules),
        )

    def end(self, text: str) -> None:
        """The cookie holds no more, nor do others of its token."""
        said = self._opened(text)
        if said is not None:
            self._ends.end(said["token"], SessionEnd(time.time(), said["exp"]))

    def _opened(self, text: str) -> Mapping[str, Any] | None:
        if len(text) > _LONGEST or not text.isascii():
            return None
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except Base64Error:
            return None
        body, tag = raw[:-_TAG_BYTES], raw[-_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(body)):
            return None
        said: Mapping[str, Any] = orjson.loads(body)
        return said

    def _tag(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, hashlib.sha256)
