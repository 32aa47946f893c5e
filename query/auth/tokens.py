"""Whether a token is believed, and what its holder may do. JWT, RS256 only.

The algorithm is fixed here and never taken from the token; `kid` is only ever looked up in a
dictionary of keys that were loaded beforehand; a `crit` header is always refused. Rules with
their attacks: tests/unit/query/auth/test_tokens.py.
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
"""Header lines end there too (aiohttp's limit)."""
MAX_KEPT = 10_000
KEPT_S = 60.0
"""A believed token is checked again after this: its key may have been withdrawn meanwhile."""
_MAX_MODULES = 200


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, as a verified token says."""

    subject: str
    role: str
    permissions: frozenset[Permission]
    expires_s: float
    """Seconds since 1970 at which the token ends, leeway included."""
    token: str
    """First hex digits of the token's SHA-256: tells tokens apart without showing any."""
    modules: tuple[str, ...] | None = None
    """Source modules whose records it may see; None: all."""


class Keys(Protocol):
    """Where verification keys come from (keys.py)."""

    async def find(self, kid: object) -> RSAPublicKey | None:
        """The key for this `kid` of a token's header, or None."""
        ...


class Verifier:
    """Believes tokens, and remembers for a minute those that it believed."""

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
        self._kept: dict[bytes, tuple[Principal, float]] = {}

    async def verify(self, token: str) -> Principal:
        """The principal of a token. Raises Unauthorized for all others; the log has the reason."""
        raw = token.encode("ascii", "replace")
        digest = hashlib.sha256(raw).digest()
        known, until_s = self._kept.pop(digest, (None, 0.0))
        if known is not None and time.time() < known.expires_s and self._now_s() < until_s:
            self._kept[digest] = known, until_s
            return known
        try:
            principal = await self._check(raw, digest.hex()[:16])
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            _log.info("a token is not believed: %s", type(error).__name__)
            raise Unauthorized("the token is not valid") from error
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        self._kept[digest] = principal, self._now_s() + KEPT_S
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
            raise jwt.InvalidTokenError("lives longer than 24 hours")
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
    """The source modules of a claim; a claim that cannot be understood allows none."""
    if claimed is None:
        return None
    if not isinstance(claimed, list) or not all(isinstance(name, str) for name in claimed):
        return ()
    return tuple(claimed[:_MAX_MODULES])


def _claim(claims: Mapping[str, object], path: str) -> str:
    """The text at a claim's path; "" for everything that is not one exact text there."""
    found: object = claims
    for step in (path,) if path in claims else path.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else ""
