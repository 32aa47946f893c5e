"""Sessions of browsers: a believed token is exchanged for a cookie that scripts cannot read.

The cookie says who it is for and until when, signed with a key of this installation; it never
outlives its token, and what its holder may do is looked up anew each time. Logging out is
remembered by this process until the session would have ended.
"""

import hashlib
import hmac
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Any

import orjson

from config.access import permissions_of
from query.auth.tokens import Principal

_LONGEST = 4096
_TAG_BYTES = 32
_MAX_ENDED = 100_000


class Sessions:
    """Seals and opens session cookies."""

    def __init__(self, key: bytes) -> None:
        # A key of its own, so that the same secret may serve other purposes.
        self._key = hmac.digest(key, b"opslog session", hashlib.sha256)
        self._ended: dict[str, float] = {}

    def begin(self, principal: Principal) -> str:
        """The cookie's value for a holder of a believed token."""
        body = orjson.dumps(
            {
                "sid": secrets.token_urlsafe(16),
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
        if said is None or said["sid"] in self._ended or said["exp"] <= time.time():
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
        """The cookie holds no more."""
        said = self._opened(text)
        if said is None:
            return
        now_s = time.time()
        if len(self._ended) >= _MAX_ENDED:
            self._ended = {sid: end for sid, end in self._ended.items() if end > now_s}
        self._ended[said["sid"]] = said["exp"]

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
