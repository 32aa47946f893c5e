"""Verification of tokens, and the principal in them. JWT, RS256 only.

The algorithm is fixed and never taken from the token; `kid` is only used to look up a key that
was loaded before; a `crit` header is always rejected. Attacks are in
tests/unit/query/auth/test_tokens.py. A refusal names the reason, from a table: claims are only read
once the signature is verified, and nothing of the token is repeated.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from config.access import Permission, Role, permissions_of
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
_MAX_ROLES = 1000
"""Roles of one token that are considered."""


class _Refused(jwt.InvalidTokenError):
    """A token that is not accepted; the message is the reason."""


_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (_Refused, "{error}"),
    (jwt.ExpiredSignatureError, "it has expired"),
    (jwt.ImmatureSignatureError, "it is not valid yet: nbf or iat is ahead of this clock"),
    (jwt.InvalidIssuedAtError, "its iat is not a time"),
    (jwt.InvalidAudienceError, "its aud is not the setting auth.audience"),
    (jwt.InvalidIssuerError, "its iss is not the setting auth.issuer"),
    (jwt.MissingRequiredClaimError, "it has no {error.claim}"),
    (jwt.InvalidSignatureError, "its signature does not match the key"),
)
"""Why a token is refused, by exception; the first that fits. All texts are opslog's own."""
_NO_TOKEN = "it is no JSON web token, or has critical extensions or a claim of the wrong type"  # noqa: S105


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
        """The principal of a valid token. Raises Unauthorized with the reason, which is logged."""
        raw = token.encode("ascii", "replace")
        digest = hashlib.sha256(raw).digest()
        known, until_s = self._verified.pop(digest, (None, 0.0))
        if known is not None and time.time() < known.expires_s and self._now_s() < until_s:
            self._verified[digest] = known, until_s
            return known
        try:
            principal = await self._check(raw, digest.hex()[:16])
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            reason = _reason_of(error)
            _log.info("invalid token: %s", reason)
            raise Unauthorized(f"Invalid token: {reason}") from error
        if len(self._verified) >= MAX_CACHED:
            self._verified.clear()
        self._verified[digest] = principal, self._now_s() + CACHED_S
        return principal

    async def _check(self, raw: bytes, digest: str) -> Principal:
        if len(raw) > MAX_TOKEN_BYTES:
            raise _Refused(f"it is longer than {MAX_TOKEN_BYTES} bytes")
        header = jwt.get_unverified_header(raw)
        if header.get("alg") != ALGORITHM or "crit" in header:
            raise _Refused(f"it is not signed with {ALGORITHM}, or has critical extensions")
        kid = header.get("kid")
        key = await self._keys.find(kid)
        if key is None:
            raise _Refused(
                "no known key has its kid; check auth.jwks_url and auth.public_key_file"
                if kid is not None
                else "it has no kid, which is only accepted if the issuer publishes exactly one key"
            )
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
            raise _Refused("it is valid for more than 24 hours")
        role = self._role(claims)
        subject = claims.get("sub")
        return Principal(
            subject=subject[:200] if isinstance(subject, str) and subject else "unknown",
            role=role[:100],
            permissions=permissions_of(role),
            expires_s=expires_s + self._settings.leeway_s,
            token=digest,
            modules=_modules(claims.get(self._settings.modules_claim)),
        )

    def _role(self, claims: Mapping[str, object]) -> str:
        """The strongest known role of the claim, in the order of Role; else its first one, or "".

        Identity providers send one role or a list of all, with roles of other applications.
        """
        claimed = list(_claimed(claims, self._settings.role_claim))
        roles = [self._settings.role_map.get(role, role) for role in claimed]
        return next((role.value for role in Role if role.value in roles), roles[0] if roles else "")


def _reason_of(error: Exception) -> str:
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason.format(error=error)
    return _NO_TOKEN


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Refused("one of its times is not a number")
    return float(value)


def _modules(claimed: object) -> tuple[str, ...] | None:
    """The source modules of a claim; a malformed claim allows none."""
    if claimed is None:
        return None
    if not isinstance(claimed, list) or not all(isinstance(name, str) for name in claimed):
        return ()
    return tuple(claimed[:_MAX_MODULES])


def _claimed(claims: Mapping[str, object], path: str) -> Iterator[str]:
    """The texts at a claim's path: one, or those of a list."""
    found = _at(claims, path)
    for item in found[:_MAX_ROLES] if isinstance(found, list) else [found]:
        if isinstance(item, str):
            yield item


def _at(claims: object, path: str) -> object:
    """The claim at a path, whose dots select members; a name may have dots itself.

    >>> _at({"resource_access": {"my.app": {"roles": ["NOC"]}}}, "resource_access.my.app.roles")
    ['NOC']
    """
    if not isinstance(claims, Mapping):
        return None
    if path in claims:
        return claims[path]
    for place, letter in enumerate(path):
        if letter == "." and path[:place] in claims:
            found = _at(claims[path[:place]], path[place + 1 :])
            if found is not None:
                return found
    return None
