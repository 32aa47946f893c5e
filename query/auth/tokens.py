"""Verification of tokens, and the principal in them. JWT, RS256 only.

The algorithm is fixed and never taken from the token; `kid` is only used to look up a key that
was loaded before; a `crit` header is always rejected. Attacks are in
tests/unit/query/auth/test_tokens.py.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from config.access import Permission, permissions_of
from config.settings import AuthSettings
from query.errors import Unauthorized

_log = logging.getLogger(__name__)

ALGORITHM = "RS256"
MAX_LIFETIME_S = 24 * 3600
MAX_TOKEN_BYTES = 8192
"""Also aiohttp's limit of a header line."""
MAX_CACHED = 10_000
CACHED_S = 60.0
"""A verified token is checked again after this: its key may have been withdrawn."""
_MAX_MODULES = 200


@dataclass(frozen=True, slots=True)
class Principal:
    """The subject of a verified token, and what it may do."""

    subject: str
    role: str
    permissions: frozenset[Permission]
    expires_s: float
    """Expiry of the token in seconds since 1970, leeway included."""
    token: str
    """First hex digits of the token's SHA-256: identifies the token without exposing it."""
    modules: tuple[str, ...] | None = None
    """Source modules whose records are visible; None: all."""


class Keys(Protocol):
    """Source of verification keys (verification_keys.py)."""

    async def find(self, kid: object) -> RSAPublicKey | None:
        """The key for this `kid` of a token's header, or None."""
        ...


class Verifier:
    """Verifies tokens, and caches the verified ones for a minute."""

    def __init__(
        self,
        settings: AuthSettings,
        keys: Keys,
        *,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._now_s = now_s
        self._verified: dict[bytes, tuple[Principal, float]] = {}

    async def verify(self, token: str) -> Principal:
        """The principal of a valid token. Raises Unauthorized; the reason is logged."""
        raw = token.encode("ascii", "replace")
        digest = hashlib.sha256(raw).digest()
        known, until_s = self._verified.pop(digest, (None, 0.0))
        if known is not None and time.time() < known.expires_s and self._now_s() < until_s:
            self._verified[digest] = known, until_s
            return known
        try:
            principal = await self._check(raw, digest.hex()[:16])
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            _log.info("invalid token: %s", type(error).__name__)
            raise Unauthorized("Invalid token") from error
        if len(self._verified) >= MAX_CACHED:
            self._verified.clear()
        self._verified[digest] = principal, self._now_s() + CACHED_S
        return principal

    async def _check(self, raw: bytes, digest: str) -> Principal:
        if len(raw) > MAX_TOKEN_BYTES:
            raise jwt.DecodeError("too long")
        header = jwt.get_unverified_header(raw)
        if header.get("alg") != ALGORITHM or "crit" in header:
            raise jwt.InvalidAlgorithmError("RS256 without critical extensions only")
        key = await self._keys.find(header.get("kid"))
        if key is None:
            raise jwt.InvalidKeyError("no key for this kid")
        claims = jwt.decode(
            raw,
            key,
            algorithms=[ALGORITHM],
            audience=self._settings.audience,
            issuer=self._settings.issuer,
            leeway=self._settings.leeway_s,
            options={"require": ["exp"]},
        )
        return self._principal(claims, digest)

    def _principal(self, claims: Mapping[str, object], digest: str) -> Principal:
        expires_s = _seconds(claims["exp"])
        begins_s = _seconds(claims.get("iat", time.time()))
        if expires_s - begins_s > MAX_LIFETIME_S:
            raise jwt.InvalidTokenError("lifetime exceeds 24 hours")
        claimed = _claim(claims, self._settings.role_claim)
        role = self._settings.role_map.get(claimed, claimed)
        subject = claims.get("sub")
        return Principal(
            subject=subject[:200] if isinstance(subject, str) and subject else "unknown",
            role=role[:100],
            permissions=permissions_of(role),
            expires_s=expires_s + self._settings.leeway_s,
            token=digest,
            modules=_modules(claims.get(self._settings.modules_claim)),
        )


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise jwt.DecodeError("a time is not a number")
    return float(value)


def _modules(claimed: object) -> tuple[str, ...] | None:
    """The source modules of a claim; a malformed claim allows none."""
    if claimed is None:
        return None
    if not isinstance(claimed, list) or not all(isinstance(name, str) for name in claimed):
        return ()
    return tuple(claimed[:_MAX_MODULES])


def _claim(claims: Mapping[str, object], path: str) -> str:
    """The string at a claim's path; "" if there is none."""
    found: object = claims
    for step in (path,) if path in claims else path.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else ""
